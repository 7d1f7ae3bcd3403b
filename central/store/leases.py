"""Proof of life of gateways, and of our own hearing.

Law of this file: times are the database's; only a live heartbeat renews a lease; time in which nobody
listened never counts against a gateway.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from central.store.pool import Tx
from central.store.sql import queries

LEASE = timedelta(seconds=90)
"""A gateway not heard for so long is silent."""
EAR_GAP = timedelta(seconds=12)
"""Between two beats of ingest (every 5 s) more than this is time in which nobody listened."""
DEAF_AFTER = timedelta(seconds=30)
"""No beat of ingest for so long: no gateway can be judged."""
_sql = queries("leases")


class Ear(NamedTuple):
    """One ingest's hearing: `deaf` is the sum of all spans in which nobody listened."""

    area: str
    heard_at: datetime
    deaf: timedelta


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


async def ear_of(tx: Tx, area: str) -> Ear | None:
    """The ear that hears an area; None when ingest never ran."""
    row = await (await tx.conn.execute(_sql["ear_of"], {"area": area})).fetchone()
    return Ear(**row) if row else None


async def hearing(tx: Tx) -> dict[str, datetime]:
    """When each area that has gateways was listened to last."""
    rows = await (await tx.conn.execute(_sql["hearing"])).fetchall()
    return {row["area"]: row["heard_at"] for row in rows}


async def renew(tx: Tx, gateway: str, area: str, status: dict[str, Any]) -> datetime | None:
    """A live heartbeat came. Returns since when it had been silent; None when it was not."""
    row = await (await tx.conn.execute(_sql["was_silent"], {"gateway": gateway})).fetchone()
    ear = await ear_of(tx, area)
    await tx.conn.execute(
        _sql["renew"],
        {
            "gateway": gateway,
            "now": tx.now,
            "deaf": ear.deaf if ear else timedelta(0),
            "status": Jsonb(status),
        },
    )
    return row["silent_since"] if row else None


async def last_status(tx: Tx, gateway: str) -> dict[str, Any] | None:
    """What the last heartbeat said; None before the first. The lease is held until the transaction's end."""
    row = await (await tx.conn.execute(_sql["was_silent"], {"gateway": gateway})).fetchone()
    return row["status"] if row else None


async def goodbye(tx: Tx, gateway: str) -> None:
    """A last will or a farewell came: a hint for people, no proof of anything."""
    await tx.conn.execute(_sql["goodbye"], {"gateway": gateway})


async def take_silent(tx: Tx, limit: int = 1000) -> list[Silent]:
    """Mark gateways whose lease has ended as silent, and return them; each is returned once."""
    cursor = await tx.conn.execute(
        _sql["silent"], {"now": tx.now, "lease": LEASE, "deaf_after": DEAF_AFTER, "limit": limit}
    )
    return [Silent(**row) for row in await cursor.fetchall()]


async def registered_area(tx: Tx, gateway: str) -> str | None:
    """The area of a gateway that the registry knows and that is not retired."""
    row = await (await tx.conn.execute(_sql["is_registered"], {"gateway": gateway})).fetchone()
    return str(row["area"]) if row else None
