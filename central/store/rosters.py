"""Shifts, leave, and what was found wanting.

Law of this file: rows; `central.engine.roster` gives them meaning.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from central.engine.roster import Leave
from central.store.pool import Tx, one
from central.store.sql import queries

LAST = 3
"""Whose last so many messages all failed cannot be reached."""
_SINCE = timedelta(days=30)
_DAY = timedelta(days=1)
TRIES = 3
"""Fewer tries in a day say nothing of a channel."""
_SQL = queries("rosters")


async def add_shift(tx: Tx, row: dict[str, Any]) -> int:
    """A row with the columns of `shift` but its id, which is returned."""
    return int(one(await (await tx.conn.execute(_SQL["add_shift"], row)).fetchone())["id"])


async def drop_shift(tx: Tx, shift: int) -> bool:
    """False when there was none."""
    return (await tx.conn.execute(_SQL["drop_shift"], {"id": shift})).rowcount == 1


async def shifts(tx: Tx, *, area: str | None = None, after: int = 0, limit: int = 100) -> list[DictRow]:
    """Shifts by id, also those that are over."""
    row = {"area": area, "after": after, "limit": limit}
    return await (await tx.conn.execute(_SQL["shifts"], row)).fetchall()


async def add_leave(tx: Tx, leave: Leave) -> int:
    """Its id."""
    row = {name: getattr(leave, name) for name in ("worker", "begins", "ends", "substitute")}
    return int(one(await (await tx.conn.execute(_SQL["add_leave"], row)).fetchone())["id"])


async def drop_leave(tx: Tx, leave: int) -> bool:
    """False when there was none."""
    return (await tx.conn.execute(_SQL["drop_leave"], {"id": leave})).rowcount == 1


async def leaves(tx: Tx, *, after: int = 0, limit: int = 100) -> list[DictRow]:
    """Leave that is not over, by id."""
    row = {"now": tx.now, "after": after, "limit": limit}
    return await (await tx.conn.execute(_SQL["leaves"], row)).fetchall()


async def leaves_at(tx: Tx, workers: Collection[str], begins: datetime, ends: datetime) -> list[Leave]:
    """What these workers have on record for a span."""
    row = {"workers": list(workers), "begins": begins, "ends": ends}
    found = await (await tx.conn.execute(_SQL["leaves_at"], row)).fetchall()
    return [Leave(each["worker"], each["begins"], each["ends"], each["substitute"]) for each in found]


async def to_look_at(tx: Tx, day: date) -> str | None:
    """An area that was not looked at on this day of China's clock."""
    row = await (await tx.conn.execute(_SQL["to_look_at"], {"day": day})).fetchone()
    return None if row is None else str(row["id"])


async def keep_report(tx: Tx, area: str, day: date, body: dict[str, Any]) -> None:
    """What was found; it replaces the former one."""
    await tx.conn.execute(_SQL["keep_report"], {"area": area, "day": day, "body": Jsonb(body)})


async def reports(tx: Tx, area: str | None = None) -> list[DictRow]:
    """The last one of each area."""
    return await (await tx.conn.execute(_SQL["reports"], {"area": area})).fetchall()


async def unreachable(tx: Tx, area: str) -> list[DictRow]:
    """Who may be called in an area and has no working channel: id, name, role, no_contact."""
    row = {"area": area, "last": LAST, "since": tx.now - _SINCE}
    return await (await tx.conn.execute(_SQL["unreachable"], row)).fetchall()


async def failing_channels(tx: Tx, area: str) -> list[DictRow]:
    """Channels by which most tries of the last day failed for an area: channel, tries, failed, why."""
    row = {"area": area, "since": tx.now - _DAY, "made_since": tx.now - 3 * _DAY, "least": TRIES}
    return await (await tx.conn.execute(_SQL["failing_channels"], row)).fetchall()
