"""Proof of life of gateways, and of our own hearing.

Law of this file: times are the database's; only a live heartbeat renews a lease; time in which nobody
listened never counts against a gateway.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from central.store.pool import Tx
from central.store.sql import queries

LEASE = timedelta(seconds=90)
"""A gateway not heard for so long is silent."""
EAR_GAP = timedelta(seconds=12)
"""Between two beats of ingest (every 5 s) more than this is time in which nobody listened."""
DEAF_AFTER = timedelta(seconds=30)
"""No beat of ingest for so long: no gateway can be judged."""
_sql = queries("leases")
_ENCODER = msgspec.json.Encoder()


class Held(NamedTuple):
    """The lease of a gateway, which nobody else changes now."""

    silent_since: datetime | None
    status: dict[str, Any]
    """What the last heartbeat said; empty before the first."""
    heard_at: datetime
    settled_at: datetime | None
    """When the gateway, or we, were last heard again after a silence."""
    canary_at: datetime | None
    """When the last proof of the lane was stored."""


class Silent(NamedTuple):
    """A gateway whose lease has just ended."""

    gateway: str
    area: str
    heard_at: datetime
    said_goodbye: bool


async def beat(tx: Tx, area: str) -> timedelta:
    """Ingest listens to `area` ('' for all). Returns the span of deafness that this beat ended, or zero."""
    row = await (await tx.conn.execute(_sql["lock_ear"], {"area": area})).fetchone()
    if row is None:
        await tx.conn.execute(_sql["begin_ear"], {"area": area, "now": tx.now})
        return timedelta(0)
    gap = max(tx.now - row["heard_at"], timedelta(0))
    lost = gap if gap > EAR_GAP else timedelta(0)
    await tx.conn.execute(_sql["save_ear"], {"area": area, "now": tx.now, "deaf": row["deaf"] + lost})
    return lost


async def hearing(tx: Tx) -> dict[str, datetime]:
    """When each area that has gateways was listened to last."""
    rows = await (await tx.conn.execute(_sql["hearing"])).fetchall()
    return {row["area"]: row["heard_at"] for row in rows}


async def hold(tx: Tx, gateways: Collection[str]) -> dict[str, Held]:
    """The leases of those gateways that the registry knows, held until the transaction's end."""
    rows = await (await tx.conn.execute(_sql["hold"], {"gateways": list(gateways)})).fetchall()
    return {row.pop("gateway"): Held(**row) for row in rows}


async def renew(tx: Tx, areas: Mapping[str, str], statuses: Mapping[str, Any]) -> None:
    """Live heartbeats of gateways came: from which area, and what they said."""
    values = {
        "gateways": list(areas),
        "areas": list(areas.values()),
        "statuses": [_ENCODER.encode(statuses[gateway]).decode() for gateway in areas],
        "now": tx.now,
    }
    await tx.conn.execute(_sql["renew"], values)


async def canaries(tx: Tx, gateways: Collection[str]) -> None:
    """Proofs of the lane of these gateways have come through it."""
    await tx.conn.execute(_sql["canaries"], {"gateways": sorted(gateways), "now": tx.now})


async def goodbye(tx: Tx, gateways: Collection[str]) -> None:
    """Last wills or farewells came: a hint for people, no proof of anything."""
    await tx.conn.execute(_sql["goodbye"], {"gateways": sorted(gateways)})


async def take_silent(tx: Tx, limit: int = 1000) -> list[Silent]:
    """Mark gateways whose lease has ended as silent, and return them; each is returned once."""
    cursor = await tx.conn.execute(
        _sql["silent"], {"now": tx.now, "lease": LEASE, "deaf_after": DEAF_AFTER, "limit": limit}
    )
    return [Silent(**row) for row in await cursor.fetchall()]


async def returned(tx: Tx, gateways: Collection[str]) -> dict[str, datetime | None]:
    """When gateways were last heard again after a silence, theirs or ours; None: there was none."""
    rows = await (await tx.conn.execute(_sql["returned"], {"gateways": list(gateways)})).fetchall()
    return {row["gateway"]: row["at"] for row in rows}


async def fallen(tx: Tx, areas: Collection[str], since: datetime | None = None) -> dict[str, int]:
    """How many gateways of areas are silent, since a moment or at all; an area without one is not there."""
    values = {"areas": list(areas), "since": since}
    rows = await (await tx.conn.execute(_sql["fallen"], values)).fetchall()
    return {row["area"]: row["silent"] for row in rows}


async def count(tx: Tx, areas: Collection[str], most: int) -> dict[str, int]:
    """How many gateways areas have; counting ends at `most`."""
    values = {"areas": list(areas), "most": most}
    rows = await (await tx.conn.execute(_sql["gateways"], values)).fetchall()
    return {row["area"]: row["gateways"] for row in rows}
