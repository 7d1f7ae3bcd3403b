"""A finding about a value that goes towards a limit: opened, kept up to date, ended.

Law of this file: the joint of `approach` (which knows only turned points) and the three rules that use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from central.trends import approach as way
from central.trends.approach import Approach, Track
from central.trends.model import End, Ended, Finding, Metric, Picture, Reach, Rule, Said
from central.trends.thresholds import Approaching
from central.trends.words import END


@dataclass(frozen=True, slots=True)
class Told:
    """What a rule adds of its own. `sign` is -1 where falling is towards the limit."""

    rule: Rule
    metric: Metric
    part: str
    sign: int
    relief: End
    text: Callable[[Approach, Reach | None], Said]
    picture: Callable[[Approach | None], Picture]


def judged(
    track: Track,
    rule: Approaching,
    told: Told,
    before: Finding | None,
    today: date,
    fitted_on: date | None = None,
) -> Finding | None:
    """The finding after today: new, kept, ended, or none. What has ended before is forgotten."""
    if before is None or not before.open:
        approach = way.towards(track, rule, float(today.toordinal()))
        return None if approach is None else _opened(approach, track, rule, told, today)
    if fitted_on is not None and fitted_on > before.since:
        return ended(before, fitted_on, End.DETECTOR_REPLACED)
    course = way.follow(track, rule, before, told.sign * before.raised_at, today, told.relief)
    if course.ended is not None:
        return ended(replace(before, picture=told.picture(None)), *course.ended)
    if course.approach is None:
        return replace(before, calm_since=course.calm_since)
    fresh = _opened(course.approach, track, rule, told, today)
    began = min(before.began, fresh.began)
    return replace(fresh, since=before.since, began=began, raised_at=before.raised_at)


def ended(before: Finding, on: date, why: End) -> Finding:
    """The same, over."""
    return replace(before, ended=Ended(on, why, END[why]))


def _opened(approach: Approach, track: Track, rule: Approaching, told: Told, today: date) -> Finding:
    last = date.fromordinal(int(track.points[-1].x))
    reached = approach.days_left <= 0
    reach = None if reached else way.reach(approach, track.points[-1].x, rule)
    level = told.sign * approach.line.level
    return Finding(
        rule=told.rule,
        part=told.part,
        metric=told.metric,
        since=today,
        began=date.fromordinal(int(approach.began)),
        last=last,
        urgency=way.urgency(approach.days_left, rule),
        raised_at=level,
        level=level,
        limit=told.sign * track.limit,
        per_day=told.sign * approach.line.slope,
        reach=reach,
        text=told.text(approach, reach),
        picture=told.picture(approach),
    )
