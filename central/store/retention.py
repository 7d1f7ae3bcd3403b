"""Forgetting what is too old. Law of this file: events, alarms and the audit log are never forgotten."""

from __future__ import annotations

from datetime import timedelta

from central.store.edition import drop_chunks
from central.store.pool import Tx
from central.store.sql import queries

PIECE = 20_000
"""The most rows that one transaction deletes; fewer were left when a call deletes fewer."""
_SQL = queries("retention")


async def forget_readings(tx: Tx, keep: timedelta) -> int:
    """Delete up to PIECE readings older than `keep`; whole chunks (counted, not rows) where there are any."""
    before = tx.now - keep
    dropped = await drop_chunks(tx, before)
    if dropped is not None:
        return dropped
    values = {"before": before, "piece": PIECE}
    return (await tx.conn.execute(_SQL["forget_readings"], values)).rowcount


async def forget_quarantine(tx: Tx, keep: timedelta) -> int:
    """Delete up to PIECE payloads put aside longer than `keep` ago."""
    values = {"before": tx.now - keep, "piece": PIECE}
    return (await tx.conn.execute(_SQL["forget_quarantine"], values)).rowcount
