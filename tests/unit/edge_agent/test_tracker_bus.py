"""track_bus: when the whole line is down, and when it is back."""

from __future__ import annotations

from edge_agent.decode import Snapshot
from edge_agent.tracker import BusState, DetectorState, Missed, TrackPolicy, track, track_bus
from wire.messages import Condition

POLICY = TrackPolicy()
QUIET = Snapshot(frozenset(), frozenset(), frozenset({Condition.SMOKE}))


class Bus:
    """A line with its detectors, polled once a second."""

    def __init__(self, *detectors: str, state: BusState | None = None) -> None:
        self.state = state
        self.detectors: dict[str, DetectorState | None] = dict.fromkeys(detectors)
        self.told: list[tuple[float, str, str, str]] = []

    def lap(self, now: float, *answering: str, port: bool = True) -> None:
        """Poll each once; those named answer."""
        down = self.state is not None and self.state.down
        for name, state in self.detectors.items():
            seen: Snapshot | Missed = QUIET if name in answering else Missed("timeout")
            self.detectors[name], told, _ = track(state, seen, now, POLICY, detector=name, bus_down=down)
            self._note(now, told)
        states = [state for state in self.detectors.values() if state is not None]
        self.state, told = track_bus(self.state, states, port, now, POLICY, bus="line-1")
        self._note(now, told)

    def _note(self, now: float, told: list) -> None:  # type: ignore[type-arg]
        self.told += [(now, one.kind.value, one.condition.value, one.detector or one.bus) for one in told]


def test_a_line_whose_detectors_all_fall_silent_is_told_once_as_one_fault() -> None:
    """bus_down after ten seconds; no detector of it is told as silent."""
    bus = Bus("a", "b", "c")
    bus.lap(0.0, "a", "b", "c")
    for t in range(1, 60):
        bus.lap(float(t))
    assert bus.told == [(10.0, "assert", "bus_down", "line-1")]


def test_when_the_line_is_back_only_those_still_silent_are_told() -> None:
    """Re-evaluated, not forgotten."""
    bus = Bus("a", "b", "c")
    bus.lap(0.0, "a", "b", "c")
    for t in range(1, 60):
        bus.lap(float(t))
    bus.told.clear()
    bus.lap(60.0, "a", "b")
    bus.lap(61.0, "a", "b")
    bus.lap(62.0, "a", "b")
    assert bus.told == [(60.0, "clear", "bus_down", "line-1"), (61.0, "assert", "no_response", "c")]


def test_one_answering_detector_keeps_the_line_up() -> None:
    """The others are told by themselves."""
    bus = Bus("a", "b", "c")
    for t in range(25):
        bus.lap(float(t), "a")
    assert bus.told == [(20.0, "assert", "no_response", "b"), (20.0, "assert", "no_response", "c")]


def test_a_line_with_a_single_detector_is_not_down_because_it_is_silent() -> None:
    """One silent detector is a silent detector."""
    bus = Bus("a")
    for t in range(40):
        bus.lap(float(t))
    assert bus.told == [(20.0, "assert", "no_response", "a")]


def test_a_port_that_stays_closed_is_a_line_that_is_down() -> None:
    """After more than five seconds, also with a single detector, whose silence is then withheld."""
    bus = Bus("a")
    bus.lap(0.0, "a")
    for t in range(1, 40):
        bus.lap(float(t), port=False)
    assert bus.told == [(7.0, "assert", "bus_down", "line-1")]
    bus.lap(40.0, "a")
    assert bus.told[1:] == [(40.0, "clear", "bus_down", "line-1")]


def test_a_port_that_reopens_in_time_is_not_told() -> None:
    """A re-plugged adapter."""
    bus = Bus("a", "b")
    bus.lap(0.0, "a", "b")
    for t in range(1, 5):
        bus.lap(float(t), port=False)
    bus.lap(5.0, "a", "b")
    bus.lap(6.0, port=False)
    bus.lap(11.0, port=False)
    assert bus.told == []


def test_an_open_port_alone_does_not_bring_a_line_back() -> None:
    """Somebody has to answer on it."""
    bus = Bus("a", "b")
    bus.lap(0.0, "a", "b")
    for t in range(1, 20):
        bus.lap(float(t), port=False)
    for t in range(20, 30):
        bus.lap(float(t))
    assert [told[1:3] for told in bus.told] == [("assert", "bus_down")]
    bus.lap(30.0, "b")
    assert bus.told[1:] == [(30.0, "clear", "bus_down", "line-1")]


def test_a_line_that_was_down_before_a_restart_is_not_told_twice() -> None:
    """And its end is told."""
    bus = Bus("a", "b", state=BusState("line-1", down=True))
    for t in range(30):
        bus.lap(float(t))
    assert bus.told == []
    bus.lap(30.0, "a", "b")
    assert bus.told == [(30.0, "clear", "bus_down", "line-1")]


def test_a_line_without_detectors_is_up_while_its_port_is_open() -> None:
    """Nothing can be silent on it."""
    bus = Bus()
    for t in range(30):
        bus.lap(float(t))
    assert bus.told == []
