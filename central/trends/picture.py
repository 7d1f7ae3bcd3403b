"""The data of a finding's drawing. Law of this file: bounded, and only values that were measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from central.trends.approach import Approach
from central.trends.model import Bucket, Metric, Picture

MOST_POINTS = 120
UNIT = {
    Metric.SMOKE: "",
    Metric.TEMPERATURE: "°C",
    Metric.BATTERY: "V",
    Metric.CONTAMINATION: "%",
    Metric.CLOCK: "s",
}


def of_days(
    metric: Metric,
    buckets: Sequence[Bucket],
    *,
    line: tuple[tuple[str, float], ...] = (),
    limit: float | None = None,
) -> Picture:
    """The newest days as they were, with a line."""
    points = tuple(
        (bucket.day.isoformat(), rounded(bucket.low), rounded(bucket.mean), rounded(bucket.high))
        for bucket in buckets[-MOST_POINTS:]
    )
    return Picture(metric, UNIT[metric], points, line, limit)


def line_to(
    limit: float, approach: Approach, last: float, *, sign: int = 1, hours: bool = False
) -> tuple[tuple[str, float], ...]:
    """The fitted line from where its window began to the last point, and on to the limit on the expected day.

    The second part is steeper where the points bend. `sign` turns the line back as the points were turned.
    """
    line = approach.line
    drawn = [
        (approach.began, line.level - line.slope * (last - approach.began)),
        (last, line.level),
    ]
    if approach.days_left > 0:
        drawn.append((last + approach.days_left, sign * limit))
    return tuple((stamp(x, hours=hours), rounded(sign * y)) for x, y in drawn)


def rounded(value: float) -> float:
    """Four figures behind the point are more than any detector tells."""
    return round(value, 4)


def stamp(x: float, *, hours: bool) -> str:
    """A day, or a moment of it to the minute."""
    day = date.fromordinal(math.floor(x))
    if not hours:
        return day.isoformat()
    moment = datetime.combine(day, datetime.min.time()) + timedelta(days=x - math.floor(x))
    return moment.replace(second=0, microsecond=0).isoformat()
