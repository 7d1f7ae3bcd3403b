"""track: what is told, when, and what is never told. Times are monotonic seconds, given as arguments."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from device_profiles.schema import Role
from edge_agent.decode import Snapshot
from edge_agent.observation import Observation, Sample
from edge_agent.tracker import (
    BusState,
    DetectorState,
    Missed,
    TrackPolicy,
    decode_bus,
    decode_state,
    dropped,
    encode_state,
    snapshot,
    track,
)
from wire.messages import Condition, EventKind

ALL = frozenset({Condition.SMOKE, Condition.HEAT, Condition.TEST, Condition.FAULT, Condition.LOW_BATTERY})
POLICY = TrackPolicy()
ASSERT, CLEAR = EventKind.ASSERT, EventKind.CLEAR
SMOKE, FAULT, LOST = Condition.SMOKE, Condition.FAULT, Condition.NO_RESPONSE


def look(*present: Condition, unknown: Iterable[Condition] = (), **values: float) -> Snapshot:
    """A good read with these conditions present, these unknown and the rest of ALL absent."""
    here, hidden = frozenset(present), frozenset(unknown)
    return Snapshot(here, hidden, ALL - here - hidden, {Role(role): value for role, value in values.items()})


class Line:
    """One detector followed through time."""

    def __init__(self, state: DetectorState | None = None, policy: TrackPolicy = POLICY) -> None:
        self.state = state
        self.policy = policy
        self.sample: Sample | None = None
        self.told: list[Observation] = []

    def see(
        self, now: float, *present: Condition, unknown: Iterable[Condition] = ()
    ) -> list[tuple[str, str]]:
        """One good read."""
        return self.take(now, look(*present, unknown=unknown))

    def miss(self, now: float, *, bus_down: bool = False) -> list[tuple[str, str]]:
        """One missed read."""
        return self.take(now, Missed("timeout"), bus_down=bus_down)

    def take(self, now: float, seen: Snapshot | Missed, *, bus_down: bool = False) -> list[tuple[str, str]]:
        """What was told, in short."""
        self.state, told, self.sample = track(
            self.state, seen, now, self.policy, detector="d", bus_down=bus_down
        )
        self.told += told
        return [(one.kind.value, one.condition.value if one.condition else "") for one in told]

    @property
    def asserted(self) -> frozenset[Condition]:
        """What stands."""
        assert self.state is not None
        return self.state.asserted


@pytest.mark.parametrize("condition", [Condition.SMOKE, Condition.HEAT, Condition.TEST])
def test_smoke_heat_and_test_are_told_by_the_first_good_read(condition: Condition) -> None:
    """No debounce when it burns; also in the very first read after a start."""
    assert Line().see(0.0, condition) == [("assert", condition.value)]


def test_the_reading_that_tripped_it_goes_along() -> None:
    """Smoke carries its obscuration."""
    line = Line()
    line.take(0.0, look(SMOKE, smoke=9.5))
    assert line.told == [Observation(ASSERT, SMOKE, "d", value=9.5)]


def test_a_fault_needs_two_good_reads() -> None:
    """One glitch is no fault."""
    line = Line()
    assert line.see(0.0, FAULT) == []
    assert line.see(1.0) == []
    assert line.see(2.0, FAULT) == []
    assert line.see(3.0, FAULT) == [("assert", "fault")]
    assert line.see(4.0, FAULT) == []


def test_smoke_ends_after_two_good_reads_and_ten_seconds() -> None:
    """Both are needed."""
    line = Line()
    line.see(0.0, SMOKE)
    assert line.see(1.0) == []
    assert line.see(10.9) == []
    assert line.see(11.0) == [("clear", "smoke")]
    line.see(20.0, SMOKE)
    assert line.see(21.0) == []
    assert line.see(60.0) == [("clear", "smoke")]


def test_smoke_that_returns_while_its_end_is_weighed_has_not_ended() -> None:
    """The proof starts again."""
    line = Line()
    line.see(0.0, SMOKE)
    line.see(1.0)
    assert line.see(9.0, SMOKE) == []
    assert line.see(10.0) == []
    assert line.see(19.0) == []
    assert line.see(20.0) == [("clear", "smoke")]


def test_a_fault_ends_after_three_good_reads() -> None:
    """Clears are debounced too."""
    line = Line()
    line.see(0.0, FAULT)
    line.see(1.0, FAULT)
    assert [line.see(t) for t in (2.0, 3.0, 4.0)] == [[], [], [("clear", "fault")]]


def test_unknown_changes_nothing() -> None:
    """A condition that cannot be told stays as it was told, however long."""
    line = Line()
    line.see(0.0, SMOKE)
    for t in range(1, 100):
        assert line.see(float(t), unknown=ALL) == []
    assert line.asserted == {SMOKE}


def test_silence_is_told_after_three_misses_and_twenty_seconds() -> None:
    """On a fast bus the seconds count, on a slow one the misses."""
    fast = Line()
    fast.see(0.0)
    assert [fast.miss(float(t)) for t in range(1, 20)] == [[]] * 19
    assert fast.miss(20.0) == [("assert", "no_response")]
    assert fast.miss(21.0) == []
    slow = Line()
    slow.see(0.0)
    assert [slow.miss(15.0), slow.miss(30.0), slow.miss(45.0)] == [[], [], [("assert", "no_response")]]
    assert fast.told[-1].text == "timeout"


def test_a_detector_that_never_answered_is_told_too() -> None:
    """Counted from its first miss."""
    line = Line()
    assert [line.miss(float(t)) for t in (100, 110, 119)] == [[], [], []]
    assert line.miss(120.0) == [("assert", "no_response")]


def test_one_good_read_brings_it_back_and_tells_what_it_shows() -> None:
    """The end of the silence comes first, then the smoke."""
    line = Line()
    for t in (0.0, 10.0, 20.0):
        line.miss(t)
    assert line.see(30.0, SMOKE) == [("clear", "no_response"), ("assert", "smoke")]


def test_a_detector_lost_in_smoke_stays_in_smoke() -> None:
    """Silence is no clear, and what was counted towards one before does not count after."""
    line = Line()
    line.see(0.0, SMOKE)
    line.see(1.0)
    for t in (10.0, 20.0, 30.0):
        line.miss(t)
    assert line.asserted == {SMOKE, LOST}
    assert line.see(40.0) == [("clear", "no_response")]
    assert line.see(49.0) == []
    assert line.see(50.0) == [("clear", "smoke")]


def test_a_snapshot_that_read_nothing_is_a_miss() -> None:
    """`good` false counts towards silence."""
    line = Line()
    nothing = Snapshot(frozenset(), ALL, good=False)
    assert [line.take(float(t), nothing) for t in (0, 10, 20)] == [[], [], [("assert", "no_response")]]


def test_a_detector_that_answers_but_is_blind_to_fire_is_not_watched() -> None:
    """Its other conditions are told, and after a while that smoke cannot be seen."""
    line = Line()
    line.see(0.0)
    blind = Snapshot(frozenset({FAULT}), frozenset({SMOKE}), blind=True)
    told = [line.take(float(t), blind) for t in (1, 2, 10, 20)]
    assert told == [[], [("assert", "fault")], [], [("assert", "no_response")]]
    assert "smoke and heat cannot be read" in (line.told[-1].text or "")
    assert line.see(21.0, FAULT) == [("clear", "no_response")]


def test_while_the_bus_is_down_silence_is_withheld_and_told_afterwards() -> None:
    """Folded into bus_down; who is still silent after it is told with the next miss."""
    line = Line()
    line.see(0.0)
    assert [line.miss(float(t), bus_down=True) for t in (10, 20, 30, 40)] == [[]] * 4
    assert snapshot({"d": line.state}).states == {"d": None}
    assert line.miss(41.0) == [("assert", "no_response")]


def test_who_answers_after_the_bus_came_back_was_never_told_as_silent() -> None:
    """Nothing to clear."""
    line = Line()
    for t in (10.0, 20.0, 30.0):
        line.miss(t, bus_down=True)
    assert line.see(31.0) == []


def test_a_flapping_condition_makes_the_detector_unstable_once_and_its_clears_wait() -> None:
    """More than ten changes in ten minutes; asserts of smoke go out until then, and smoke then stays."""
    line = Line()
    told: list[tuple[str, str]] = []
    for n in range(40):
        told += line.see(n * 20.0, *([SMOKE] if n % 2 == 0 else []))
        told += line.see(n * 20.0 + 10.0, *([SMOKE] if n % 2 == 0 else []))
    assert told.count(("assert", "unstable")) == 1
    assert told.count(("assert", "smoke")) == 6
    assert told.count(("clear", "smoke")) == 5
    assert line.asserted == {SMOKE, Condition.UNSTABLE}
    calm = [line.see(800.0 + t) for t in range(0, 700, 10)]
    assert [one for one in calm if one] == [[("clear", "smoke"), ("clear", "unstable")]]


def test_a_fault_that_flickers_too_fast_to_be_proved_is_still_seen_as_unstable() -> None:
    """Debounce hides the flicker, not the fact."""
    line = Line()
    told = [line.see(float(t), *([FAULT] if t % 2 else [])) for t in range(12)]
    assert [one for one in told if one] == [[("assert", "unstable")]]


def test_after_a_restart_standing_smoke_is_not_told_twice_and_its_end_is() -> None:
    """What had been told is remembered, what had been counted is not."""
    line = Line()
    line.see(1000.0, SMOKE, FAULT)
    line.see(1001.0, SMOKE, FAULT)
    assert line.state is not None
    again = Line(decode_state(encode_state(line.state)))
    assert again.see(3.0, SMOKE, FAULT) == []
    assert [again.see(4.0, FAULT), again.see(14.0, FAULT)] == [[], [("clear", "smoke")]]


def test_after_a_restart_smoke_that_had_not_been_told_is_told_at_once() -> None:
    """The first read counts as a change."""
    line = Line()
    line.see(1000.0)
    assert line.state is not None
    assert Line(decode_state(encode_state(line.state))).see(0.5, SMOKE) == [("assert", "smoke")]


def test_after_a_restart_a_lost_detector_is_not_told_twice_and_comes_back() -> None:
    """no_response stands until a good read."""
    line = Line()
    for t in (0.0, 10.0, 20.0):
        line.miss(t)
    assert line.state is not None
    again = Line(decode_state(encode_state(line.state)))
    assert [again.miss(float(t)) for t in (0, 30, 60)] == [[], [], []]
    assert again.take(60.5, Snapshot(frozenset(), ALL, blind=True)) == []
    assert snapshot({"d": again.state}).states == {"d": None}
    assert again.see(61.0) == [("clear", "no_response")]


def test_a_lost_detector_that_answers_blind_right_after_a_restart_is_still_unknown() -> None:
    """What it had been told to be, it is until its fire conditions are seen."""
    kept = DetectorState("d", asserted=frozenset({LOST}), known=ALL, lost=True)
    again = Line(decode_state(encode_state(kept)))
    assert again.take(0.0, Snapshot(frozenset(), ALL, blind=True)) == []
    assert snapshot({"d": again.state}).states == {"d": None}


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"x",
        b"{}",
        b"[]",
        b'{"detector":""}',
        b"\xff\xfe",
        b"[" * 5000,
        b'{"detector":"d","asserted":["no such word"]}',
        b'{"bus":"b","down":true}',
    ],
)
def test_bytes_that_are_no_state_are_none(kept: bytes) -> None:
    """A damaged file starts the detector afresh; nothing is raised."""
    assert decode_state(kept) is None


def test_a_bus_state_survives_a_restart() -> None:
    """Whether it had been told as down."""
    assert decode_bus(encode_state(BusState("b", down=True))) == BusState("b", down=True)
    assert decode_bus(b"{") is None
    assert decode_bus(encode_state(DetectorState("d"))) is None


def test_another_device_at_the_address_is_noted() -> None:
    """A swap between two reads, or over a restart, leaves a note on record."""
    line = Line()
    line.take(0.0, Snapshot(frozenset(), frozenset(), ALL, identity=7))
    assert line.state is not None
    again = Line(decode_state(encode_state(line.state)))
    again.take(0.0, Snapshot(frozenset(), frozenset(), ALL, identity=8))
    assert [(one.kind, one.detector) for one in again.told] == [(EventKind.NOTE, "d")]
    assert "7 -> 8" in (again.told[0].text or "")


def test_the_snapshot_tells_good_reads_and_is_silent_on_the_rest() -> None:
    """Present, quiet, lost, never heard, not heard since the start, never configured."""
    burning, quiet, lost, kept = Line(), Line(), Line(), Line()
    burning.see(0.0, SMOKE, unknown=[Condition.LOW_BATTERY])
    quiet.see(0.0)
    lost.see(0.0, SMOKE)
    for t in (10.0, 20.0, 30.0):
        lost.miss(t)
    kept.see(0.0, FAULT)
    assert kept.state is not None
    seen = snapshot(
        {
            "burning": burning.state,
            "quiet": quiet.state,
            "lost": lost.state,
            "kept": decode_state(encode_state(kept.state)),
            "new": None,
        }
    )
    assert seen.kind is EventKind.SNAPSHOT
    assert seen.states == {"burning": (SMOKE,), "quiet": (), "lost": None, "kept": None, "new": None}


def test_a_detector_of_which_something_was_never_read_is_unknown_in_the_snapshot() -> None:
    """An empty list would clear at the centre what nobody has looked at."""
    line = Line()
    line.see(0.0, unknown=[SMOKE])
    assert snapshot({"d": line.state}).states == {"d": None}
    line.see(1.0)
    assert snapshot({"d": line.state}).states == {"d": ()}
    line.see(2.0, unknown=[SMOKE])
    assert snapshot({"d": line.state}).states == {"d": ()}


def test_leaving_the_configuration_makes_open_conditions_unknown_never_clear() -> None:
    """One observation for each."""
    line = Line()
    line.see(0.0, SMOKE, FAULT)
    line.see(1.0, SMOKE, FAULT)
    assert line.state is not None
    assert dropped(line.state) == [
        Observation(EventKind.UNKNOWN, SMOKE, "d"),
        Observation(EventKind.UNKNOWN, FAULT, "d"),
    ]
    assert dropped(BusState("b")) == []
    assert dropped(BusState("b", down=True)) == [Observation(EventKind.UNKNOWN, Condition.BUS_DOWN, bus="b")]
