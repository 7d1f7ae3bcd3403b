"""Work that must happen at a time. Law of this file: rows hold the truth; one of a kind for an alarm."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from central.engine.effects import DueKind
from central.store.pool import Tx, one
from central.store.rows import rows
from central.store.sql import queries

_sql = queries("due")


class DueRow(NamedTuple):
    """When one kind of work for one alarm is due."""

    round: int
    step: int
    due_at: datetime


class Overdue(NamedTuple):
    """Work that nobody has done for 30 s, and the age of the oldest in seconds."""

    steps: int
    oldest_s: float


Key = tuple[int, DueKind]
"""The alarm and the kind of work."""


async def schedule(tx: Tx, wanted: dict[Key, DueRow]) -> None:
    """Set these rows."""
    values = [{"alarm": alarm, "kind": kind, **row._asdict()} for (alarm, kind), row in wanted.items()]
    await tx.conn.execute(_sql["schedule"], {"rows": rows(values)})


async def cancel(tx: Tx, over: Collection[Key]) -> None:
    """Nothing of these kinds is due any more."""
    await tx.conn.execute(_sql["cancel"], {"rows": rows([{"alarm": a, "kind": kind} for a, kind in over])})


async def of_alarms(tx: Tx, alarms: Collection[int]) -> dict[Key, DueRow]:
    """All that waits for these alarms, due or not."""
    cursor = await tx.conn.execute(_sql["of_alarms"], {"alarms": list(alarms)})
    return {
        (int(r["alarm"]), DueKind(r["kind"])): DueRow(r["round"], r["step"], r["due_at"])
        for r in await cursor.fetchall()
    }


async def ready(tx: Tx, limit: int) -> list[int]:
    """Alarms that have something due, locked; those locked by others are passed over."""
    cursor = await tx.conn.execute(_sql["ready"], {"now": tx.now, "limit": limit})
    return [int(row["id"]) for row in await cursor.fetchall()]


async def overdue(tx: Tx) -> Overdue:
    """What should have been done 30 s ago and more."""
    return Overdue(**one(await (await tx.conn.execute(_sql["overdue"], {"now": tx.now})).fetchone()))
