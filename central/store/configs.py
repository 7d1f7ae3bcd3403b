"""Configurations on their way to gateways.

Law of this file: the highest version is the wanted one; it is published until the gateway reports its hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from central.store.pool import Tx, notify
from central.store.sql import queries

AGAIN_AFTER = timedelta(seconds=60)
"""A gateway that reports another hash gets the wanted configuration again, at most so often."""
_sql = queries("configs")


class Wanted(NamedTuple):
    """What a gateway is wanted to run; `body` is the encoded wire message."""

    gateway: str
    area: str
    version: int
    hash: str
    body: bytes
    published_at: datetime | None


async def to_publish(tx: Tx, area: str) -> list[Wanted]:
    """The wanted configurations of an area ('' for all) that wait to be published."""
    cursor = await tx.conn.execute(_sql["to_publish"], {"area": area})
    return [Wanted(**row) for row in await cursor.fetchall() if row["published_at"] is None]


async def published(tx: Tx, gateway: str, version: int) -> None:
    """The broker has it, retained."""
    await tx.conn.execute(_sql["published"], {"gateway": gateway, "version": version, "now": tx.now})


async def reported(tx: Tx, said: Mapping[str, tuple[str | None, str | None]]) -> None:
    """What gateways say of their configuration: the hash they apply, and why they refused the last one.

    It is noted; one that applies another than it should gets its own again.
    """
    rows = await (await tx.conn.execute(_sql["latest"], {"gateways": list(said)})).fetchall()
    for row in rows:
        gateway = row["gateway"]
        applied_hash, error = said[gateway]
        key = {"gateway": gateway, "version": row["version"]}
        if applied_hash == row["hash"]:
            if row["applied_at"] is None or row["refused"] is not None:
                await tx.conn.execute(_sql["applied"], {**key, "now": tx.now})
            continue
        if error is not None and row["refused"] != error:
            await tx.conn.execute(_sql["refused"], {**key, "why": error})
        if row["published_at"] is not None and tx.now - row["published_at"] > AGAIN_AFTER:
            await tx.conn.execute(_sql["publish_again"], key)
            await notify(tx, "config", gateway)
