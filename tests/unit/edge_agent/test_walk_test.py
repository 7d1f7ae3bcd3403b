"""What bears the number of a walk test."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.observation import Observation, Stamp
from edge_agent.recordable import to_events
from edge_agent.walk_test import LONGEST_MS, WalkTests
from wire.codec import decode_event
from wire.messages import Condition, EventKind

SMOKE = Observation(EventKind.ASSERT, Condition.SMOKE, "det-1")
MINUTE = 60_000


def walking() -> WalkTests:
    tests = WalkTests()
    tests.begin("7", ["det-1", "det-2"], 1000, 600.0)
    return tests


def test_asserts_of_the_named_detectors_bear_the_number_for_its_time_and_stay_what_they_are() -> None:
    """Smoke is smoke; neither a clear nor a line, nor another detector, nor anything later bears it."""
    tests = walking()
    assert tests.mark(SMOKE, 1000) == replace(SMOKE, window="7")
    for seen in (
        replace(SMOKE, kind=EventKind.CLEAR),
        replace(SMOKE, detector="det-3"),
        Observation(EventKind.ASSERT, Condition.BUS_DOWN, bus="bus-1"),
        Observation(EventKind.SNAPSHOT, states={"det-1": (Condition.SMOKE,)}),
    ):
        assert tests.mark(seen, 1000) == seen
    assert tests.mark(SMOKE, 1000 + 10 * MINUTE) == SMOKE
    assert tests.mark(SMOKE, 2000) == SMOKE, "what is over does not come back"


def test_the_number_goes_with_the_event() -> None:
    """On the wire and back; without one nothing is said."""
    stamp = Stamp(at_ms=1, mono_ms=2000, boot="0" * 32, synchronised=True)
    ((_, body),) = to_events(walking().mark(SMOKE, stamp.mono_ms), stamp, 1)
    assert decode_event(body).window == "7"
    ((_, plain),) = to_events(SMOKE, stamp, 1)
    assert b"window" not in plain


@given(st.floats(0.001, 1e9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_no_walk_test_lasts_longer_than_half_an_hour(lasts_s: float, begins: int, later: int) -> None:
    """Whatever it was told; and nothing but the number is ever changed."""
    tests = WalkTests()
    tests.begin("7", ["det-1"], begins, lasts_s)
    marked = tests.mark(SMOKE, begins + later)
    assert replace(marked, window=None) == SMOKE
    if later >= min(LONGEST_MS, lasts_s * 1000):
        assert marked == SMOKE
