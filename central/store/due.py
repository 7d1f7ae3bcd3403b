"""Work that must happen at a time. Law of this file: rows hold the truth; one of a kind for an alarm."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from central.engine.effects import DueKind
from central.store.pool import Tx
from central.store.sql import queries

_sql = queries("due")


class DueRow(NamedTuple):
    """One kind of work for one alarm."""

    kind: DueKind
    step: int
    due_at: datetime


async def schedule(
    tx: Tx, alarm: int, kind: DueKind, round_: int, step: int, at: datetime, *, only_forward: bool = False
) -> None:
    """Set the row of this kind; with `only_forward` a row that waits for a later step stays."""
    await tx.conn.execute(
        _sql["schedule"],
        {
            "alarm": alarm,
            "kind": kind.value,
            "round": round_,
            "step": step,
            "due_at": at,
            "only_forward": only_forward,
        },
    )


async def cancel(tx: Tx, alarm: int, kind: DueKind) -> None:
    """Nothing of this kind is due any more."""
    await tx.conn.execute(_sql["cancel"], {"alarm": alarm, "kind": kind.value})


async def look(tx: Tx, alarm: int, kind: DueKind) -> DueRow | None:
    """The row of this kind, due or not."""
    row = await (await tx.conn.execute(_sql["look"], {"alarm": alarm, "kind": kind.value})).fetchone()
    return DueRow(kind, row["step"], row["due_at"]) if row else None


async def ready(tx: Tx, limit: int) -> list[int]:
    """Alarms that have something due, locked; those locked by others are passed over."""
    cursor = await tx.conn.execute(_sql["ready"], {"now": tx.now, "limit": limit})
    return [int(row["id"]) for row in await cursor.fetchall()]


async def of_alarm(tx: Tx, alarm: int) -> list[DueRow]:
    """What is due of one alarm now, the oldest first."""
    cursor = await tx.conn.execute(_sql["of_alarm"], {"alarm": alarm, "now": tx.now})
    return [DueRow(DueKind(r["kind"]), r["step"], r["due_at"]) for r in await cursor.fetchall()]
