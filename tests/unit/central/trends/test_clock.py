"""A gateway's clock that runs away."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from central.trends import ClockSample, End, Finding, Rule, Urgency, judge_gateway
from tests.harness.trend_made import START, day

ZERO = datetime(START.year, START.month, START.day, tzinfo=UTC)


def samples(offset: Callable[[float], float | None], days: int) -> list[ClockSample]:
    """One an hour; `offset` of the time in days, None for nothing heard."""
    return [
        ClockSample(ZERO + timedelta(hours=hour), value)
        for hour in range(24 * days)
        if (value := offset(hour / 24)) is not None
    ]


def clock(offset: Callable[[float], float | None], days: int) -> list[Finding | None]:
    heard, before, found = samples(offset, days), None, []
    for number in range(1, days + 1):
        known = [one for one in heard if one.at < ZERO + timedelta(days=number)]
        before = judge_gateway(known, before, day(number))
        found.append(before)
    return found


@pytest.mark.parametrize("per_day", [-8.0, -3.0, 3.0, 8.0])
def test_a_clock_without_a_time_server_is_found_before_it_is_wrong(per_day: float) -> None:
    """Slow or fast: the words say which, how much a day, and until when."""
    findings = clock(lambda x: per_day * max(0.0, x - 5), 14)
    found = next(one for one in findings if one is not None)
    assert found.rule is Rule.CLOCK_DRIFT
    assert found.part == ""
    assert found.per_day == pytest.approx(per_day, rel=0.1)
    assert found.reach is not None
    assert abs((found.reach.expected - day(5)).days - 60 / abs(per_day)) <= 2
    assert ("慢" if per_day > 0 else "快") in found.text.zh
    assert ("loses" if per_day > 0 else "gains") in found.text.en
    assert "time server" in found.text.en


def test_more_than_a_quartz_errs_is_a_broken_clock() -> None:
    """The advice is another: look at the gateway."""
    found = next(one for one in clock(lambda x: 15 * max(0.0, x - 5), 8) if one is not None)
    assert "时钟本身可能损坏" in found.text.zh
    assert "broken" in found.text.en


def test_past_the_limit_it_says_now() -> None:
    """The centre has raised its own alarm by then."""
    findings = clock(lambda x: 8 * max(0.0, x - 5), 14)
    assert findings[-1] is not None
    assert findings[-1].urgency is Urgency.NOW
    assert findings[-1].open


def test_it_ends_when_the_clock_was_set() -> None:
    """And does not come back."""
    findings = clock(lambda x: 0.0 if x < 5 or x >= 10 else 5 * (x - 5), 20)
    ended = next(one for one in findings if one is not None and not one.open)
    assert ended.ended is not None
    assert ended.ended.why is End.CLOCK_SET
    assert findings[-1] is None


@pytest.mark.parametrize(
    "offset",
    [
        lambda _: 0.02,
        lambda x: 0.3 * math.sin(9 * x),
        lambda x: 4 * (x % 1),
        lambda x: 0.0 if x < 5 else 40.0,
        lambda x: 0.0 if int(24 * x) % 50 else -3e8,
        lambda x: None if 3 < x < 9 else 0.0,
        lambda x: 4 * max(0.0, min(x, 6) - 5) if x < 6 else 0.0,
    ],
    ids=["good", "jitter", "set once a day", "one jump", "wild samples", "silence", "a day without a server"],
)
def test_what_a_healthy_gateway_does_is_no_drift(offset: Callable[[float], float | None]) -> None:
    """A time server that sets it hourly, daily, or is away for a day."""
    assert not any(clock(offset, 20))


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf, 1e300, -3e8])
def test_garbage_between_good_samples_is_as_if_it_were_not_there(wild: float) -> None:
    """A box that booted in 1970 for an hour."""
    good = samples(lambda x: 5 * max(0.0, x - 5), 10)
    bad = [ClockSample(one.at + timedelta(minutes=9), wild) for one in good[::3]]
    assert judge_gateway([*good, *bad], None, day(10)) == judge_gateway(good, None, day(10))
    assert judge_gateway(bad, None, day(10)) is None


def test_silence_keeps_it_and_a_month_of_it_ends_it() -> None:
    """No samples are no news."""
    findings = clock(lambda x: 5 * max(0.0, x - 5) if x < 10 else None, 45)
    assert findings[20] is not None
    assert findings[20].open
    ended = next(one for one in findings if one is not None and not one.open)
    assert ended.ended is not None
    assert ended.ended.why is End.NO_DATA
