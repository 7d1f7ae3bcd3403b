"""Which database this is. Law of this file: one row; a restored or replaced database gets another value."""

from __future__ import annotations

from central.store.errors import StoreDown
from central.store.pool import Tx, ask


async def epoch(tx: Tx) -> str:
    """32 hex digits. Raises StoreDown while a new or restored database has none yet."""
    rows = await ask(tx, "SELECT epoch FROM epoch", {})
    if not rows:
        raise StoreDown("the database has no epoch yet: it is being made or restored")
    return str(rows[0]["epoch"])
