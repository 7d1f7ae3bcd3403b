"""Spans in which something was away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from central.store.spans import Span, clipped, down_spans, holes, merged, seconds

ZERO = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: float) -> datetime:
    return ZERO + timedelta(minutes=minute)


def span(begin: float, end: float, why: str = "") -> Span:
    return Span(at(begin), at(end), why)


def change(alarm: int, to_state: str, minute: float, condition: str = "no_response") -> dict[str, object]:
    row: dict[str, object] = {"id": alarm, "gateway": "g", "part": "d", "condition": condition}
    return {**row, "to_state": to_state, "at": at(minute)}


def test_an_alarm_is_a_span_from_its_first_assert_to_its_end() -> None:
    """Acknowledging or not knowing ends nothing; an open one lasts until now."""
    changes = [
        change(1, "active_unacknowledged", 1),
        change(1, "active_acknowledged", 2),
        change(1, "active_unknown", 3),
        change(1, "closed", 5),
        change(2, "active_unacknowledged", 7, "bus_down"),
    ]
    assert down_spans(changes, at(9)) == {("g", "d"): [span(1, 5, "no_response"), span(7, 9, "bus_down")]}


def test_holes_are_where_buckets_are_missing_for_long_enough() -> None:
    """At the begin, in the middle and at the end."""
    minute = timedelta(minutes=1)
    starts = [at(3), at(4), at(9), at(10)]
    assert holes(starts, minute, span(0, 12), timedelta(minutes=2)) == [span(0, 3), span(5, 9)]
    assert holes([], minute, span(0, 12), timedelta(minutes=2)) == [span(0, 12)]
    assert holes(starts, minute, span(0, 13), timedelta(minutes=2))[-1] == span(11, 13)


spans = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 50)).map(lambda pair: span(pair[0], pair[0] + pair[1]))
)


@given(spans, spans)
def test_merged_spans_cover_each_moment_once(some: list[Span], windows: list[Span]) -> None:
    """Counted minute by minute."""
    apart = merged(windows)
    covered = {m for s in some for m in range(300) if s.begin <= at(m) < s.end}
    within = {m for w in windows for m in range(300) if w.begin <= at(m) < w.end}
    assert seconds(merged(some)) == 60 * len(covered)
    assert seconds(merged(clipped(some, apart))) == 60 * len(covered & within)
