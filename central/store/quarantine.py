"""What could not be read or believed. Law of this file: kept with its reason, cut, never acted on."""

from __future__ import annotations

from datetime import datetime

from central.store.pool import Tx
from central.store.sql import queries

MAX_PAYLOAD = 65_536
"""Bytes of a payload that are kept."""
_sql = queries("quarantine")


async def keep(
    tx: Tx, *, received_at: datetime, topic: str, gateway: str | None, reason: str, payload: bytes
) -> None:
    """Put a payload aside."""
    await tx.conn.execute(
        _sql["add"],
        {
            "received_at": received_at,
            "topic": topic.replace("\x00", "\\0")[:500],
            "gateway": gateway,
            "reason": reason.replace("\x00", "\\0")[:2000],
            "payload": payload[:MAX_PAYLOAD],
        },
    )
