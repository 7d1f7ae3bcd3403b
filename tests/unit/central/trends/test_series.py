"""What is believed of roll-ups."""

from __future__ import annotations

import math

import pytest

from central.trends.fit import Point
from central.trends.model import Bucket, Metric
from central.trends.series import believed, last_step, resolution
from central.trends.thresholds import Thresholds
from tests.harness.trend_made import by_day, day

DUST = Thresholds().contamination


def kept(buckets: list[Bucket], today: int = 30, after: int | None = None) -> list[Bucket]:
    return believed(
        buckets,
        Metric.CONTAMINATION,
        day(today),
        days=20,
        min_count=4,
        after=None if after is None else day(after),
    )


@pytest.mark.parametrize(
    "bad",
    [
        Bucket(day(25), math.nan, 5.0, 5.0, 24),
        Bucket(day(25), 5.0, math.inf, 5.0, 24),
        Bucket(day(25), 5.0, 5.0, math.nan, 24),
        Bucket(day(25), -1.0, 5.0, 2.0, 24),
        Bucket(day(25), 6.0, 5.0, 5.5, 24),
        Bucket(day(25), 4.0, 5.0, 9.0, 24),
        Bucket(day(25), 5.0, 65535.0, 60.0, 24),
        Bucket(day(25), 5.0, 5.0, 5.0, 3),
        Bucket(day(25), 5.0, 5.0, 5.0, -1),
        Bucket(day(30), 5.0, 5.0, 5.0, 24),
        Bucket(day(31), 5.0, 5.0, 5.0, 24),
        Bucket(day(9), 5.0, 5.0, 5.0, 24),
    ],
)
def test_what_was_not_measured_or_is_not_a_complete_day_is_left_out(bad: Bucket) -> None:
    """NaN, impossible values, too few readings, today, the future, and what is too old."""
    assert kept([bad]) == []


def test_days_come_in_order_and_once() -> None:
    """Of two buckets of a day the one with more readings counts, whatever their order."""
    few, many = Bucket(day(20), 1.0, 1.0, 1.0, 5), Bucket(day(20), 2.0, 2.0, 2.0, 20)
    last = Bucket(day(21), 3.0, 3.0, 3.0, 20)
    assert kept([last, few, many]) == kept([many, few, last]) == [many, last]


def test_days_before_the_detector_hung_there_are_another_detectors() -> None:
    """A replaced detector starts anew."""
    assert [bucket.day for bucket in kept(by_day([5.0] * 30), after=28)] == [day(28), day(29)]


def test_a_mean_outside_by_rounding_is_believed() -> None:
    """Values are kept in 32 bits."""
    assert len(kept([Bucket(day(25), 0.1, 0.1, 0.1000000015, 24)])) == 1


def test_the_resolution_is_the_smallest_step_seen_unless_it_is_known() -> None:
    """Nothing that moves less than one step is a movement."""
    buckets = by_day([5.0, 10.0, 10.0, 20.0])
    assert resolution(buckets, None) == 5.0
    assert resolution(buckets, 0.1) == 0.1
    assert resolution(buckets, math.nan) == 5.0
    assert resolution(by_day([5.0, 5.0]), None) == 0.0


def step(values: dict[int, float]) -> tuple[int, float] | None:
    return last_step([Point(float(x), y) for x, y in values.items()], DUST, 0.1)


def test_a_jump_that_stays_is_a_step_and_a_single_wild_day_is_none() -> None:
    """Cleaning and builders' dust stay, a spike does not."""
    flat = dict(enumerate([30.0, 30.1] * 10))
    assert step(flat) is None
    assert step({n: value if n < 12 else value - 25 for n, value in flat.items()}) == (
        12,
        pytest.approx(-25, abs=1),
    )
    assert step({n: value if n < 12 else value + 25 for n, value in flat.items()}) == (
        12,
        pytest.approx(25, abs=1),
    )
    assert step({**flat, 9: 90.0}) is None


def test_a_steep_climb_is_no_step() -> None:
    """Three per cent a day is a trend."""
    assert step({n: 10.0 + 3 * n for n in range(20)}) is None


def test_what_grew_in_a_gap_is_no_step_but_what_fell_in_it_is() -> None:
    """Dust may have settled while nobody looked; it does not leave by itself."""
    before = {n: 20.0 + n % 2 / 10 for n in range(10)}
    assert step(before | {n: 40.0 + n % 2 / 10 for n in range(20, 30)}) is None
    assert step(before | {n: 6.0 + n % 2 / 10 for n in range(20, 30)}) == (10, pytest.approx(-14, abs=1))
