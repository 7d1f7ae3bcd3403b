"""Windows in which detectors are worked on or out of service. Law: rows; `central.engine.window` judges."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from psycopg.rows import DictRow

from central.engine.window import Window, WindowKind
from central.store import held_smoke
from central.store.pool import Tx, ask, one
from central.store.sql import queries

_SQL = queries("windows")


async def add(tx: Tx, row: dict[str, Any], detectors: Collection[str]) -> int:
    """A row with the columns that a person gives and `by`; its id."""
    number = int(one(await (await tx.conn.execute(_SQL["add"], {**row, "now": tx.now})).fetchone())["id"])
    await tx.conn.execute(_SQL["add_detectors"], {"id": number, "detectors": sorted(detectors)})
    return number


async def end(tx: Tx, window: int, by: str) -> bool:
    """End it now, and tell what its end would tell. False when there is none that was not ended by hand."""
    row = await (await tx.conn.execute(_SQL["lock"], {"id": window})).fetchone()
    if row is None or row["ended_at"] is not None:
        return False
    await tx.conn.execute(_SQL["end"], {"id": window, "now": tx.now, "by": by})
    await held_smoke.due_now(tx, window)
    if row["ends"] > tx.now:
        await tx.conn.execute(_SQL["tell_now"], {"id": window, "now": tx.now, "ends": row["ends"]})
    return True


async def of_detectors(tx: Tx, detectors: Collection[str]) -> dict[str, list[Window]]:
    """The windows of detectors that are open now; a detector without one is not in the answer."""
    found: dict[str, list[Window]] = {}
    values = {"detectors": list(detectors), "now": tx.now}
    for row in await ask(tx, _SQL["of_detectors"], values):
        detector = row.pop("detector")
        found.setdefault(detector, []).append(Window(**{**row, "kind": WindowKind(row["kind"])}))
    return found


async def listed(
    tx: Tx, *, area: str | None = None, past: bool = False, after: int = 0, limit: int = 100
) -> list[DictRow]:
    """Windows by id with their detectors that are not over; what is out of service stays past its date."""
    values = {"area": area, "past": past, "after": after, "limit": limit, "now": tx.now}
    return await (await tx.conn.execute(_SQL["listed"], values)).fetchall()


async def areas_of(tx: Tx, detectors: Collection[str]) -> dict[str, str | None]:
    """The area in which each registered detector hangs now; None for one that hangs nowhere."""
    rows = await (
        await tx.conn.execute(_SQL["areas_of_detectors"], {"detectors": list(detectors)})
    ).fetchall()
    return {row["id"]: row["area"] for row in rows}


async def reachable(tx: Tx, worker: str) -> bool:
    """Whether a worker is on duty and has a contact."""
    return await (await tx.conn.execute(_SQL["reachable"], {"worker": worker})).fetchone() is not None
