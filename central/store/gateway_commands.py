"""Commands on their way to gateways. Law of this file: published once, and never after their time.

That a command was published proves nothing: what the gateway did with it comes back as a note.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from central.store.pool import Tx, notify
from central.store.sql import queries

_SQL = queries("gateway_commands")


class Ordered(NamedTuple):
    """One command; `body` is the encoded wire message."""

    id: str
    area: str
    gateway: str
    body: bytes


async def order(tx: Tx, *, id_: str, gateway: str, body: bytes, by: str, expires_at: datetime) -> None:
    """Have it published when this transaction is committed."""
    values = {"id": id_, "gateway": gateway, "body": body, "by": by, "now": tx.now, "expires_at": expires_at}
    await tx.conn.execute(_SQL["order"], values)
    await notify(tx, "config", gateway)


async def to_publish(tx: Tx, area: str) -> list[Ordered]:
    """Those for gateways of an area ('' for all) that still have time."""
    cursor = await tx.conn.execute(_SQL["to_publish"], {"area": area, "now": tx.now})
    return [Ordered(**row) for row in await cursor.fetchall()]


async def published(tx: Tx, id_: str) -> None:
    """The broker has it."""
    await tx.conn.execute(_SQL["published"], {"id": id_, "now": tx.now})


async def gateways_of(tx: Tx, detectors: Collection[str]) -> dict[str, list[str]]:
    """The gateways that watch detectors now, each with those of them."""
    cursor = await tx.conn.execute(_SQL["gateways_of"], {"detectors": list(detectors)})
    return {row["gateway"]: row["detectors"] for row in await cursor.fetchall()}
