"""Shifts and leave, put on record and taken off. Law of this file: it checks, saves and notes who did it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta

from central.engine.policy import Target
from central.engine.roster import Leave, loop_of
from central.registry.check import missing
from central.registry.errors import MissingError, Problem, RegistryError, TakenError
from central.store import audit, policies, rosters
from central.store import registry as rows
from central.store.pool import Tx

LONGEST_LEAVE = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A worker has a duty in these hours of each week, by China's clock. For a grid, or for a whole area."""

    worker: str
    duty: str
    """grid_primary, grid_backup, community_lead, dispatcher or installer."""
    area: str | None = None
    grid: str | None = None
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    """1 Monday to 7 Sunday: the days on which it begins."""
    begins: time
    ends: time
    """Not later than `begins`: on the next day."""
    from_day: date
    to_day: date | None = None
    """The last day on which it begins; null: no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """A worker is on leave; the substitute, if there is one, is told instead. Times with a zone."""

    worker: str
    begins: datetime
    ends: datetime
    substitute: str | None = None


async def add_shift(tx: Tx, shift: Shift, *, by: str, from_where: str = "") -> int:
    """Its id. Raises RegistryError, MissingError."""
    if problems := [*_of_shift(shift)]:
        raise RegistryError(problems)
    absent = (
        [] if await rows.known(tx, "worker", shift.worker) else [missing("worker", "worker", shift.worker)]
    )
    places = await policies.places(tx, area=None if shift.grid else shift.area, grid=shift.grid)
    if not places:
        kind = "grid" if shift.grid else "area"
        absent.append(missing(kind, "grid" if shift.grid else "area", shift.grid or shift.area or ""))
    if absent:
        raise MissingError(absent)
    number = await rosters.add_shift(
        tx, {**asdict(shift), "area": places[0].area, "weekdays": [*shift.weekdays]}
    )
    await audit.note(tx, who=by, action="add_shift", subject=f"shift:{number}", from_where=from_where)
    return number


async def add_leave(tx: Tx, away: Away, *, by: str, from_where: str = "") -> int:
    """Its id. Raises RegistryError, MissingError; TakenError for leave that the worker has already."""
    if problems := [*_of_leave(away)]:
        raise RegistryError(problems)
    named = [("worker", away.worker)] + ([("substitute", away.substitute)] if away.substitute else [])
    if absent := [
        missing(field, "worker", name) for field, name in named if not await rows.known(tx, "worker", name)
    ]:
        raise MissingError(absent)
    leave = Leave(away.worker, away.begins, away.ends, away.substitute)
    others = await rosters.leaves_at(tx, [name for _, name in named], away.begins, away.ends)
    if any(other.worker == away.worker for other in others):
        raise TakenError(
            [
                Problem(
                    "begins",
                    f"{away.worker} is on leave then already",
                    "该时段已登记请假",
                    "Take the other off first, see `leave list`.",
                )
            ]
        )
    if loop_of(leave, others) is not None:
        raise RegistryError(
            [
                Problem(
                    "substitute",
                    f"{away.substitute} is away then, with {away.worker} as the substitute",
                    "互为替班，成为循环",
                    "Name somebody who is there.",
                )
            ]
        )
    number = await rosters.add_leave(tx, leave)
    await audit.note(tx, who=by, action="add_leave", subject=f"worker:{away.worker}", from_where=from_where)
    return number


async def drop_shift(tx: Tx, number: int, *, by: str, from_where: str = "") -> None:
    """Raises MissingError."""
    if not await rosters.drop_shift(tx, number):
        raise MissingError(
            [Problem("id", f"there is no shift {number}", "没有这个班次", "See `shift list`.")]
        )
    await audit.note(tx, who=by, action="drop_shift", subject=f"shift:{number}", from_where=from_where)


async def drop_leave(tx: Tx, number: int, *, by: str, from_where: str = "") -> None:
    """Raises MissingError."""
    if not await rosters.drop_leave(tx, number):
        raise MissingError(
            [Problem("id", f"there is no leave {number}", "没有这条请假", "See `leave list`.")]
        )
    await audit.note(tx, who=by, action="drop_leave", subject=f"leave:{number}", from_where=from_where)


def _of_shift(shift: Shift) -> Iterator[Problem]:
    if shift.duty not in set(Target):
        yield Problem(
            "duty", f"{shift.duty[:40]!r} is unknown", "未知的岗位", f"One of: {', '.join(Target)}."
        )
    if (shift.area is None) == (shift.grid is None):
        yield Problem(
            "grid",
            "a shift is for one grid or for one area",
            "街道与网格必须且只能填一个",
            "Give one of them.",
        )
    for name, at in (("begins", shift.begins), ("ends", shift.ends)):
        if at.tzinfo is not None:
            yield Problem(name, f"{at} has a zone", "时间不应带时区", "Hours are China's clock: 08:00.")
    if not shift.weekdays or set(shift.weekdays) - set(range(1, 8)):
        yield Problem(
            "weekdays", f"{[*shift.weekdays][:9]}", "星期不对", "1 (Monday) to 7 (Sunday), at least one."
        )
    if shift.to_day is not None and shift.to_day < shift.from_day:
        yield Problem(
            "to_day",
            f"{shift.to_day} is before {shift.from_day}",
            "结束日期早于开始日期",
            "Leave it out for no end.",
        )


def _of_leave(away: Away) -> Iterator[Problem]:
    for name, at in (("begins", away.begins), ("ends", away.ends)):
        if at.tzinfo is None or not 1990 <= at.year <= 2200:
            yield Problem(
                name,
                f"{at.isoformat()} has no zone, or lies too far",
                "时间不对",
                "Such as 2026-10-01T08:00:00+08:00.",
            )
            return
    if not timedelta(0) < away.ends - away.begins <= LONGEST_LEAVE:
        yield Problem(
            "ends",
            f"{away.begins.isoformat()} to {away.ends.isoformat()}",
            "请假时段不对",
            f"It ends after it begins, within {LONGEST_LEAVE.days} days.",
        )
    if away.substitute == away.worker:
        yield Problem(
            "substitute",
            f"{away.worker} cannot stand in for themselves",
            "不能替自己",
            "Name somebody else, or nobody.",
        )
