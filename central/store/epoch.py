"""Which database this is. Law of this file: one row; a restored or replaced database gets another value."""

from __future__ import annotations

from central.store.pool import Tx, ask


async def epoch(tx: Tx) -> str:
    """32 hex digits."""
    return str((await ask(tx, "SELECT epoch FROM epoch", {}))[0]["epoch"])
