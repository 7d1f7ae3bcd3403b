"""The battery's end: voltage, freed of the weather, that falls towards the model's low-battery limit.

Law of this file: a cold week is no empty battery. How much a degree changes is taken from the detector's own
days, from changes over a few days in which ageing plays no part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from statistics import median

from central.trends import words
from central.trends.approach import Approach, since_last_step
from central.trends.finding import Told, judged
from central.trends.fit import Point
from central.trends.model import Bucket, DetectorHistory, End, Finding, Metric, Picture, Reach, Rule, Said
from central.trends.picture import line_to, of_days
from central.trends.series import believed, resolution
from central.trends.thresholds import Approaching, Thresholds

_LAG_DAYS = 3
_PAIRS = 20
"""Fewer pairs of days say nothing about the effect of temperature."""
_MOVED = 0.5
"""Nor do temperatures that vary less than this (standard deviation of their changes, degrees)."""


def judge(
    history: DetectorHistory, before: Finding | None, today: date, thresholds: Thresholds
) -> Finding | None:
    """The battery of one detector; without the model's limit nothing is said."""
    limit = history.limits.low_battery
    if limit is None or not math.isfinite(limit) or limit <= 0:
        return None
    metric = Metric.BATTERY
    rule = _in_volts(thresholds.battery, limit)
    days, warmth = (
        believed(
            history.days.get(one, ()),
            one,
            today,
            days=thresholds.history_days,
            min_count=thresholds.min_count,
            after=history.fitted_on,
        )
        for one in (metric, Metric.TEMPERATURE)
    )
    points = _freed_of_weather(days, warmth, thresholds.battery_warmth * limit, rule.step)
    steps = resolution(days, history.resolution.get(metric))
    track = since_last_step(points, -limit, steps, rule)

    def text(approach: Approach, reach: Reach | None) -> Said:
        line, span = approach.line, points[-1].x - approach.began
        return words.battery(
            round(span), line.slope * span - line.level, -line.level, line.slope, limit, reach
        )

    def picture(approach: Approach | None) -> Picture:
        if approach is None:
            return of_days(metric, days, limit=limit)
        return of_days(metric, days, line=line_to(limit, approach, points[-1].x, sign=-1), limit=limit)

    told = Told(Rule.BATTERY, metric, history.detector, -1, End.BATTERY_REPLACED, text, picture)
    return judged(track, rule, told, before, today, history.fitted_on)


def _in_volts(rule: Approaching, limit: float) -> Approaching:
    return replace(
        rule,
        step=rule.step * limit,
        fast_per_day=rule.fast_per_day * limit,
        min_rise=rule.min_rise * limit,
        recede=rule.recede * limit,
    )


def _freed_of_weather(
    days: Sequence[Bucket], warmth: Sequence[Bucket], most: float, step: float
) -> list[Point]:
    """Points turned upside down, as if every day had been as warm as the newest ones.

    Where temperature matters, a day without it is left out: its voltage cannot be compared. While it is
    measured but nobody knows yet whether it matters, there are no points: a cold week would look like an end.
    """
    volts = {bucket.day.toordinal(): bucket.mean for bucket in days}
    degrees = {bucket.day.toordinal(): bucket.mean for bucket in warmth}
    found = _per_degree(volts, degrees, step)
    if found is None:
        return [] if degrees else [Point(float(day), -volt) for day, volt in volts.items()]
    per_degree = min(most, max(0.0, found))
    if per_degree == 0:
        return [Point(float(day), -volt) for day, volt in volts.items()]
    usual = median([bucket.mean for bucket in warmth[-14:]])
    return [
        Point(float(day), per_degree * (degrees[day] - usual) - volt)
        for day, volt in volts.items()
        if day in degrees
    ]


def _per_degree(volts: Mapping[int, float], degrees: Mapping[int, float], step: float) -> float | None:
    """Volt per degree by least squares over changes; 0 where it is always as warm, None for too few days."""
    pairs = [
        (volts[day] - volts[day - _LAG_DAYS], degrees[day] - degrees[day - _LAG_DAYS])
        for day in volts
        if day in degrees and day - _LAG_DAYS in volts and day - _LAG_DAYS in degrees
    ]
    pairs = [pair for pair in pairs if abs(pair[0]) < step]
    if len(pairs) < _PAIRS:
        return None
    mean_volt = sum(volt for volt, _ in pairs) / len(pairs)
    mean_warm = sum(warm for _, warm in pairs) / len(pairs)
    spread = sum((warm - mean_warm) ** 2 for _, warm in pairs)
    if spread < _MOVED**2 * len(pairs):
        return 0.0
    return sum((volt - mean_volt) * (warm - mean_warm) for volt, warm in pairs) / spread
