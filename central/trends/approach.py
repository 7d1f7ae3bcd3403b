"""Whether a series of points goes towards a limit, and the life of a finding about it.

Law of this file: it knows neither metric nor words. Points are turned so that upwards is towards the limit.
Dust, battery and clock share it; what differs is in their thresholds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import NamedTuple

from central.trends.fit import Line, Point, fitted, spread
from central.trends.model import End, Finding, Reach, Urgency
from central.trends.series import last_step
from central.trends.thresholds import Approaching

FAR_DAYS = 365
"""A date farther away is not given."""
_NEWEST = 5
"""Points whose median is the present value."""
_CLEAR_SAG = 2.0
"""A bend is believed when it sags by so many times what changes from point to point."""
_EVEN = 0.25
"""The share of the bend that each half of it must have."""
_BENT_WINDOWS = 2
"""So many windows must bend: a kink looks like a bend in one whose middle it hits."""
_LAGS = 4
"""What a value wanders is seen over this part of the window."""
_Z = 1.96


class Approach(NamedTuple):
    """A window in which the points go towards the limit."""

    began: float
    """Its first point's time."""
    line: Line
    days_left: float
    """0 where the limit is reached."""
    soonest: float
    farthest: float
    """Days; the limit is reached between them if nothing changes."""


@dataclass(frozen=True, slots=True)
class Track:
    """A series made ready: what came after the last step, and that step."""

    points: Sequence[Point]
    """In days since `date.min` (`date.toordinal`), in order."""
    limit: float
    steps: float
    """The resolution of the values."""
    step_at: float | None = None
    """When the value last jumped, and stayed."""
    step_by: float = 0.0
    """By how much; negative is away from the limit."""


def since_last_step(points: Sequence[Point], limit: float, steps: float, rule: Approaching) -> Track:
    """What came after the last step; all of it when there was none."""
    step = last_step(points, rule, steps)
    if step is None:
        return Track(points, limit, steps)
    first, jump = step
    return Track(points[first:], limit, steps, points[first].x, jump)


class Course(NamedTuple):
    """What becomes of a finding."""

    approach: Approach | None
    """The news; None keeps the finding as it was."""
    calm_since: date | None
    ended: tuple[date, End] | None = None


class _Shape(NamedTuple):
    """What one window of the points looks like."""

    days: float
    points: Sequence[Point]
    line: Line
    straight: float
    """Days left along the line."""
    bent: float
    """Days left along the bend; infinite when there is none."""


def towards(track: Track, rule: Approaching, now: float) -> Approach | None:
    """The window that shows it best, or None."""
    if not track.points or now - track.points[-1].x > rule.fresh_days:
        return None
    shapes = [shape for days in rule.windows if (shape := _in_window(track, rule, days)) is not None]
    bends = sum(shape.bent < math.inf for shape in shapes) >= _BENT_WINDOWS
    found: list[Approach] = []
    for days, points, line, straight, bent in shapes:
        days_left = min(straight, bent) if bends else straight
        if days_left <= min(rule.horizon_days, rule.reach_ratio * days):
            between = _between(points, track, line, days_left, straight)
            found.append(Approach(points[0].x, line, days_left, *between))
    if not found:
        return None
    return min(found, key=lambda one: (one.line.high - one.line.low) / one.line.slope)


def reach(approach: Approach, last: float, rule: Approaching) -> Reach:
    """The day on which the limit is reached, from the time of the last point; a day's point is its noon."""
    start = last + (0.5 if rule.per_day == 1 else 0.0)
    farthest = approach.farthest
    return Reach(
        expected=date.fromordinal(math.floor(start + approach.days_left)),
        earliest=date.fromordinal(math.floor(start + approach.soonest)),
        latest=date.fromordinal(math.ceil(start + farthest)) if farthest <= FAR_DAYS else None,
    )


def urgency(days_left: float, rule: Approaching) -> Urgency:
    """How soon somebody should go."""
    if days_left <= 0:
        return Urgency.NOW
    return Urgency.SOON if days_left <= rule.soon_days else Urgency.PLAN


def present(track: Track) -> float:
    """The value now: the median of the newest points."""
    return median([point.y for point in track.points[-_NEWEST:]])


