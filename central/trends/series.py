"""From roll-ups to points that may be believed. Law of this file: doubtful values are dropped, not mended."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import date

from central.trends.fit import Point, spread
from central.trends.model import Bucket, Metric
from central.trends.thresholds import Approaching

BELIEVED: Mapping[Metric, tuple[float, float]] = {
    Metric.SMOKE: (0.0, 1e6),
    Metric.TEMPERATURE: (-60.0, 200.0),
    Metric.BATTERY: (0.0, 1000.0),
    Metric.CONTAMINATION: (0.0, 1000.0),
    Metric.CLOCK: (-1e7, 1e7),
}
"""Values outside were not measured."""
_ROUNDING = 1e-6
"""Values are kept in 32 bits: a mean may lie so far outside its own low and high."""
_SIDE = 3
"""Days on each side of a step that must agree."""
_SUDDEN = 0.6
"""The share of a step that must happen between two neighbouring days."""


def believed(
    buckets: Sequence[Bucket], metric: Metric, today: date, *, days: int, min_count: int, after: date | None
) -> list[Bucket]:
    """Complete, sane buckets of the last `days` days in order; of two of one day that with more readings."""
    lowest, highest = BELIEVED[metric]
    first = date.fromordinal(max(1, today.toordinal() - days))
    if after is not None and after > first:
        first = after
    best: dict[date, Bucket] = {}
    for bucket in [one for one in buckets if first <= one[0] < today]:
        day, low, high, mean, readings = bucket
        if not readings >= min_count:  # comparisons with NaN are false
            continue
        if not lowest <= low <= high <= highest or not (low <= mean <= high or _nearly(low, mean, high)):
            continue
        other = best.setdefault(day, bucket)
        if other.readings < readings:
            best[day] = bucket
    return [best[day] for day in sorted(best)]


def _nearly(low: float, mean: float, high: float) -> bool:
    slack = _ROUNDING * (abs(low) + abs(high))
    return low - slack <= mean <= high + slack


def resolution(buckets: Sequence[Bucket], known: float | None) -> float:
    """The steps in which the value is told: as known, else the smallest step between lows and highs."""
    if known is not None and math.isfinite(known) and known > 0:
        return known
    values = sorted({value for bucket in buckets for value in (bucket.low, bucket.high)})
    steps = [b - a for a, b in itertools.pairwise(values) if b - a > 1e-4 * max(1.0, abs(b))]
    return min(steps, default=0.0)


def last_step(points: Sequence[Point], rule: Approaching, steps: float) -> tuple[int, float] | None:
    """Where the value last jumped and stayed: the index of the first point after it, and by how much.

    `rule` in the unit of the points, `steps` their resolution; upwards is towards the limit.
    """
    if len(points) < 2 * _SIDE:
        return None
    changes = [b.y - a.y for a, b in itertools.pairwise(points)]
    least = max(rule.step, 2.5 * steps, 6 * spread(changes))
    for i in range(len(points) - _SIDE, _SIDE - 1, -1):
        sudden = changes[i - 1]
        if abs(sudden) < _SUDDEN * least:
            continue
        jump = _middle(points[i : i + _SIDE]) - _middle(points[i - _SIDE : i])
        missing = points[i].x - points[i - 1].x - 1 / rule.per_day
        needed = least + (rule.fast_per_day * missing if jump > 0 and missing > 0 else 0.0)
        if abs(jump) >= needed and sudden * jump > 0 and abs(sudden) >= _SUDDEN * abs(jump):
            return i, jump
    return None


def _middle(three: Sequence[Point]) -> float:
    return sorted(point.y for point in three)[_SIDE // 2]
