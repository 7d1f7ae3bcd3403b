"""Which smoke and heat is to be looked at again, and what is known around it. Law: rows in, values out."""

from __future__ import annotations

from collections.abc import Collection

from central.engine.verify import LOOK_LATER, NEARBY, RISE_WITHIN, Around
from central.store.pool import Tx
from central.store.sql import queries

_sql = queries("verification")


async def ready(tx: Tx, limit: int) -> list[int]:
    """Alarms whose time has come, locked; those locked by others are passed over."""
    values = {"now": tx.now, "limit": limit, "longest": LOOK_LATER}
    cursor = await tx.conn.execute(_sql["ready"], values)
    return [int(row["id"]) for row in await cursor.fetchall()]


async def around(tx: Tx, ids: Collection[int]) -> dict[int, Around]:
    """What is known around each of these alarms."""
    values = {"ids": list(ids), "now": tx.now, "nearby": NEARBY, "since": tx.now - RISE_WITHIN}
    return {
        int(row["id"]): Around(
            neighbours=row["neighbours"],
            heat_too=row["heat_too"],
            coolest=row["coolest"],
            latest=row["latest"],
            needs=tuple(row["needs"]),
        )
        for row in await (await tx.conn.execute(_sql["around"], values)).fetchall()
    }
