"""Observations, acts and due rows, one decision at a time, and in any order."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from central.engine.decide import Observed, Seen, act, observe
from central.engine.due import fire, pass_over
from central.engine.effects import Cancel, Decision, DueKind, Hasten, Notify, Open, Purpose, Schedule
from central.engine.model import (
    Act,
    ActKind,
    Alarm,
    AlarmState,
    Cause,
    Condition,
    Disposition,
    NotAllowed,
    Reason,
    Severity,
)
from central.engine.policy import CARE, LIFE, NOTE, SEVERITY, UNWATCHED, Policy, Target, policy_for

T0 = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
CLOSE = Act(ActKind.CLOSE, Disposition.FALSE_ALARM, Cause.COOKING)
ACK = Act(ActKind.ACKNOWLEDGE)


@dataclass
class Desk:
    """A store of one alarm in memory: does what decisions want."""

    condition: Condition = Condition.SMOKE
    now: datetime = T0
    alarm: Alarm | None = None
    due: dict[DueKind, Schedule] = field(default_factory=dict)
    told: list[Notify] = field(default_factory=list)
    opened: int = 0
    by_person: list[str] = field(default_factory=list)

    @property
    def policy(self) -> Policy:
        return policy_for(self.condition)

    @property
    def open(self) -> Alarm | None:
        return self.alarm if self.alarm and self.alarm.state is not AlarmState.CLOSED else None

    def see(self, seen: Seen, *, older: bool = False, **more: object) -> Decision:
        severity = SEVERITY[self.condition]
        observed = Observed(seen, severity, self.now, older=older, **more)  # type: ignore[arg-type]
        return self.do(observe(self.open, observed, self.policy, self.now))

    def act(self, done: Act, who: str = "wang") -> Decision:
        assert self.alarm is not None
        return self.do(act(self.alarm, done, who, self.policy, self.now))

    def wait(self, span: timedelta) -> None:
        until = self.now + span
        while ready := [s for s in self.due.values() if s.at <= until]:
            row = min(ready, key=lambda s: s.at)
            self.now = max(self.now, row.at)
            assert self.alarm is not None
            self.do(fire(self.alarm, row.kind, row.step, row.at, self.policy, self.now))
        self.now = until

    def do(self, decision: Decision) -> Decision:
        if decision.after is not None:
            self.alarm = decision.after
        for effect in decision.effects:
            match effect:
                case Open():
                    self.opened += 1
                    self.due.clear()
                    self.alarm = Alarm(
                        id=self.opened,
                        condition=self.condition,
                        severity=SEVERITY[self.condition],
                        area="a",
                        part="d",
                        state=effect.state,
                        opened_at=self.now,
                        event_at=self.now,
                        late=effect.late,
                        cleared_at=effect.cleared_at,
                    )
                case Notify():
                    self.told.append(effect)
                case Schedule():
                    self.due[effect.kind] = effect
                case Cancel():
                    self.due.pop(effect.kind, None)
                case Hasten():
                    row = self.due.get(DueKind.STEP)
                    if row is not None:
                        assert self.alarm is not None
                        self.do(fire(self.alarm, row.kind, row.step, self.now, self.policy, self.now))
        return decision


def test_smoke_calls_the_grid_worker_at_once_and_climbs_until_somebody_takes_it() -> None:
    """0 s, 90 s, 180 s, and then everybody every 180 s."""
    desk = Desk()
    assert desk.see(Seen.PRESENT).reason is Reason.FIRST_ASSERT
    assert [n.targets for n in desk.told] == [(Target.GRID_PRIMARY,)]
    desk.wait(timedelta(seconds=89))
    assert len(desk.told) == 1
    desk.wait(timedelta(seconds=1))
    assert desk.told[-1].targets == (Target.GRID_BACKUP, Target.COMMUNITY_LEAD)
    desk.wait(timedelta(seconds=90))
    assert desk.told[-1].targets == (Target.DISPATCHER,)
    desk.wait(timedelta(seconds=540))
    assert [n.step for n in desk.told] == [0, 1, 2, 3, 4, 5]
    assert set(desk.told[-1].targets) >= {Target.DISPATCHER, Target.GRID_PRIMARY}
    desk.act(ACK)
    desk.wait(timedelta(minutes=19))
    assert len(desk.told) == 6


def test_clearing_by_itself_ends_neither_the_alarm_nor_the_climb() -> None:
    """Only a person does."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.see(Seen.ABSENT)
    assert desk.alarm is not None
    assert desk.alarm.state is AlarmState.CLEARED_UNACKNOWLEDGED
    desk.wait(timedelta(seconds=180))
    assert [n.step for n in desk.told] == [0, 1, 2]


