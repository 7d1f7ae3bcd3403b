"""Somebody works on a detector: faults wait for the end, smoke never does."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.engine.decide import Observed, Seen, begin, observe
from central.engine.due import fire
from central.engine.effects import DueKind, Notify, Open, Schedule
from central.engine.model import Alarm, AlarmState, Condition, Severity
from central.engine.policy import SEVERITY, Target, policy_for
from central.engine.window import FAULT_LIKE, Window, WindowKind, beside, holds, on_record

T0 = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
END = T0 + timedelta(hours=2)
WINDOW = Window(7, WindowKind.MAINTENANCE, T0, END, "清洗", "wu")


@pytest.mark.parametrize("condition", sorted(FAULT_LIKE))
def test_what_is_like_a_fault_is_recorded_and_told_at_the_end(condition: Condition) -> None:
    """It opens as ever; nobody is told before the window ends; then the climb begins, if it is still so."""
    policy = holds(policy_for(condition), condition, [WINDOW], T0)
    opened = observe(None, Observed(Seen.PRESENT, SEVERITY[condition], T0), policy, T0)
    assert opened.effects == (
        Open(AlarmState.ACTIVE_UNACKNOWLEDGED),
        Schedule(DueKind.STEP, END, 0, put_off=True),
    )
    alarm = Alarm(1, condition, SEVERITY[condition], "a", "d", AlarmState.ACTIVE_UNACKNOWLEDGED, T0, T0)
    over = holds(policy_for(condition), condition, [WINDOW], END)
    assert over == policy_for(condition)
    told = fire(alarm, DueKind.STEP, 0, END, over, END).effects
    assert [effect.targets for effect in told if isinstance(effect, Notify)] == [over.steps[0].targets]


def test_the_last_window_that_is_open_holds_and_none_before_it_begins() -> None:
    """Two overlap; a third is not open yet."""
    longer = Window(8, WindowKind.OUT_OF_SERVICE, T0, END + timedelta(days=3), "拆除")
    later = Window(9, WindowKind.MAINTENANCE, END, END + timedelta(days=9), "清洗", "wu")
    of = policy_for(Condition.FAULT)
    assert holds(of, Condition.FAULT, [WINDOW, longer, later], T0).held == longer.ends
    assert on_record([WINDOW, longer, later], T0) == {
        "window": {"id": 8, "kind": "out_of_service", "why": "拆除"}
    }
    before = T0 - timedelta(seconds=1)
    assert (holds(of, Condition.FAULT, [WINDOW], before), on_record([WINDOW], before)) == (of, {})


def test_smoke_goes_to_the_command_centre_and_to_who_is_on_site_besides_the_first_step() -> None:
    """Each named once; out of service names nobody; without a window nobody is added."""
    nobody = Window(8, WindowKind.OUT_OF_SERVICE, T0, END, "拆除")
    assert beside(Condition.SMOKE, [WINDOW, WINDOW], T0) == (Target.DISPATCHER, "worker:wu")
    assert beside(Condition.HEAT, [nobody], T0) == (Target.DISPATCHER,)
    assert beside(Condition.SMOKE, [WINDOW], END) == beside(Condition.FAULT, [WINDOW], T0) == ()


WINDOWS = st.lists(
    st.builds(
        Window,
        id=st.integers(1, 9),
        kind=st.sampled_from(WindowKind),
        begins=st.integers(-100, 100).map(lambda n: T0 + timedelta(hours=n)),
        ends=st.integers(-100, 100).map(lambda n: T0 + timedelta(hours=n)),
        why=st.just("清洗"),
        person=st.none() | st.just("wu"),
    ),
    max_size=5,
)


@given(WINDOWS, st.sampled_from([c for c in Condition if c not in FAULT_LIKE]))
def test_no_window_whatever_it_is_touches_the_climb_of_anything_else(
    windows: list[Window], condition: Condition
) -> None:
    """Smoke and heat above all: the same policy, the same first effects."""
    policy = policy_for(condition)
    assert holds(policy, condition, windows, T0) is policy
    life = SEVERITY[condition] is Severity.LIFE
    assert begin(holds(policy, condition, windows, T0), T0, life=life) == begin(policy, T0, life=life)


def test_nothing_that_is_like_a_fault_is_smoke() -> None:
    """The list of what waits holds nothing for which somebody would have to run."""
    assert not FAULT_LIKE & {c for c in Condition if SEVERITY[c] is Severity.LIFE}
    assert not FAULT_LIKE & {Condition.GATEWAY_SILENT, Condition.BUS_DOWN, Condition.EVENTS_STUCK}
