"""A gateway's clock that runs away: its offset climbs or falls towards what the centre calls wrong.

Law of this file: offsets are compared in quarters of a day, by their median; a clock that was set is a step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from statistics import median

from central.trends import words
from central.trends.approach import Approach, since_last_step
from central.trends.finding import Told, judged
from central.trends.fit import Point
from central.trends.model import ClockSample, End, Finding, Metric, Picture, Reach, Rule, Said
from central.trends.picture import MOST_POINTS, UNIT, line_to, rounded, stamp
from central.trends.series import BELIEVED, last_step
from central.trends.thresholds import Approaching, Thresholds

_DAY_S = 86_400
_ZERO = datetime(1, 1, 1, tzinfo=UTC)


def judge(
    samples: Iterable[ClockSample], before: Finding | None, today: date, thresholds: Thresholds
) -> Finding | None:
    """The clock of one gateway, in days of UTC."""
    rule, limit = thresholds.clock, thresholds.clock_limit_s
    points = _quarters(samples, rule, today)
    sign = _direction(points, rule) if before is None or not before.open else _sign(before.per_day or 0.0)
    turned = [Point(point.x, sign * point.y) for point in points]
    track = since_last_step(turned, limit, 0.0, rule)

    def text(approach: Approach, reach: Reach | None) -> Said:
        line = approach.line
        faulty = line.slope > thresholds.clock_free_ppm * 1e-6 * _DAY_S
        return words.clock(sign * line.level, sign * line.slope, limit, reach, faulty=faulty)

    def picture(approach: Approach | None) -> Picture:
        shown = tuple(_drawn(point) for point in points[-MOST_POINTS:])
        if approach is None:
            return Picture(Metric.CLOCK, UNIT[Metric.CLOCK], shown, limit=sign * limit)
        drawn = line_to(sign * limit, approach, points[-1].x, sign=sign, hours=True)
        return Picture(Metric.CLOCK, UNIT[Metric.CLOCK], shown, drawn, sign * limit)

    told = Told(Rule.CLOCK_DRIFT, Metric.CLOCK, "", sign, End.CLOCK_SET, text, picture)
    return judged(track, rule, told, before, today)


def _quarters(samples: Iterable[ClockSample], rule: Approaching, today: date) -> list[Point]:
    """The median offset of each quarter of a day, at its middle; only what came before `today`."""
    lowest, highest = BELIEVED[Metric.CLOCK]
    last = today.toordinal()
    first = last - max(rule.windows) - 1
    groups: dict[int, list[float]] = {}
    for at, offset in samples:
        x = 1 + (at - _ZERO).total_seconds() / _DAY_S
        if first <= x < last and lowest <= offset <= highest:
            groups.setdefault(math.floor(x * rule.per_day), []).append(offset)
    return [
        Point((number + 0.5) / rule.per_day, median(offsets)) for number, offsets in sorted(groups.items())
    ]


def _direction(points: Sequence[Point], rule: Approaching) -> int:
    """Which way the offset went since the clock was last set."""
    step = last_step(points, rule, 0.0)
    since = points if step is None else points[step[0] :]
    return _sign(since[-1].y - since[0].y) if since else 1


def _sign(value: float) -> int:
    return -1 if value < 0 else 1


def _drawn(point: Point) -> tuple[str, float, float, float]:
    value = rounded(point.y)
    return stamp(point.x, hours=True), value, value, value
