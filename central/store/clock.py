"""A server's clock that was set back: what was to come soon must not lie an hour ahead.

Law of this file: it shifts, by as much as the clock was, what no other rule mends: due rows and leases.
Messages, paces and jobs that lie too far ahead are taken for due by whoever looks. A clock that was set
forward needs none of this: what is due early only calls sooner, and leases wait until we have heard again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from central.store.pool import Tx
from central.store.sql import queries

NOTED_EVERY = timedelta(seconds=2)
"""How far the clock had come is known to this and one tick: by so much a step may come late."""
STEP = timedelta(seconds=1)
"""Less is how clocks are kept right."""
_SQL = queries("clock")


async def mend(tx: Tx) -> timedelta:
    """Notice that the clock was set back, shift what waits, and return by how much (zero: it was not)."""
    seen = await _seen(tx, "seen")
    if seen is None or tx.now - seen >= NOTED_EVERY:
        await tx.conn.execute(_SQL["note"], {"now": tx.now})
    if seen is None or seen - tx.now < STEP:
        return timedelta(0)
    seen = await _seen(tx, "hold")  # one of us shifts
    if seen is None or seen - tx.now < STEP:
        return timedelta(0)
    by = seen - tx.now
    for name in ("shift_due", "shift_leases", "shift_ears", "note"):
        await tx.conn.execute(_SQL[name], {"by": by, "now": tx.now})
    return by


async def _seen(tx: Tx, name: Literal["seen", "hold"]) -> datetime | None:
    row = await (await tx.conn.execute(_SQL[name])).fetchone()
    return None if row is None else row["at"]
