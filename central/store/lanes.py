"""Cursors of lanes. Law of this file: whoever takes a batch holds the lane's row until the commit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from central.store.pool import Tx, ask
from central.store.rows import rows
from central.store.sql import queries

_sql = queries("lanes")


class Held(NamedTuple):
    """A lane whose row is ours until the transaction ends."""

    cursor: int
    """0 for a new one."""
    began: datetime
    """When the stream's first batch came; later than that of any stream of its gateway before it."""


class GatewayStream(NamedTuple):
    """One stream of one gateway."""

    area: str
    gateway: str
    stream: str


async def lock(tx: Tx, stream: GatewayStream, lane: str) -> Held:
    """One lane, held until the transaction ends; a new one begins now."""
    return (await lock_many(tx, (stream,), lane))[stream]


async def lock_many(tx: Tx, streams: Collection[GatewayStream], lane: str) -> dict[GatewayStream, Held]:
    """The lanes of several streams, held until the transaction ends; new ones begin now."""
    held = await lock_known(tx, streams, lane)
    missing = [stream for stream in streams if stream not in held]
    if missing:
        await begin(tx, missing, lane)
        held |= await lock_known(tx, missing, lane)
    return held


async def lock_known(tx: Tx, streams: Collection[GatewayStream], lane: str) -> dict[GatewayStream, Held]:
    """The lanes of those streams that have begun, held until the transaction ends."""
    asked = {(stream.gateway, stream.stream): stream for stream in streams}
    gateways, names = [gateway for gateway, _ in asked], [stream for _, stream in asked]
    found = await ask(tx, _sql["lock_lanes"], {"gateways": gateways, "streams": names, "lane": lane})
    return {asked[row["gateway"], row["stream"]]: Held(int(row["cursor"]), row["first_at"]) for row in found}


async def begin(tx: Tx, streams: Collection[GatewayStream], lane: str) -> None:
    """Lanes of streams that nobody has heard of; another transaction may do the same."""
    values = {"rows": rows([one._asdict() for one in dict.fromkeys(streams)]), "lane": lane, "now": tx.now}
    await tx.conn.execute(_sql["begin_lanes"], values)


async def look(tx: Tx, gateway: str, stream: str, lane: str) -> int:
    """The cursor of a lane without holding it; 0 when nothing came yet."""
    row = await (
        await tx.conn.execute(_sql["look_cursor"], {"gateway": gateway, "stream": stream, "lane": lane})
    ).fetchone()
    return int(row["cursor"]) if row else 0


async def move(tx: Tx, cursors: Mapping[GatewayStream, int], lane: str) -> None:
    """Everything up to these cursors is stored or can never come."""
    moved = [{**stream._asdict(), "cursor": cursor} for stream, cursor in cursors.items()]
    await tx.conn.execute(_sql["move_cursors"], {"rows": rows(moved), "lane": lane, "now": tx.now})


async def note_gap(tx: Tx, stream: GatewayStream, lane: str, gap: tuple[int, int]) -> None:
    """These rows can never come."""
    await tx.conn.execute(
        _sql["add_gap"],
        {
            "gateway": stream.gateway,
            "stream": stream.stream,
            "lane": lane,
            "from_seq": gap[0],
            "to_seq": gap[1],
            "now": tx.now,
        },
    )


async def report(tx: Tx) -> list[dict[str, Any]]:
    """What is stored of every stream of events: cursor, counts, the highest sequence number, gaps."""
    return await (await tx.conn.execute(_sql["report"])).fetchall()
