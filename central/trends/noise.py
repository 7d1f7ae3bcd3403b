"""Smoke that comes near the alarm threshold at the same hours on most days: a kitchen, a shrine, a smoker.

Law of this file: days are counted, never judged by a mean; a day without data is a day without a peak.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from statistics import median

from central.trends import words
from central.trends.finding import ended
from central.trends.model import Bucket, DetectorHistory, End, Finding, Hour, Metric, Picture, Rule, Urgency
from central.trends.picture import UNIT, rounded
from central.trends.series import BELIEVED, believed
from central.trends.thresholds import Noise, Thresholds

_HOURS = 24


def judge(
    history: DetectorHistory, before: Finding | None, today: date, thresholds: Thresholds
) -> Finding | None:
    """The habit of one home; without the model's alarm threshold nothing is said."""
    rule, alarm_at = thresholds.noise, history.limits.smoke_alarm
    if alarm_at is None or not math.isfinite(alarm_at) or alarm_at <= 0:
        return None
    days = believed(
        history.days.get(Metric.SMOKE, ()),
        Metric.SMOKE,
        today,
        days=rule.quiet_days,
        min_count=thresholds.min_count,
        after=history.fitted_on,
    )
    near = rule.near * alarm_at
    peaked = [bucket.day for bucket in days if bucket.high >= near]
    opened = before if before is not None and before.open else None
    if opened is not None and history.fitted_on is not None and history.fitted_on > opened.since:
        return ended(opened, history.fitted_on, End.DETECTOR_REPLACED)
    if opened is None and len(peaked) < rule.at_least:
        return None
    peaks = _peaks(history.smoke_hours, set(peaked), near)
    start, count = _busiest(peaks, rule, today)
    if count >= rule.at_least:
        return _finding(history, opened, today, rule, days, peaks, start, count, alarm_at)
    return None if opened is None else _kept(opened, thresholds, days, peaked, today)


def _peaks(hours: Sequence[Hour], days: set[date], near: float) -> Mapping[date, Mapping[int, float]]:
    """The hours with a peak, by day."""
    highest = BELIEVED[Metric.SMOKE][1]
    found: dict[date, dict[int, float]] = {}
    for day, hour, _, high, _, _ in hours:
        if day in days and near <= high <= highest and 0 <= hour < _HOURS:
            of_day = found.setdefault(day, {})
            of_day[hour] = max(high, of_day.get(hour, high))
    return found


def _busiest(peaks: Mapping[date, Mapping[int, float]], rule: Noise, today: date) -> tuple[int, int]:
    """The hours that most days share: where they start, and on how many of the last `days` days."""
    first = today - timedelta(days=rule.days)
    recent = [hours for day, hours in peaks.items() if first <= day < today]
    counts = [
        sum(any(start <= hour < start + rule.span_hours for hour in hours) for hours in recent)
        for start in range(_HOURS - rule.span_hours + 1)
    ]
    best = max(counts)
    return _centred([start for start, count in enumerate(counts) if count == best]), best


def _centred(starts: Sequence[int]) -> int:
    return starts[len(starts) // 2]


def _finding(
    history: DetectorHistory,
    before: Finding | None,
    today: date,
    rule: Noise,
    days: Sequence[Bucket],
    peaks: Mapping[date, Mapping[int, float]],
    start: int,
    count: int,
    alarm_at: float,
) -> Finding:
    end = start + rule.span_hours
    heights = {
        day: max(of_day)
        for day, hours in peaks.items()
        if (of_day := [high for hour, high in hours.items() if start <= hour < end])
    }
    level = median(heights.values())
    return Finding(
        rule=Rule.UNUSUAL_NOISE,
        part=history.detector,
        metric=Metric.SMOKE,
        since=today if before is None else before.since,
        began=min(heights) if before is None else before.began,
        last=max(heights),
        urgency=Urgency.SOON if level >= alarm_at else Urgency.PLAN,
        raised_at=level if before is None else before.raised_at,
        level=level,
        limit=alarm_at,
        per_day=None,
        reach=None,
        text=words.noise(count, rule.days, (start, end), 100 * level / alarm_at, 100 * rule.near),
        picture=_picture(days, rule, alarm_at, (start, end)),
    )


def _kept(
    before: Finding, thresholds: Thresholds, days: Sequence[Bucket], peaked: Sequence[date], today: date
) -> Finding:
    """The same, or over: enough is known and it was quiet, or nothing is known for long."""
    rule = thresholds.noise
    if (today - before.last).days > thresholds.forget_days and not days:
        return ended(before, today, End.NO_DATA)
    if len(days) >= rule.quiet_known and len(peaked) <= rule.quiet_most:
        return ended(before, max(peaked) + timedelta(days=1) if peaked else days[0].day, End.QUIETED)
    return before


def _picture(days: Sequence[Bucket], rule: Noise, alarm_at: float, hours: tuple[int, int]) -> Picture:
    points = tuple(
        (day.day.isoformat(), rounded(day.low), rounded(day.mean), rounded(day.high)) for day in days
    )
    return Picture(
        Metric.SMOKE, UNIT[Metric.SMOKE], points, limit=alarm_at, near=rule.near * alarm_at, hours=hours
    )
