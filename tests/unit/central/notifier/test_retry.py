"""When a message is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.notifier.channel import Rejected, Sent, TryLater
from central.notifier.retry import next_try

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DOWN = TryLater(None, "down")


@pytest.mark.parametrize("outcome", [Sent(), Sent("id"), Rejected("no")])
@pytest.mark.parametrize("urgent", [True, False])
def test_what_is_sent_or_refused_for_good_is_not_tried_again(outcome: Sent | Rejected, urgent: bool) -> None:
    """Neither a yes nor a lasting no is repeated."""
    assert next_try(1, outcome, NOW, urgent=urgent) is None


def test_an_urgent_message_backs_off_to_a_minute_and_no_further() -> None:
    """2, 4, 8, 16, 32, 60, 60 ... s."""
    waits = [next_try(n, DOWN, NOW, urgent=True) for n in range(1, 9)]
    assert [(at - NOW).total_seconds() for at in waits if at] == [2, 4, 8, 16, 32, 60, 60, 60]


@given(st.integers(1, 10**9))
def test_an_urgent_message_is_never_given_up(attempts: int) -> None:
    """However often it failed for a passing reason, it is tried again within a minute."""
    at = next_try(attempts, DOWN, NOW, urgent=True)
    assert at is not None
    assert timedelta(seconds=2) <= at - NOW <= timedelta(seconds=60)


def test_small_news_is_given_up_in_the_end() -> None:
    """Twelve tries within the hour."""
    waits = [next_try(n, DOWN, NOW, urgent=False) for n in range(1, 13)]
    assert waits[-1] is None
    assert None not in waits[:-1]
    total = sum(((at - NOW) for at in waits if at), timedelta())
    assert timedelta(minutes=10) < total < timedelta(hours=1)


@pytest.mark.parametrize(
    ("after", "urgent", "wait"),
    [
        (timedelta(seconds=7), True, timedelta(seconds=7)),
        (timedelta(0), True, timedelta(seconds=1)),
        (timedelta(seconds=-5), False, timedelta(seconds=1)),
        (timedelta(hours=5), True, timedelta(minutes=5)),
        (timedelta(hours=5), False, timedelta(hours=1)),
    ],
)
def test_a_provider_that_asks_for_patience_gets_it_within_bounds(
    after: timedelta, urgent: bool, wait: timedelta
) -> None:
    """Not at once, and for smoke not in hours."""
    at = next_try(1, TryLater(after, "slow down"), NOW, urgent=urgent)
    assert at == NOW + wait