def test_smoke_that_returns_after_a_clear_is_a_new_round_for_everybody() -> None:
    """Whoever had it has it no more."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.act(ACK)
    desk.see(Seen.ABSENT)
    assert desk.see(Seen.PRESENT).reason is Reason.RETURNED_AFTER_CLEAR
    assert desk.alarm is not None
    assert (desk.alarm.state, desk.alarm.round) == (AlarmState.ACTIVE_UNACKNOWLEDGED, 2)
    assert desk.alarm.acknowledged_by is None
    assert set(desk.due) == {DueKind.STEP}


def test_smoke_that_comes_and_goes_does_not_hold_the_climb_at_its_foot() -> None:
    """Each return tells the first again and lets the climb go on."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    for _ in range(10):
        desk.wait(timedelta(seconds=10))
        desk.see(Seen.ABSENT)
        desk.wait(timedelta(seconds=10))
        desk.see(Seen.PRESENT)
    assert {n.step for n in desk.told} == {0, 1, 2}


def test_smoke_still_there_twenty_minutes_after_the_acknowledgement_calls_again() -> None:
    """防复燃: the same alarm, a new round."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.act(ACK)
    desk.wait(timedelta(minutes=20))
    assert desk.alarm is not None
    assert (desk.alarm.state, desk.alarm.round) == (AlarmState.ACTIVE_UNACKNOWLEDGED, 2)
    assert len(desk.told) == 2


def test_no_disposition_climbs_to_the_dispatcher_every_thirty_minutes() -> None:
    """Acknowledged and forgotten is not done."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.act(ACK)
    desk.see(Seen.ABSENT)
    desk.wait(timedelta(minutes=61))
    missing = [n for n in desk.told if n.purpose is Purpose.DISPOSITION]
    assert [(n.step, n.targets) for n in missing] == [(0, (Target.DISPATCHER,)), (1, (Target.DISPATCHER,))]


def test_a_disposition_given_while_it_still_smokes_is_kept_until_it_clears() -> None:
    """The person need not come back; smoke that stays voids it."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.act(ACK)
    assert desk.act(CLOSE).reason is Reason.DISPOSED
    assert desk.open is not None
    desk.see(Seen.ABSENT)
    assert desk.alarm is not None
    assert (desk.alarm.state, desk.alarm.closed_by) == (AlarmState.CLOSED, "wang")
    assert desk.alarm.disposition is Disposition.FALSE_ALARM
    assert not desk.due

    other = Desk()
    other.see(Seen.PRESENT)
    other.act(ACK)
    other.act(CLOSE)
    other.wait(timedelta(minutes=20))
    assert other.alarm is not None
    assert other.alarm.disposition is None
    assert not other.alarm.acknowledged


def test_who_said_what_it_was_has_closed_it_whoever_took_it() -> None:
    """Li says it while it still smokes and Wang has it: when the smoke ends it is Li's word that ends it."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.act(ACK, "wang")
    desk.act(CLOSE, "li")
    desk.see(Seen.ABSENT)
    assert desk.alarm is not None
    assert (desk.alarm.acknowledged_by, desk.alarm.closed_by) == ("wang", "li")

    returned = Desk()
    returned.see(Seen.PRESENT)
    returned.act(ACK, "wang")
    returned.act(CLOSE, "li")
    returned.wait(timedelta(minutes=20))
    assert returned.alarm is not None
    assert returned.alarm.closed_by is None


