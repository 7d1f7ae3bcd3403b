"""A sensor that is dead without saying so: its value stands still while others of the model move.

Law of this file: stillness alone proves nothing. A coarse value in clean air stands still by nature, so the
detector's own past and its peers must show that the value should move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from central.trends import words
from central.trends.finding import ended
from central.trends.model import Bucket, DetectorHistory, End, Finding, Metric, Peer, Rule, Urgency
from central.trends.picture import UNIT, of_days
from central.trends.series import believed, resolution
from central.trends.thresholds import Stuck, Thresholds

_METRICS = (Metric.SMOKE, Metric.TEMPERATURE)


def peer(
    buckets: Sequence[Bucket], metric: Metric, today: date, thresholds: Thresholds, steps: float | None = None
) -> Peer:
    """What a detector shows to others of its model: its days and on how many its value moved."""
    days = believed(
        buckets, metric, today, days=thresholds.stuck.days, min_count=thresholds.min_count, after=None
    )
    least = 0.5 * resolution(days, steps)
    return Peer(len(days), sum(_moved(bucket, least) for bucket in days))


def judge(
    history: DetectorHistory, before: Finding | None, today: date, thresholds: Thresholds
) -> Finding | None:
    """Smoke first, then temperature; an open finding stays with its metric."""
    if before is None or not before.open:
        found = (_opened(history, metric, today, thresholds) for metric in _METRICS)
        return next((one for one in found if one is not None), None)
    if history.fitted_on is not None and history.fitted_on > before.since:
        return ended(before, history.fitted_on, End.DETECTOR_REPLACED)
    days, least = _days(history, before.metric, today, thresholds)
    rule = thresholds.stuck
    if not days:
        gone = (today - before.last).days > thresholds.forget_days
        return ended(before, today, End.NO_DATA) if gone else before
    moving = [bucket.day for bucket in days[-rule.again_of :] if _moved(bucket, least)]
    if len(moving) >= rule.again and moving[0] > before.began:
        return ended(before, moving[0], End.VARIES_AGAIN)
    again = _opened(history, before.metric, today, thresholds)
    if again is None:
        return before
    return replace(
        again, since=before.since, began=min(before.began, again.began), raised_at=before.raised_at
    )


def _opened(history: DetectorHistory, metric: Metric, today: date, thresholds: Thresholds) -> Finding | None:
    rule = thresholds.stuck
    seen = peer(history.days.get(metric, ()), metric, today, thresholds, history.resolution.get(metric))
    if seen.days < rule.covered or seen.varied:
        return None
    days, least = _days(history, metric, today, thresholds)
    still = _still(days, least)
    recent = [bucket for bucket in still if (today - bucket.day).days <= rule.days]
    if len(recent) < rule.covered:
        return None
    if len([b for b in days if (today - b.day).days <= rule.days]) > len(recent):
        return None
    past = days[: len(days) - len(still)]
    others = [one for one in history.peers.get(metric, ()) if one.days >= rule.covered]
    if not _should_move(past, others, least, rule):
        return None
    value = still[-1].mean
    return Finding(
        rule=Rule.SENSOR_STUCK,
        part=history.detector,
        metric=metric,
        since=today,
        began=still[0].day,
        last=still[-1].day,
        urgency=Urgency.SOON,
        raised_at=value,
        level=value,
        limit=None,
        per_day=None,
        reach=None,
        text=words.stuck(metric, still[0].day, len(still), f"{value:.2f}{UNIT[metric]}", len(others)),
        picture=of_days(metric, days),
    )


def _should_move(past: Sequence[Bucket], others: Sequence[Peer], least: float, rule: Stuck) -> bool:
    lively = sum(2 * one.varied >= one.days for one in others)
    if len(past) >= rule.past_days:
        own = sum(_moved(bucket, least) for bucket in past) / len(past)
        return (
            own >= rule.past_share and len(others) >= rule.peers and lively >= rule.peer_share * len(others)
        )
    return not past and len(others) >= rule.peers_without_past and lively == len(others)


def _days(
    history: DetectorHistory, metric: Metric, today: date, thresholds: Thresholds
) -> tuple[list[Bucket], float]:
    """Its days, and what counts as having moved."""
    days = believed(
        history.days.get(metric, ()),
        metric,
        today,
        days=thresholds.history_days,
        min_count=thresholds.min_count,
        after=history.fitted_on,
    )
    return days, 0.5 * resolution(days, history.resolution.get(metric))


def _still(days: Sequence[Bucket], least: float) -> Sequence[Bucket]:
    """The newest days that all show one and the same value."""
    first = len(days)
    while first > 0:
        bucket = days[first - 1]
        if _moved(bucket, least) or abs(bucket.mean - days[-1].mean) > least:
            break
        first -= 1
    return days[first:]


def _moved(bucket: Bucket, least: float) -> bool:
    return bucket.high - bucket.low > least
