"""Who has a duty towards an alarm. Law of this file: only active workers who can be reached at all.

An area that the registry does not know has no dispatcher of its own: then every dispatcher is told.
"""

from __future__ import annotations

from itertools import groupby

from central.engine.model import Alarm
from central.engine.policy import Target
from central.notifier.plan import Contact, Recipient
from central.store.pool import Tx
from central.store.sql import queries

_sql = queries("people")


async def recipients(tx: Tx, alarm: Alarm, target: Target) -> list[Recipient]:
    """Those who have this duty, each with contacts in the order in which they are tried."""
    cursor = await tx.conn.execute(
        _sql["recipients"], {"target": target.value, "grid": alarm.grid, "area": alarm.area}
    )
    return [
        Recipient(worker, tuple(Contact(row["rank"], row["channel"], row["address"]) for row in rows))
        for worker, rows in groupby(await cursor.fetchall(), key=lambda row: str(row["worker"]))
    ]