def test_a_detector_that_falls_silent_in_smoke_calls_the_next_step_at_once() -> None:
    """It may be burning."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.wait(timedelta(seconds=10))
    desk.see(Seen.UNKNOWN)
    assert [n.step for n in desk.told] == [0, 1]
    assert desk.due[DueKind.STEP] == Schedule(DueKind.STEP, desk.now + timedelta(seconds=90), 2)

    taken = Desk()
    taken.see(Seen.PRESENT)
    taken.act(ACK)
    taken.see(Seen.UNKNOWN)
    assert taken.alarm is not None
    assert (taken.alarm.state, taken.alarm.acknowledged) == (AlarmState.ACTIVE_UNKNOWN, False)
    assert len(taken.told) == 2


def test_the_second_to_acknowledge_is_told_who_has_it() -> None:
    """The first wins; the same person twice is no mistake."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.act(ACK, "wang")
    with pytest.raises(NotAllowed) as refused:
        desk.act(ACK, "li")
    assert refused.value.by == "wang"
    assert desk.act(ACK, "wang").reason is Reason.ALREADY_YOURS


def test_smoke_refuses_to_close_without_being_taken_or_without_a_disposition() -> None:
    """Each refusal has words in both languages and changes nothing."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    before = desk.alarm
    for refused in (
        CLOSE,
        Act(ActKind.CLOSE),
        Act(ActKind.CLOSE, Disposition.RETURNED_TO_NORMAL),
    ):
        with pytest.raises(NotAllowed) as error:
            desk.act(refused)
        assert error.value.zh
        assert error.value.en
    assert desk.alarm == before
    desk.act(ACK)
    desk.see(Seen.ABSENT)
    with pytest.raises(NotAllowed):
        desk.act(Act(ActKind.CLOSE))
    desk.act(CLOSE)
    with pytest.raises(NotAllowed, match="closed"):
        desk.act(ACK)


def test_closing_a_silent_detectors_smoke_wants_a_reason() -> None:
    """And if it asserts again a new alarm opens."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.see(Seen.UNKNOWN)
    with pytest.raises(NotAllowed, match="reason"):
        desk.act(CLOSE)
    desk.act(replace(CLOSE, remark="went there, the kitchen was full of steam"))
    assert desk.open is None
    desk.see(Seen.PRESENT)
    assert desk.opened == 2


def test_on_the_way_takes_the_alarm_too() -> None:
    """One tap is enough."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.act(Act(ActKind.ON_WAY))
    assert desk.alarm is not None
    assert (desk.alarm.acknowledged_by, desk.alarm.on_way_at) == ("wang", T0)


@pytest.mark.parametrize(
    ("known", "state"),
    [
        (Seen.ABSENT, AlarmState.CLEARED_UNACKNOWLEDGED),
        (Seen.UNKNOWN, AlarmState.ACTIVE_UNKNOWN),
        (Seen.PRESENT, AlarmState.ACTIVE_UNACKNOWLEDGED),
    ],
)
def test_an_older_smoke_that_no_alarm_covers_still_opens_one(known: Seen, state: AlarmState) -> None:
    """Somebody must still look, however late it is told."""
    desk = Desk()
    assert desk.see(Seen.PRESENT, older=True, known=known).reason is Reason.LATE_ASSERT
    assert desk.alarm is not None
    assert desk.alarm.state is state
    assert len(desk.told) == 1


def test_an_older_word_changes_nothing_else() -> None:
    """Not a clear, not an unknown, not a fault, not smoke that was dealt with."""
    desk = Desk()
    assert desk.see(Seen.PRESENT, older=True, covered=True).reason is Reason.COVERED
    desk.see(Seen.PRESENT)
    before = desk.alarm
    for seen in Seen:
        assert desk.see(seen, older=True).reason is Reason.OLDER_THAN_KNOWN
    assert desk.alarm == before
    fault = Desk(Condition.FAULT)
    fault.see(Seen.PRESENT, older=True)
    assert fault.opened == 0


def test_a_clear_ends_only_what_the_same_source_asserted() -> None:
    """Somebody else's clear is no news."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    assert desk.see(Seen.ABSENT, same_source=False).reason is Reason.OTHER_SOURCE


