"""Who answers after a silence: what is believed before the identity is known, and when it is another one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_agent.decode import Snapshot
from edge_agent.identity import doubt
from edge_agent.observation import Observation
from edge_agent.tracker import DetectorState, Missed, TrackPolicy, decode_state, encode_state, snapshot, track
from wire.messages import Condition, EventKind

SMOKE, FAULT, LOST = Condition.SMOKE, Condition.FAULT, Condition.NO_RESPONSE
ALL = frozenset({SMOKE, FAULT})
POLICY = TrackPolicy()


def look(*present: Condition, identity: int | None = None) -> Snapshot:
    """A good read: these present, the others absent."""
    return Snapshot(frozenset(present), frozenset(), ALL - frozenset(present), identity=identity)


class Line:
    """One detector followed through time, a read every two seconds."""

    def __init__(self) -> None:
        self.state: DetectorState | None = None
        self.now = 0.0

    def take(self, seen: Snapshot | Missed, times: int = 1) -> list[tuple[EventKind, Condition | None]]:
        """What is told."""
        told: list[Observation] = []
        for _ in range(times):
            self.now += 2.0
            self.state, more, self.sample = track(self.state, seen, self.now, POLICY, detector="d")
            told += more
        return [(one.kind, one.condition) for one in told]


def _known(*present: Condition) -> Line:
    line = Line()
    line.take(look(*present, identity=7), 3)
    return line


def test_after_a_silence_nothing_ends_before_the_identity_is_read() -> None:
    """Reads without it are no sign of life and no clear; the first one with it is."""
    line = _known(SMOKE)
    assert line.take(Missed("timeout"), 15) == [(EventKind.ASSERT, LOST)]
    assert line.take(look(), 10) == []
    assert line.sample is None
    assert line.state is not None
    assert snapshot({"d": replace(line.state, lost=False, asserted=frozenset())}).states == {"d": None}
    assert line.take(look(identity=7)) == [(EventKind.CLEAR, LOST)]
    assert line.take(look(), 8) == [(EventKind.CLEAR, SMOKE)]


def test_fire_counts_before_the_identity_is_read() -> None:
    """Whoever it is that sees smoke: it is told in the read that shows it. A fault waits."""
    line = _known()
    line.take(Missed("timeout"))
    assert line.take(look(SMOKE, FAULT), 3) == [(EventKind.ASSERT, SMOKE)]


def test_an_identity_that_cannot_be_read_any_more_is_a_silence() -> None:
    """Answering without saying who it is, for long: told as no response, with the reason."""
    line = _known()
    line.take(Missed("timeout"))
    assert line.take(look(), 12) == [(EventKind.ASSERT, LOST)]
    assert line.state is not None
    assert line.state.doubted


def test_another_device_makes_the_old_ones_conditions_unknown() -> None:
    """One note, unknown for what stood, never a clear; the new one's own state is told as it is."""
    line = _known(SMOKE, FAULT)
    line.take(Missed("timeout"), 15)
    told = line.take(look(identity=8))
    assert told == [
        (EventKind.CLEAR, LOST),
        (EventKind.NOTE, None),
        (EventKind.UNKNOWN, SMOKE),
        (EventKind.UNKNOWN, FAULT),
    ]
    assert line.take(look(SMOKE, identity=8)) == [(EventKind.ASSERT, SMOKE)]
    assert line.state is not None
    assert line.state.identity == 8


def test_devices_that_take_turns_are_noted_once_in_ten_minutes() -> None:
    """Two at one address must not fill the card; the later hint says what it is."""
    line = _known()
    notes = [line.take(look(identity=7 + turn % 2)) for turn in range(900)]
    assert sum(told.count((EventKind.NOTE, None)) for told in notes) == 3


def test_a_device_without_an_identity_is_never_doubted() -> None:
    """Where the profile has none, a silence ends with the first answer."""
    line = Line()
    line.take(look(), 3)
    line.take(Missed("timeout"), 15)
    assert line.take(look()) == [(EventKind.CLEAR, LOST)]


def test_a_restart_and_another_line_raise_the_doubt() -> None:
    """What was known before is compared, not assumed."""
    state = _known().state
    assert state is not None
    kept = decode_state(encode_state(state))
    assert kept is not None
    assert kept.doubted
    assert doubt(state).doubted
    assert not doubt(DetectorState("d")).doubted


@given(
    st.lists(
        st.one_of(
            st.just(Missed("timeout")),
            st.builds(
                lambda present, identity: look(*present, identity=identity),
                st.sets(st.sampled_from(sorted(ALL))),
                st.sampled_from((None, 7, 8)),
            ),
        ),
        max_size=40,
    )
)
def test_nothing_ends_while_the_device_is_doubted(history: list[Snapshot | Missed]) -> None:
    """In whatever order reads come: a clear is told only of a device that has said who it is."""
    line = _known(SMOKE, FAULT)
    for seen in history:
        told = line.take(seen)
        assert line.state is not None
        if line.state.doubted:
            assert not [kind for kind, _ in told if kind is EventKind.CLEAR]
