"""Cursors of lanes. Law of this file: whoever takes a batch holds the lane's row until the commit."""

from __future__ import annotations

from typing import Any

from central.store.pool import Tx, one
from central.store.sql import queries

_sql = queries("lanes")


async def lock(tx: Tx, area: str, gateway: str, stream: str, lane: str) -> int:
    """The cursor of a lane (0 for a new one), held until the transaction ends."""
    key = {"gateway": gateway, "stream": stream, "lane": lane}
    row = await (await tx.conn.execute(_sql["lock_lane"], key)).fetchone()
    if row is None:
        await tx.conn.execute(_sql["begin_lane"], {**key, "area": area, "now": tx.now})
        row = one(await (await tx.conn.execute(_sql["lock_lane"], key)).fetchone())
    return int(row["cursor"])


async def look(tx: Tx, gateway: str, stream: str, lane: str) -> int:
    """The cursor of a lane without holding it; 0 when nothing came yet."""
    row = await (
        await tx.conn.execute(_sql["look_cursor"], {"gateway": gateway, "stream": stream, "lane": lane})
    ).fetchone()
    return int(row["cursor"]) if row else 0


async def move(tx: Tx, gateway: str, stream: str, lane: str, cursor: int) -> None:
    """Everything up to `cursor` is stored or can never come."""
    await tx.conn.execute(
        _sql["move_cursor"],
        {"gateway": gateway, "stream": stream, "lane": lane, "cursor": cursor, "now": tx.now},
    )


async def note_gap(tx: Tx, gateway: str, stream: str, lane: str, gap: tuple[int, int]) -> None:
    """These rows can never come."""
    await tx.conn.execute(
        _sql["add_gap"],
        {
            "gateway": gateway,
            "stream": stream,
            "lane": lane,
            "from_seq": gap[0],
            "to_seq": gap[1],
            "now": tx.now,
        },
    )


async def report(tx: Tx) -> list[dict[str, Any]]:
    """What is stored of every stream of events: cursor, counts, the highest sequence number, gaps."""
    return await (await tx.conn.execute(_sql["report"])).fetchall()
