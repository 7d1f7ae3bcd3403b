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
    return await _forget(tx, "readings", keep)


async def forget_minutes(tx: Tx, keep: timedelta) -> int:
    """The same for roll-ups by minute."""
    return await _forget(tx, "rollup_minute", keep)


async def forget_hours(tx: Tx, keep: timedelta) -> int:
    """The same for roll-ups by hour. Those by day are kept for ever."""
    return await _forget(tx, "rollup_hour", keep)


async def _forget(tx: Tx, table: str, keep: timedelta) -> int:
    before = tx.now - keep
    dropped = await drop_chunks(tx, table, before)
    if dropped is not None:
        return dropped
    values = {"before": before, "piece": PIECE}
    return (await tx.conn.execute(_SQL[f"forget_{table}"], values)).rowcount


async def forget_quarantine(tx: Tx, keep: timedelta) -> int:
    """Delete up to PIECE payloads put aside longer than `keep` ago."""
    values = {"before": tx.now - keep, "piece": PIECE}
    return (await tx.conn.execute(_SQL["forget_quarantine"], values)).rowcount
