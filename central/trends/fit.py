"""A straight line that single wild days cannot turn: Theil-Sen. Law of this file: arithmetic only.

The slope is the median of the slopes between all pairs of points, so up to 29 % of the points may be
anything. Its bounds are the order statistics that Kendall's rank test gives (Sen 1968), taken wider by
`CAUTION`, because the weather makes neighbouring days alike, which that test does not know.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

MOST = 45
"""Points a line is fitted to; more are merged before (990 pairs: a fifth of a millisecond)."""
CAUTION = 1.5
_Z = 1.96


class Point(NamedTuple):
    """A value at a time, in days since some zero."""

    x: float
    y: float


class Line(NamedTuple):
    """What was fitted: per day, and at the last point."""

    slope: float
    low: float
    high: float
    level: float
    scatter: float
    """Of the points around the line, as a standard deviation that wild points do not raise."""


def fitted(points: Sequence[Point]) -> Line | None:
    """The line through points in order of time; None for fewer than three different times."""
    used = thinned(points, MOST)
    slopes = [(b.y - a.y) / (b.x - a.x) for i, a in enumerate(used) for b in used[i + 1 :] if b.x > a.x]
    if len(slopes) < 3:
        return None
    slopes.sort()
    n, pairs = len(used), len(slopes)
    reach = CAUTION * _Z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    below = max(0, math.floor((pairs - reach) / 2) - 1)
    slope, end = _middle(slopes), points[-1].x
    level = median([point.y - slope * (point.x - end) for point in used])
    scatter = spread([point.y - slope * (point.x - end) for point in used])
    return Line(slope, slopes[below], slopes[-1 - below], level, scatter)


def spread(values: Sequence[float]) -> float:
    """A standard deviation by the median of distances from the median."""
    middle = median(values)
    return 1.4826 * median([abs(value - middle) for value in values])


def thinned(points: Sequence[Point], most: int) -> Sequence[Point]:
    """At most so many points: neighbours become their mean."""
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / most)
    groups = [points[start : start + size] for start in range(len(points) % size, len(points), size)]
    if len(points) % size:
        groups.insert(0, points[: len(points) % size])
    return [
        Point(sum(p.x for p in group) / len(group), sum(p.y for p in group) / len(group)) for group in groups
    ]


def _middle(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
