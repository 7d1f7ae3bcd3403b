"""Quiet hours put off what is not life, lose none of it, and never touch smoke."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from central.engine.decide import Observed, Seen, observe
from central.engine.due import fire
from central.engine.effects import DueKind, Notify, Schedule
from central.engine.model import Alarm, AlarmState, Condition, Reason, Severity
from central.engine.policy import LIFE, Policy, Quiet, Step, Target

NIGHT = Quiet(time(22), time(7))
CARE = Policy(
    (Step(timedelta(0), (Target.COMMUNITY_LEAD,)), Step(timedelta(hours=1), (Target.DISPATCHER,))),
    quiet=NIGHT,
)
THREE = datetime(2026, 3, 1, 19, tzinfo=UTC)
"""Three at night in China."""
SEVEN = datetime(2026, 3, 1, 23, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
CLOCKS = st.times().map(lambda at: at.replace(second=0, microsecond=0))


def alarm(severity: Severity, condition: Condition) -> Alarm:
    state = AlarmState.ACTIVE_UNACKNOWLEDGED
    return Alarm(1, condition, severity, "a", "d", state, THREE, THREE)


def test_a_low_battery_at_three_is_told_at_seven_and_climbs_from_there() -> None:
    """Nothing at three; the first step at the end of the quiet hours, the second an hour later."""
    opened = observe(None, Observed(Seen.PRESENT, Severity.CARE, THREE), CARE, THREE)
    assert opened.effects[1:] == (Schedule(DueKind.STEP, SEVEN, 0, put_off=True),)
    low = alarm(Severity.CARE, Condition.LOW_BATTERY)
    told = fire(low, DueKind.STEP, 0, SEVEN, CARE, SEVEN).effects
    assert [one.step for one in told if isinstance(one, Notify)] == [0]
    assert [one for one in told if isinstance(one, Schedule)] == [
        Schedule(DueKind.STEP, SEVEN + timedelta(hours=1), 1)
    ]


def test_what_falls_due_in_quiet_hours_waits_for_their_end() -> None:
    """Also a step that was planned before, under another policy."""
    decision = fire(alarm(Severity.CARE, Condition.FAULT), DueKind.STEP, 1, THREE, CARE, THREE)
    assert decision.reason is Reason.QUIET_HOURS
    assert decision.effects == (Schedule(DueKind.STEP, SEVEN, 1, put_off=True),)


def test_smoke_is_told_whatever_the_hour() -> None:
    """Even if a policy with quiet hours came to hold for it by a mistake, its steps climb."""
    wrong = Policy(LIFE.steps, LIFE.repeat, quiet=NIGHT)
    decision = fire(alarm(Severity.LIFE, Condition.SMOKE), DueKind.STEP, 1, THREE, wrong, THREE)
    assert any(isinstance(one, Notify) for one in decision.effects)
    opened = observe(None, Observed(Seen.PRESENT, Severity.LIFE, THREE), wrong, THREE)
    assert any(isinstance(one, Notify) for one in opened.effects)


def test_a_condition_that_returns_in_quiet_hours_is_told_at_their_end() -> None:
    """A new round, untaken: its message is put off like the first."""
    unknown = replace(alarm(Severity.CARE, Condition.FAULT), state=AlarmState.ACTIVE_UNKNOWN)
    decision = observe(unknown, Observed(Seen.PRESENT, Severity.CARE, THREE), CARE, THREE)
    assert not any(isinstance(one, Notify) for one in decision.effects)


@given(MOMENTS, CLOCKS, CLOCKS)
def test_quiet_hours_end_within_a_day_at_their_end(at: datetime, begins: time, ends: time) -> None:
    """The answer is never inside, never before, and the moment itself when it is outside."""
    quiet = Quiet(begins, ends)
    after = quiet.over(at)
    assert at <= after <= at + timedelta(days=1)
    if begins != ends:
        assert quiet.over(after) == after
    if after != at:
        assert (after + timedelta(hours=8)).time() == ends
