"""A battery that nears its end, and what only looks like it."""

from __future__ import annotations

import math

import pytest

from central.trends import End, Finding, Limits, Metric, Rule, Urgency
from tests.harness.trend_made import by_day, day, history, lived


def battery(
    volts: dict[int, float],
    first: int,
    last: int,
    warmth: dict[int, float] | None = None,
    limit: float | None = 2.4,
) -> list[Finding | None]:
    def made(number: int):
        days = {Metric.BATTERY: by_day({n: v for n, v in volts.items() if n < number}, 0.002)}
        if warmth is not None:
            days[Metric.TEMPERATURE] = by_day({n: v for n, v in warmth.items() if n < number}, 2.0)
        return history(days, limits=Limits(low_battery=limit))

    return [found.get(Rule.BATTERY) for found in lived(made, range(first, last))]


def worn(bend: float, days: int = 60) -> dict[int, float]:
    """2.95 V until day 40, then down to 2.4 V in so many days."""
    return {n: 2.95 - 0.55 * max(0.0, (n - 40) / days) ** bend for n in range(40 + days)}


@pytest.mark.parametrize("bend", [1, 2, 3])
@pytest.mark.parametrize("days", [30, 60, 120])
def test_the_end_is_found_a_week_before_or_earlier(bend: int, days: int) -> None:
    """Straight or bending down, fast or slow: time for a visit before it chirps."""
    findings = battery(worn(bend, days), 41, 40 + days)
    found = next(one for one in findings if one is not None)
    assert (day(40 + days) - found.since).days >= 7
    assert found.reach is not None
    assert abs((found.reach.expected - day(40 + days)).days) <= 0.4 * days
    assert "2.40 V" in found.text.zh
    assert "2.40 V" in found.text.en


def test_it_ends_when_the_battery_was_replaced() -> None:
    """The voltage jumps up and stays."""
    replaced = {n: volt if n < 85 else 3.05 for n, volt in worn(1).items()}
    findings = battery(replaced, 41, 100)
    ended = next(one for one in findings if one is not None and not one.open)
    assert ended.ended is not None
    assert (ended.ended.why, ended.ended.on) == (End.BATTERY_REPLACED, day(85))
    assert findings[-1] is None


def test_a_replaced_battery_alone_is_no_finding() -> None:
    """From an old plateau to a new one."""
    assert not any(battery({n: 2.75 if n < 50 else 3.05 for n in range(100)}, 1, 100))


def test_a_battery_of_another_kind_is_no_fall() -> None:
    """A step down that stays is a plateau, not a slope."""
    assert not any(battery({n: 3.1 if n < 50 else 2.7 for n in range(100)}, 1, 100))


def test_winter_is_no_end_of_a_battery() -> None:
    """Half a year from 30 to 5 degrees takes 75 mV; the voltage comes back with the spring."""
    warmth = {n: 17.5 + 12.5 * math.cos(2 * math.pi * n / 365) + 2 * math.sin(n * 1.7) for n in range(365)}
    volts = {n: 2.62 + 0.003 * (warm - 20) for n, warm in warmth.items()}
    assert not any(battery(volts, 1, 365, warmth))


def test_a_cold_snap_is_no_fall_when_the_temperature_explains_it() -> None:
    """Ten days that get colder by two degrees each: the volts alone would be a finding."""
    warmth = {n: 20.0 + 2 * math.sin(n * 1.7) - 2.0 * min(10, max(0, n - 60)) for n in range(75)}
    volts = {n: 2.46 + 0.003 * (warm - 20) for n, warm in warmth.items()}
    assert any(battery(volts, 61, 73))
    assert not any(battery(volts, 61, 73, warmth))


def test_the_first_cold_weeks_of_a_new_detector_are_no_end() -> None:
    """Nobody knows yet what a degree does to it: 30 mV of cold look like an end."""
    warmth = {n: 20.0 + 2 * math.sin(n * 1.7) - 0.5 * n for n in range(22)}
    volts = {n: 2.46 + 0.003 * (warm - 20) for n, warm in warmth.items()}
    assert any(battery(volts, 1, 23))
    assert not any(battery(volts, 1, 23, warmth))


def test_a_flat_battery_at_work_in_the_cold_is_still_found() -> None:
    """Freeing the voltage of the weather does not hide the end."""
    warmth = {n: 15 + 3 * math.sin(n * 1.7) for n in range(100)}
    volts = {n: volt + 0.003 * (warmth[n] - 20) for n, volt in worn(2).items()}
    found = next(one for one in battery(volts, 41, 93, warmth) if one is not None)
    assert found.since <= day(90)


def test_at_the_limit_it_says_now() -> None:
    """The device chirps already or will today."""
    volts = worn(1) | {n: 2.4 - 0.009 * (n - 100) for n in range(100, 106)}
    findings = [one for one in battery(volts, 41, 106) if one is not None]
    assert findings[-1].urgency is Urgency.NOW
    assert findings[-1].reach is None


@pytest.mark.parametrize("limit", [None, math.nan, math.inf, 0.0, -1.0])
def test_without_the_models_limit_nothing_is_said(limit: float | None) -> None:
    """No guess at what a battery of unknown kind may fall to."""
    assert not any(battery(worn(1), 41, 100, limit=limit))
