"""Which database this is. Law of this file: one row; a restored or replaced database gets another value."""

from __future__ import annotations

from central.store.pool import Tx, one


async def epoch(tx: Tx) -> str:
    """32 hex digits."""
    return str(one(await (await tx.conn.execute("SELECT epoch FROM epoch")).fetchone())["epoch"])
