"""Dust: contamination that climbs towards the level at which the model asks to be cleaned."""

from __future__ import annotations

import math
from datetime import date

from central.trends import words
from central.trends.approach import Approach, since_last_step
from central.trends.finding import Told, judged
from central.trends.fit import Point
from central.trends.model import DetectorHistory, End, Finding, Metric, Picture, Reach, Rule, Said
from central.trends.picture import line_to, of_days
from central.trends.series import believed, resolution
from central.trends.thresholds import Thresholds


def judge(
    history: DetectorHistory, before: Finding | None, today: date, thresholds: Thresholds
) -> Finding | None:
    """Contamination of one detector; the limit is the model's own, else that of the thresholds."""
    rule, metric = thresholds.contamination, Metric.CONTAMINATION
    known = history.limits.contaminated
    limit = known if known is not None and math.isfinite(known) else thresholds.contamination_limit
    days = believed(
        history.days.get(metric, ()),
        metric,
        today,
        days=thresholds.history_days,
        min_count=thresholds.min_count,
        after=history.fitted_on,
    )
    points = [Point(float(bucket.day.toordinal()), bucket.mean) for bucket in days]
    steps = resolution(days, history.resolution.get(metric))
    track = since_last_step(points, limit, steps, rule)

    def text(approach: Approach, reach: Reach | None) -> Said:
        line, span = approach.line, points[-1].x - approach.began
        return words.contamination(
            round(span), line.level - line.slope * span, line.level, line.slope, limit, reach
        )

    def picture(approach: Approach | None) -> Picture:
        if approach is None:
            return of_days(metric, days, limit=limit)
        return of_days(metric, days, line=line_to(limit, approach, points[-1].x), limit=limit)

    told = Told(Rule.CONTAMINATION, metric, history.detector, 1, End.CLEANED, text, picture)
    return judged(track, rule, told, before, today, history.fitted_on)