def follow(
    track: Track, rule: Approaching, before: Finding, raised_at: float, today: date, relief: End
) -> Course:
    """What the data say of an open finding; `raised_at` is turned as the points are.

    `relief` is what a step away from the limit means. Without new data nothing changes until it is too old.
    """
    now = float(today.toordinal())
    last = track.points[-1].x if track.points else float(before.last.toordinal())
    if now - last > rule.forget_days:
        return Course(None, before.calm_since, (today, End.NO_DATA))
    if not track.points:
        return Course(None, before.calm_since)
    seen_since = before.began.toordinal() + (0 if rule.per_day == 1 else 1)
    if track.step_at is not None and track.step_by < 0 and track.step_at > seen_since:
        return Course(None, before.calm_since, (date.fromordinal(int(track.step_at)), relief))
    value = present(track)
    if value <= raised_at - max(rule.recede, 2 * track.steps):
        return Course(None, before.calm_since, (date.fromordinal(int(last)), End.RECEDED))
    approach = towards(track, rule, now)
    if approach is not None:
        return Course(approach, None)
    if now - last > rule.fresh_days:
        return Course(None, before.calm_since)
    if value >= track.limit or not _calm(track, rule):
        return Course(None, None)
    calm_since = before.calm_since or today
    if (today - calm_since).days >= rule.calm_days:
        return Course(None, calm_since, (today, End.SLOWED))
    return Course(None, calm_since)


def _in_window(track: Track, rule: Approaching, days: float) -> _Shape | None:
    points = _since(track.points, track.points[-1].x - days + 0.5 / rule.per_day)
    if len(points) < max(rule.min_points, rule.coverage * days * rule.per_day):
        return None
    least = max(rule.min_rise, rule.over_resolution * track.steps)
    if not _climbs(points, least, rule.share_of_third):
        return None
    line = fitted(points)
    if line is None or line.low <= 0:
        return None
    if line.slope * (points[-1].x - points[0].x) < max(least, rule.over_scatter * line.scatter):
        return None
    straight = max(0.0, track.limit - line.level) / line.slope
    return _Shape(days, points, line, straight, _bent(points, track) if rule.bends else math.inf)


def _bent(points: Sequence[Point], track: Track) -> float:
    """Days left when the points clearly and evenly bend towards the limit; infinite when they do not.

    The slope must grow from third to third: a straight fall that has begun within the window does not bend.
    """
    third = len(points) // 3
    parts = (points[:third], points[third : len(points) - third], points[len(points) - third :])
    lines = [fitted(part) for part in parts]
    slopes = [line.slope for line in lines if line is not None]
    if len(slopes) < len(parts):
        return math.inf
    first, second, last = slopes
    if min(second - first, last - second) < _EVEN * (last - first):
        return math.inf
    middles = [sum(point.x for point in part) / len(part) for part in parts]
    bend = (last - first) / (middles[2] - middles[0])
    changes = [b.y - a.y for a, b in itertools.pairwise(points)]
    sag = bend * (points[-1].x - points[0].x) ** 2 / 8
    if sag <= max(_CLEAR_SAG * spread(changes), track.steps / 2):
        return math.inf
    assert lines[2] is not None
    speed = last + bend * (points[-1].x - middles[2])
    left = max(0.0, track.limit - lines[2].level)
    return (math.sqrt(speed * speed + 2 * bend * left) - speed) / bend


def _between(
    points: Sequence[Point], track: Track, line: Line, days_left: float, straight: float
) -> tuple[float, float]:
    """The soonest and the farthest day: what the slope's bounds say, and what the value wanders besides.

    A value that grows unevenly wanders like a walk with random steps: the farther ahead, the farther off.
    """
    left = track.limit - line.level
    lag = max(1, len(points) // _LAGS)
    wander = spread([b.y - a.y for a, b in zip(points, points[lag:], strict=False)])
    wander /= math.sqrt(max(points[lag].x - points[0].x, 1e-9))
    span = points[-1].x - points[0].x
    off = _Z * wander * math.sqrt(straight + straight * straight / span) / line.slope
    soonest = min(max(0.0, left - line.scatter) / line.high, days_left - off, days_left)
    farthest = max(max(0.0, left + line.scatter) / line.low, straight + off)
    return max(0.0, soonest), farthest


def _since(points: Sequence[Point], start: float) -> Sequence[Point]:
    first = len(points)
    while first > 0 and points[first - 1].x >= start:
        first -= 1
    return points[first:]


def _climbs(points: Sequence[Point], least: float, share: float) -> bool:
    third = len(points) // 3
    early = median([point.y for point in points[:third]])
    middle = median([point.y for point in points[third : len(points) - third]])
    late = median([point.y for point in points[len(points) - third :]])
    rise = late - early
    return rise >= 0.5 * least and middle - early >= share * rise and late - middle >= share * rise


def _calm(track: Track, rule: Approaching) -> bool:
    """Whether the newest weeks, taken as they are, do not reach the limit for long."""
    points = _since(track.points, track.points[-1].x - 2 * rule.calm_days)
    line = fitted(points)
    if line is None:
        return False
    return line.slope * rule.calm_ratio * rule.horizon_days < track.limit - line.level
