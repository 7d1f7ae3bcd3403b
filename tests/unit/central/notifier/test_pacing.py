"""A provider's allowance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from central.notifier.pacing import Allowance

BEGIN = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=120))
def test_no_minute_sees_more_than_its_allowance(asked: list[tuple[int, bool]]) -> None:
    """Whatever is asked for and when; and whoever waits as told is let through, if alone."""
    allowance, now, went = Allowance(20, MINUTE), BEGIN, []
    for pause, urgent in asked:
        now += timedelta(seconds=pause)
        wait = allowance.take(now, urgent=urgent)
        if wait is None:
            went.append(now)
        else:
            assert timedelta(0) < wait <= MINUTE
    assert all(sum(at <= other < at + MINUTE for other in went) <= 20 for at in went)
    wait = allowance.take(now, urgent=True)
    if wait is not None:
        assert allowance.take(now + wait, urgent=True) is None


def test_a_clock_that_goes_back_locks_nobody_out() -> None:
    """What was sent in a future that is none any more does not count."""
    allowance = Allowance(2, MINUTE)
    assert [allowance.take(BEGIN, urgent=True) for _ in range(3)][:2] == [None, None]
    assert allowance.take(BEGIN - timedelta(hours=1), urgent=True) is None
