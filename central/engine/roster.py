"""Who has a duty at a moment: shifts, leave, substitutes.

Law of this file: pure, and nobody is lost by it. Whoever a roster names has the duty while the shift lasts;
where it names nobody, or nobody who is there, those have it who always do. Somebody on leave is replaced by
the substitute, or passed over while another has the duty; where there is no other they are told all the
same: better told on leave than nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta

from msgspec import Struct

from central.engine.policy import CHINA

_DAY = timedelta(days=1)


class Shift(Struct, frozen=True):
    """Hours that come again each week, by China's clock, from one day to another (both included)."""

    from_day: date
    to_day: date | None
    """The last day on which one begins; None: no end."""
    weekdays: frozenset[int]
    """1 Monday to 7 Sunday: the days on which it begins."""
    begins: time
    ends: time
    """Not later than `begins`: on the next day."""
    of_grid: bool = True
    """For one grid, which goes before one that is for a whole area."""

    def covers(self, at: datetime) -> bool:
        """Whether it lasts at this moment; it begins at its first and has ended at its last."""
        day = at.astimezone(CHINA).date()
        return any(begin <= at < end for begin, end in self.spans(day - _DAY, day))

    def spans(self, first: date, last: date) -> Iterator[tuple[datetime, datetime]]:
        """From when to when it lasts, for those that begin from `first` to `last`."""
        day = max(first, self.from_day)
        last = last if self.to_day is None else min(last, self.to_day)
        while day <= last:
            if day.isoweekday() in self.weekdays:
                end = day if self.ends > self.begins else day + _DAY
                yield datetime.combine(day, self.begins, CHINA), datetime.combine(end, self.ends, CHINA)
            day += _DAY


class Leave(Struct, frozen=True):
    """A worker is away from a moment to another; `substitute` (a worker) stands in, if there is one."""

    worker: str
    begins: datetime
    ends: datetime
    substitute: str | None = None

    def lasts(self, at: datetime) -> bool:
        """Whether the worker is away at this moment."""
        return self.begins <= at < self.ends


class Holder(Struct, frozen=True):
    """Somebody who has a duty: always, or while a shift lasts."""

    worker: str
    shift: Shift | None = None


def on_duty(
    holders: Sequence[Holder], leaves: Collection[Leave], reachable: Collection[str], at: datetime
) -> list[str]:
    """Those who are to be told for a duty at a moment, each once.

    `reachable` are the workers who are active and have a way to be told. Empty only when none of
    the holders is, nor anybody who stands in for one.
    """
    levels = [_workers(level, at) for level in _levels(holders)]
    for workers in levels:
        if there := present(workers, leaves, reachable, at):
            return there
    away = ([worker for worker in workers if worker in reachable] for workers in levels)
    return next((workers for workers in away if workers), [])


def present(
    workers: Iterable[str], leaves: Collection[Leave], reachable: Collection[str], at: datetime
) -> list[str]:
    """These workers without those on leave, and the substitutes who are there for them."""
    away: dict[str, str | None] = {}
    for leave in leaves:
        if leave.lasts(at):
            away[leave.worker] = away.get(leave.worker) or leave.substitute
    stand = (away.get(worker, worker) for worker in workers)
    return list(
        dict.fromkeys(one for one in stand if one is not None and one not in away and one in reachable)
    )


def uncovered(
    holders: Sequence[Holder],
    leaves: Collection[Leave],
    reachable: Collection[str],
    since: datetime,
    until: datetime,
) -> list[tuple[datetime, datetime]]:
    """When nobody is there for a duty: where a roster is kept nobody whom it names, else none of its holders.

    Empty for a duty that nobody has: that is no matter of hours.
    """
    asked = [holder for holder in holders if holder.shift is not None]
    if not asked and any(holder.worker in reachable for holder in holders):
        asked = list(holders)
    if not asked:
        return []
    found: list[tuple[datetime, datetime]] = []
    moments = sorted({since, *_turns(asked, leaves, since, until)})
    for begin, end in zip(moments, [*moments[1:], until], strict=True):
        on = [holder.worker for holder in asked if holder.shift is None or holder.shift.covers(begin)]
        if present(on, leaves, reachable, begin):
            continue
        if found and found[-1][1] == begin:
            begin = found.pop()[0]
        found.append((begin, end))
    return found


def loop_of(leave: Leave, others: Iterable[Leave]) -> Leave | None:
    """Another leave at the same time in which these two would stand in for each other."""
    for other in others:
        overlap = other.begins < leave.ends and leave.begins < other.ends
        if overlap and other.worker == leave.substitute and other.substitute == leave.worker:
            return other
    return None


def _levels(holders: Sequence[Holder]) -> tuple[list[Holder], ...]:
    grid = [one for one in holders if one.shift is not None and one.shift.of_grid]
    area = [one for one in holders if one.shift is not None and not one.shift.of_grid]
    return grid, area, [one for one in holders if one.shift is None]


def _workers(holders: Iterable[Holder], at: datetime) -> list[str]:
    return list(dict.fromkeys(one.worker for one in holders if one.shift is None or one.shift.covers(at)))


def _turns(
    holders: Iterable[Holder], leaves: Iterable[Leave], since: datetime, until: datetime
) -> Iterator[datetime]:
    """The moments between at which somebody comes or goes."""
    first, last = since.astimezone(CHINA).date() - _DAY, until.astimezone(CHINA).date()
    for holder in holders:
        for span in () if holder.shift is None else holder.shift.spans(first, last):
            yield from (moment for moment in span if since < moment < until)
    for leave in leaves:
        yield from (moment for moment in (leave.begins, leave.ends) if since < moment < until)
