"""The data of a finding's drawing. Law of this file: bounded, and only values that were measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from central.trends.model import Bucket, Metric, Picture

MOST_POINTS = 120
AHEAD_DAYS = 60
"""How far the line is drawn beyond the last point."""
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


def line_between(
    began: float, last: float, level: float, slope: float, days_left: float, *, hours: bool = False
) -> tuple[tuple[str, float], ...]:
    """The fitted line from where its window began to where it meets the limit, at most `AHEAD_DAYS` on."""
    ahead = min(days_left, AHEAD_DAYS)
    return (
        (_stamp(began, hours=hours), rounded(level - slope * (last - began))),
        (_stamp(last + ahead, hours=hours), rounded(level + slope * ahead)),
    )


def rounded(value: float) -> float:
    """Four figures behind the point are more than any detector tells."""
    return round(value, 4)


def _stamp(x: float, *, hours: bool) -> str:
    day = date.fromordinal(math.floor(x))
    if not hours:
        return day.isoformat()
    moment = datetime.combine(day, datetime.min.time()) + timedelta(days=x - math.floor(x))
    return moment.replace(second=0, microsecond=0).isoformat()
