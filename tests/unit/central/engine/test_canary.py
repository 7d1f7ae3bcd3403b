"""The hourly canary: missed when it is late, and only when nothing else explains that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from central.engine.canary import EVERY, SLACK, is_overdue

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
LONG = timedelta(days=9)
minutes = st.integers(0, 10_000).map(lambda count: timedelta(minutes=count))


def test_who_never_sent_one_and_who_has_just_started_is_not_missed() -> None:
    """The agent counts its hour from its start."""
    assert not is_overdue(None, NOW, None, LONG)
    assert not is_overdue(NOW - LONG, NOW, None, EVERY)
    assert is_overdue(NOW - LONG, NOW, None, EVERY + SLACK)


@given(since=minutes, settled=minutes, uptime=minutes)
def test_late_is_an_hour_and_a_quarter_of_undisturbed_time(
    since: timedelta, settled: timedelta, uptime: timedelta
) -> None:
    """A return from silence, of the gateway or of ours, gives what waits the time to come."""
    late = is_overdue(NOW - since, NOW, NOW - settled, uptime)
    assert late is (since > EVERY + SLACK and settled >= SLACK and uptime >= EVERY + SLACK)