@pytest.mark.parametrize("condition", [Condition.FAULT, Condition.GATEWAY_SILENT, Condition.TEST])
def test_what_is_not_smoke_closes_itself_when_it_ends(condition: Condition) -> None:
    """Returned to normal, by the system."""
    desk = Desk(condition)
    desk.see(Seen.PRESENT)
    desk.see(Seen.ABSENT)
    assert desk.alarm is not None
    assert desk.alarm.disposition is Disposition.RETURNED_TO_NORMAL
    assert desk.alarm.closed_by == "system"
    assert not desk.due


def test_care_is_said_once_a_note_never_and_unwatched_twice() -> None:
    """Who is called for what is not smoke."""
    for policy, count in ((CARE, 1), (NOTE, 0), (UNWATCHED, 2)):
        condition = next(c for c in Condition if policy_for(c) is policy)
        desk = Desk(condition)
        desk.see(Seen.PRESENT)
        desk.wait(timedelta(hours=5))
        assert len(desk.told) == count


def test_after_an_outage_the_climb_is_caught_up_but_the_last_step_not_repeated_in_a_burst() -> None:
    """Down from 10 s to an hour after the smoke."""
    desk = Desk()
    desk.see(Seen.PRESENT)
    desk.now = T0 + timedelta(hours=1)
    desk.wait(timedelta(seconds=1))
    assert [n.step for n in desk.told] == [0, 1, 2]
    assert desk.due[DueKind.STEP].at == T0 + timedelta(hours=1, seconds=180)


def test_a_step_that_reaches_nobody_gives_way_to_the_next() -> None:
    """Up to the last."""
    first, second = pass_over(0, LIFE, T0)
    assert first == Schedule(DueKind.STEP, T0 + timedelta(seconds=90), 2)
    assert isinstance(second, Notify)
    assert second.step == 1
    assert pass_over(3, LIFE, T0) == ()


STEPS = st.one_of(
    st.tuples(st.just("see"), st.sampled_from(Seen), st.booleans(), st.booleans()),
    st.tuples(st.just("act"), st.sampled_from(ActKind), st.sampled_from(["wang", "li"]), st.booleans()),
    st.tuples(st.just("wait"), st.integers(0, 2400), st.none(), st.none()),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_whatever_happens_a_smoke_alarm_ends_by_a_persons_disposition_only(
    steps: list[tuple[Any, ...]],
) -> None:
    """And while it is open something is always due: a step, or the question what it was."""
    desk = Desk()
    for step in steps:
        before = desk.open
        match step:
            case ("see", seen, older, same):
                desk.see(seen, older=older, same_source=same)
            case ("act", kind, who, given_words):
                words = Disposition.REAL_FIRE if given_words else None
                done = Act(kind, words, remark="because", to="li" if who == "wang" else "wang")
                if before is not None:
                    try:
                        desk.act(done, who)
                    except NotAllowed:
                        assert desk.alarm == before
            case ("wait", seconds, _, _):
                desk.wait(timedelta(seconds=seconds))
        alarm = desk.alarm
        if alarm is None:
            continue
        if before is not None and alarm.state is AlarmState.CLOSED:
            assert alarm.disposition is Disposition.REAL_FIRE
            assert alarm.closed_by in ("wang", "li")
        if alarm.state is not AlarmState.CLOSED:
            assert alarm.severity is Severity.LIFE
            if not alarm.acknowledged:
                assert DueKind.STEP in desk.due
            else:
                assert {DueKind.DISPOSITION, DueKind.STILL_ACTIVE} & set(desk.due)
        else:
            assert not desk.due
