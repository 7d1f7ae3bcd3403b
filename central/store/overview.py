"""What screens show of the whole, and the log as a stream. Law of this file: nothing personal leaves it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import DictRow, class_row

from central.store.pool import Tx, one
from central.store.sql import queries

_SQL = queries("overview")
_GAP_PATIENCE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class GridTile:
    """One grid: how many detectors hang there, how many of them are watched, how many alarms are open."""

    id: str
    name: str
    community: str
    community_name: str
    detectors: int
    watched: int
    life: int
    other: int

    @property
    def unwatched(self) -> int:
        """Detectors that nobody can rely on now."""
        return self.detectors - self.watched


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """An open alarm as far as a wall may show it."""

    id: int
    condition: str
    severity: str
    state: str
    round: int
    opened_at: datetime
    event_at: datetime
    acknowledged_at: datetime | None
    on_way_at: datetime | None
    on_scene_at: datetime | None
    grade: str
    address_known: bool
    late: bool
    grid_name: str | None
    building_name: str | None
    gateway: str | None
    gateway_name: str | None
    area: str
    grid: str | None
    building: str | None


@dataclass(frozen=True, slots=True)
class SilentGateway:
    """A gateway that is not heard."""

    id: str
    name: str
    silent_since: datetime
    heard_at: datetime
    detectors: int


@dataclass(frozen=True, slots=True)
class PressedTest:
    """A test button that was pressed and heard."""

    detector: str
    grid_name: str | None
    building_name: str | None
    heard_at: datetime


@dataclass(frozen=True, slots=True)
class Windowed:
    """A building in which detectors are worked on or out of service."""

    kind: str
    building_name: str
    grid_name: str
    detectors: int
    ends: datetime
    overdue: bool
    """Its end is past, and nobody has ended it."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole at one moment."""

    now: datetime
    areas: str
    gateways: int
    heard_at: datetime | None
    """When the centre last heard anything; None when it never has."""
    open_alarms: int
    open_life: int
    unanswered_life: int
    grids: tuple[GridTile, ...]
    alarms: tuple[OpenAlarm, ...]
    silent: tuple[SilentGateway, ...]
    tests: tuple[PressedTest, ...]
    """Of the last half hour, the newest first, at most twelve."""
    windows: tuple[Windowed, ...] = ()
    """Those that lie open, and what is out of service past its date."""

    @property
    def detectors(self) -> int:
        """All that hang somewhere."""
        return sum(grid.detectors for grid in self.grids)

    @property
    def watched(self) -> int:
        """Those that can be relied on now."""
        return sum(grid.watched for grid in self.grids)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One change of one alarm; `id` is the id of the server-sent event."""

    id: int
    alarm: int
    at: datetime
    what: str
    from_state: str | None
    to_state: str | None
    who: str
    condition: str
    severity: str
    area: str
    grid: str | None
    building: str | None


async def overview(tx: Tx, *, limit: int = 100) -> Overview:
    """Grids, open alarms (life first, then who still waits, then the newest) and silent gateways."""
    async with tx.conn.cursor(row_factory=class_row(GridTile)) as cursor:
        grids = await (await cursor.execute(_SQL["grids"], {"now": tx.now})).fetchall()
    async with tx.conn.cursor(row_factory=class_row(OpenAlarm)) as alarm_cursor:
        alarms = await (await alarm_cursor.execute(_SQL["alarms"], {"limit": limit})).fetchall()
    async with tx.conn.cursor(row_factory=class_row(SilentGateway)) as gateway_cursor:
        silent = await (await gateway_cursor.execute(_SQL["silent_gateways"])).fetchall()
    async with tx.conn.cursor(row_factory=class_row(PressedTest)) as test_cursor:
        tests = await (await test_cursor.execute(_SQL["tests"], {"now": tx.now})).fetchall()
    async with tx.conn.cursor(row_factory=class_row(Windowed)) as window_cursor:
        windows = await (await window_cursor.execute(_SQL["windows"], {"now": tx.now})).fetchall()
    centre = one(await (await tx.conn.execute(_SQL["centre"])).fetchone())
    count = one(await (await tx.conn.execute(_SQL["alarm_count"])).fetchone())
    return Overview(
        now=tx.now,
        areas=centre["areas"] or "",
        gateways=centre["gateways"],
        heard_at=centre["heard_at"],
        open_alarms=count["n"],
        open_life=count["life"],
        unanswered_life=count["unanswered"],
        grids=tuple(grids),
        alarms=tuple(alarms),
        silent=tuple(silent),
        tests=tuple(tests),
        windows=tuple(windows),
    )


async def log_end(tx: Tx) -> int:
    """The id of the newest line; 0 when there is none."""
    return int(one(await (await tx.conn.execute(_SQL["log_end"])).fetchone())["id"])


async def log_after(tx: Tx, after: int, *, limit: int = 500) -> list[LogLine]:
    """The lines behind `after`, none left out.

    Ids are taken before they are committed, so a lower one may appear after a higher one. A hole is passed
    only when no writer is under way (then it was rolled back) or when what follows it is older than 10 s.
    """
    lines = await _log(tx, after, None, limit)
    if not _hole(lines, after):
        return lines
    busy = one(await (await tx.conn.execute(_SQL["log_writers"])).fetchone())["busy"]
    lines = await _log(tx, after, lines[-1].id, limit)
    if not busy:
        return lines
    told: list[LogLine] = []
    last = after
    for line in lines:
        if line.id != last + 1 and line.at > tx.now - _GAP_PATIENCE:
            break
        told.append(line)
        last = line.id
    return told


async def alarm_page(tx: Tx, *, closed: bool, before: int | None = None, limit: int = 100) -> list[DictRow]:
    """Open or closed alarms, the newest first, with ids below `before`. Nothing personal."""
    row = {"closed": closed, "before": before, "limit": limit}
    return await (await tx.conn.execute(_SQL["alarm_page"], row)).fetchall()


async def _log(tx: Tx, after: int, through: int | None, limit: int) -> list[LogLine]:
    async with tx.conn.cursor(row_factory=class_row(LogLine)) as cursor:
        row = {"after": after, "through": through, "limit": limit}
        return await (await cursor.execute(_SQL["log_after"], row)).fetchall()


def _hole(lines: list[LogLine], after: int) -> bool:
    return bool(lines) and lines[-1].id - after != len(lines)
