"""Which roll-up serves which range."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.store.resolution import MOST_SLOTS, Source, choose

NOW = datetime(2026, 6, 1, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "points", "source", "width"),
    [
        (timedelta(minutes=10), 600, Source.RAW, timedelta(seconds=1)),
        (timedelta(hours=1), 500, Source.RAW, timedelta(seconds=10)),
        (timedelta(days=1), 500, Source.MINUTE, timedelta(minutes=5)),
        (timedelta(days=7), 500, Source.MINUTE, timedelta(minutes=30)),
        (timedelta(days=30), 2000, Source.HOUR, timedelta(hours=1)),
        (timedelta(days=80), 500, Source.HOUR, timedelta(hours=6)),
        (timedelta(days=1800), 500, Source.DAY, timedelta(days=7)),
    ],
)
def test_a_range_is_shown_as_finely_as_the_screen_can(
    span: timedelta, points: int, source: Source, width: timedelta
) -> None:
    """Never more buckets than were asked for by much."""
    found = choose(NOW - span, NOW, points, NOW)
    assert (found.source, found.width) == (source, width)


def test_what_is_forgotten_is_asked_of_the_next_coarser_roll_up() -> None:
    """An hour a hundred days ago has no raw readings any more, one six years ago no hours."""
    for days, source in ((80, Source.RAW), (100, Source.MINUTE), (400, Source.HOUR), (2200, Source.DAY)):
        begin = NOW - timedelta(days=days)
        assert choose(begin, begin + timedelta(hours=1), 500, NOW).source is source


@given(
    st.timedeltas(timedelta(0), timedelta(days=7000)),
    st.timedeltas(timedelta(milliseconds=1), timedelta(days=7310)),
    st.integers(1, 2000),
)
def test_any_range_is_covered_by_a_bounded_number_of_buckets(
    ago: timedelta, span: timedelta, points: int
) -> None:
    """On the grid, from before its begin to behind its end; roll-ups are read in bounded number."""
    begin = NOW - ago
    found = choose(begin, begin + span, points, NOW)
    assert found.begin <= begin < found.begin + found.width
    assert found.end - found.width < begin + span <= found.end
    assert (found.end - found.begin) % found.width == timedelta(0)
    buckets = (found.end - found.begin) / found.width
    days = span / timedelta(days=1)
    assert buckets <= max(points, days / 28) + 2
    slots = {Source.RAW: 0.0, Source.MINUTE: days * 1440, Source.HOUR: days * 24, Source.DAY: days}
    assert slots[found.source] <= MOST_SLOTS
