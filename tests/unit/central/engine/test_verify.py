"""What else speaks for a fire: what raises, how far it widens the first step; it only ever does more."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from central.engine.decide import Observed, Seen, observe
from central.engine.effects import Cancel, Hasten, Notify, Purpose, Schedule, Tell
from central.engine.model import Alarm, AlarmState, Condition, Grade, Ground, Reason, Severity
from central.engine.policy import LIFE, Policy, Step, Target
from central.engine.verify import (
    LOOK_CLOSELY,
    LOOK_EVERY,
    LOOK_LATER,
    Around,
    grade,
    grounds,
    verify,
    widened,
)

T0 = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
SMOKE = Alarm(
    id=1,
    condition=Condition.SMOKE,
    severity=Severity.LIFE,
    area="a",
    part="d",
    state=AlarmState.ACTIVE_UNACKNOWLEDGED,
    opened_at=T0,
    event_at=T0,
    verify_at=T0,
)
NOTHING = Around()


def after(alarm: Alarm, around: Around, waiting: int | None = 1, now: datetime = T0) -> Alarm:
    found = verify(alarm, around, LIFE, waiting, now).after
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("around", "found", "reached"),
    [
        (NOTHING, [], Grade.USUAL),
        (Around(needs=("听力差", "备用钥匙在楼下")), [], Grade.USUAL),
        (Around(needs=("常年卧床",)), [Ground.BEDRIDDEN], Grade.RAISED),
        (Around(needs=("", "Bedridden, oxygen in use")), [Ground.BEDRIDDEN, Ground.OXYGEN], Grade.RAISED),
        (Around(needs=("家中用液化气",)), [Ground.GAS], Grade.RAISED),
        (Around(neighbours=1), [Ground.NEIGHBOUR], Grade.GRAVE),
        (Around(heat_too=True), [Ground.HEAT_TOO], Grade.GRAVE),
        (Around(coolest=21.0, latest=27.0), [Ground.RISING_HEAT], Grade.GRAVE),
        (Around(coolest=21.0, latest=26.9), [], Grade.USUAL),
        (Around(coolest=54.0, latest=54.0), [Ground.RISING_HEAT], Grade.GRAVE),
        (Around(coolest=21.0), [], Grade.USUAL),
    ],
)
def test_each_ground_and_how_grave_it_makes_it(around: Around, found: list[Ground], reached: Grade) -> None:
    """A second witness makes it grave, people who cannot flee raise it, and everything else leaves it."""
    assert grounds(SMOKE, around) == found
    assert grade(found) is reached


def test_a_detector_that_fell_silent_in_smoke_raises_and_with_a_bed_it_is_grave() -> None:
    """It may be burning."""
    silent = replace(SMOKE, state=AlarmState.ACTIVE_UNKNOWN)
    assert after(silent, NOTHING).grade is Grade.RAISED
    assert after(silent, Around(needs=("卧床",))).grade is Grade.GRAVE


def test_raised_tells_the_second_step_at_once_and_grave_everybody_of_the_climb() -> None:
    """Nobody twice: the step that only repeats people waits for its time."""
    raised = verify(SMOKE, Around(needs=("卧床",)), LIFE, 1, T0)
    assert (raised.effects, raised.reason, raised.what) == ((Hasten(),), Reason.VERIFIED, "raised")
    assert verify(SMOKE, Around(neighbours=1), LIFE, 1, T0).effects == (Hasten(), Hasten())
    assert widened(LIFE, 2, Grade.RAISED) == 0, "it has climbed there by itself"
    assert widened(LIFE, 3, Grade.GRAVE) == 0, "those of the last step have all been told"
    short = Policy((Step(timedelta(0), (Target.GRID_PRIMARY,)),), repeat=timedelta(minutes=3))
    assert widened(short, 1, Grade.RAISED) == widened(short, 1, Grade.GRAVE) == 0
    assert verify(SMOKE, Around(neighbours=1), LIFE, None, T0).effects == ()


def test_what_somebody_has_taken_is_told_to_them_and_to_the_command_centre() -> None:
    """They are on their way to a fire, and may want help."""
    taken = replace(SMOKE, state=AlarmState.ACTIVE_ACKNOWLEDGED, acknowledged_at=T0, acknowledged_by="wang")
    assert verify(taken, Around(neighbours=1), LIFE, None, T0).effects == (
        Tell(Purpose.RAISED, 2, "wang"),
        Notify(Purpose.RAISED, 2, (Target.DISPATCHER,)),
    )


def test_no_news_is_said_once() -> None:
    """The same grounds again change nothing but when to look again; a further one is on record."""
    gas = after(SMOKE, Around(needs=("燃气",)))
    again = verify(gas, Around(needs=("燃气",)), LIFE, 2, T0)
    assert (again.reason, again.effects, again.what) == (Reason.NO_NEWS, (), None)
    more = verify(gas, Around(needs=("卧床",)), LIFE, 2, T0)
    assert (more.what, more.effects) == ("raised", ())
    assert more.after is not None
    assert more.after.detail["grounds"] == [Ground.BEDRIDDEN, Ground.GAS]


def test_it_is_looked_at_closely_at_first_and_then_as_long_as_it_is_there() -> None:
    """Rows hold when; what is grave or over need not be looked at."""
    assert after(SMOKE, NOTHING).verify_at == T0 + LOOK_EVERY
    late = T0 + LOOK_CLOSELY
    assert after(SMOKE, NOTHING, now=late).verify_at == late + LOOK_LATER
    cleared = replace(SMOKE, state=AlarmState.CLEARED_UNACKNOWLEDGED, cleared_at=T0)
    assert after(cleared, NOTHING).verify_at == T0 + LOOK_EVERY
    assert after(cleared, NOTHING, now=late).verify_at is None
    assert after(SMOKE, Around(neighbours=2)).verify_at is None
    closed = replace(SMOKE, state=AlarmState.CLOSED, closed_at=T0)
    assert after(closed, Around(neighbours=2)) == replace(closed, verify_at=None)


def test_a_new_round_of_what_was_taken_is_looked_at_anew() -> None:
    """Its climb begins at its foot, and is widened again; one that nobody has taken goes on where it is."""
    grave = after(SMOKE, Around(neighbours=1))
    seen = Observed(Seen.PRESENT, Severity.LIFE, T0)
    back = replace(grave, state=AlarmState.CLEARED_ACKNOWLEDGED, acknowledged_at=T0, acknowledged_by="wang")
    anew = observe(back, seen, LIFE, T0).after
    assert anew is not None
    assert (anew.grade, anew.verify_at, dict(anew.detail)) == (Grade.USUAL, T0, {})
    untaken = observe(replace(grave, state=AlarmState.CLEARED_UNACKNOWLEDGED), seen, LIFE, T0).after
    assert untaken is not None
    assert (untaken.grade, untaken.verify_at) == (Grade.GRAVE, T0)


AROUND = st.builds(
    Around,
    neighbours=st.integers(0, 2),
    heat_too=st.booleans(),
    coolest=st.none() | st.floats(-40, 120),
    latest=st.none() | st.floats(-40, 120),
    needs=st.lists(st.sampled_from(["卧床", "氧气", "煤气", "听力差"]), max_size=2).map(tuple),
)


@given(st.lists(st.tuples(AROUND, st.sampled_from(AlarmState), st.none() | st.integers(1, 9)), max_size=12))
def test_whatever_is_found_it_only_ever_does_more(looks: list[tuple[Around, AlarmState, int | None]]) -> None:
    """No look lowers a grade, forgets a ground, moves the state, or cancels or puts off anything."""
    order = list(Grade)
    alarm = SMOKE
    for around, state, waiting in looks:
        alarm = replace(alarm, state=state, cleared_at=T0 if state.value.startswith("cleared") else None)
        decision = verify(alarm, around, LIFE, waiting, T0)
        now = decision.after
        assert now is not None
        assert order.index(now.grade) >= order.index(alarm.grade)
        assert set(now.detail.get("grounds", ())) >= set(alarm.detail.get("grounds", ()))
        assert replace(now, grade=alarm.grade, detail=alarm.detail, verify_at=alarm.verify_at) == alarm
        assert not [effect for effect in decision.effects if isinstance(effect, Cancel | Schedule)]
        alarm = now
