"""When an event happened, by the best evidence there is."""

from __future__ import annotations

import pytest

from wire.clock import corrected_event_ms
from wire.messages import Clock, Event, EventBatch, EventKind

NOW = 1_795_000_000_000
THIS, EARLIER = "a" * 32, "b" * 32


def found(
    *, offset=None, event_mono=9_000, at_ms=NOW, synchronised=False, boot=THIS, wall_ms=NOW, received=NOW
):
    event = Event(1, EventKind.CANARY, at_ms, event_mono, synchronised=synchronised)
    clock = Clock(mono_ms=10_000, wall_ms=wall_ms, offset_ms=offset)
    batch = EventBatch("c" * 32, 1, 1, boot, THIS, clock, [event])
    return tuple(corrected_event_ms(batch, event, received))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"offset": 500}, (NOW + 500 - 1000, "exact"), id="offset known"),
        pytest.param(
            {"offset": NOW - 5, "wall_ms": 5}, (NOW - 1000, "exact"), id="agent in 1970, offset known"
        ),
        pytest.param({"wall_ms": 5, "at_ms": 5}, (NOW - 1000, "aged"), id="agent in 1970, no offset"),
        pytest.param({"event_mono": 10_001}, (NOW, "received"), id="monotonic clock ran backward"),
        pytest.param({"offset": 400_000}, (NOW, "received"), id="far future is clamped"),
        pytest.param({"offset": 100_000}, (NOW + 99_000, "exact"), id="a little early is believed"),
        pytest.param(
            {"boot": EARLIER, "at_ms": NOW - 7, "synchronised": True},
            (NOW - 7, "raw"),
            id="earlier boot, right clock",
        ),
        pytest.param(
            {"boot": EARLIER, "at_ms": NOW - 7}, (NOW, "received"), id="earlier boot, unknown clock"
        ),
        pytest.param(
            {"boot": EARLIER, "at_ms": 4_000_000_000_000, "synchronised": True},
            (NOW, "received"),
            id="2099 claims truth",
        ),
        pytest.param(
            {"boot": EARLIER, "at_ms": 9, "synchronised": True}, (NOW, "received"), id="1970 claims truth"
        ),
        pytest.param({"event_mono": -(2**50)}, (NOW, "received"), id="absurd age"),
    ],
)
def test_an_event_is_dated_by_the_best_evidence(given, expected):
    """Each kind of evidence, and each kind of nonsense."""
    assert found(**given) == expected
