"""Cursors of lanes. Law of this file: whoever takes a batch holds the lane's row until the commit."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from central.store.pool import Tx, one
from central.store.sql import queries

_sql = queries("lanes")


class Held(NamedTuple):
    """A lane whose row is ours until the transaction ends."""

    cursor: int
    """0 for a new one."""
    began: datetime
    """When the stream's first batch came."""


async def lock(tx: Tx, area: str, gateway: str, stream: str, lane: str) -> Held:
    """The lane, held until the transaction ends; a new one begins now."""
    key = {"gateway": gateway, "stream": stream, "lane": lane}
    row = await (await tx.conn.execute(_sql["lock_lane"], key)).fetchone()
    if row is None:
        await tx.conn.execute(_sql["begin_lane"], {**key, "area": area, "now": tx.now})
        row = one(await (await tx.conn.execute(_sql["lock_lane"], key)).fetchone())
    return Held(int(row["cursor"]), row["first_at"])


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
