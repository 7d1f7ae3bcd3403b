"""Readings. Law of this file: in by binary COPY, in the same transaction as the cursor of their lane."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from central.store.pool import Tx

Row = tuple[datetime, datetime, str, str, float | None, float | None, float | None, float | None, int | None]
"""at, received_at, gateway, detector, smoke, temperature, battery, contamination, status."""

_COPY = (
    "COPY readings (at, received_at, gateway, detector, smoke, temperature, battery, contamination, status)"
    " FROM STDIN (FORMAT BINARY)"
)
_TYPES = [
    "timestamptz",
    "timestamptz",
    "text",
    "text",
    "float4",
    "float4",
    "float4",
    "float4",
    "int4",
]


async def copy(tx: Tx, rows: Iterable[Row]) -> None:
    """Store rows. A float beyond float4 or a status beyond 32 bits must not come here."""
    async with tx.conn.cursor() as cursor, cursor.copy(_COPY) as copy_in:
        copy_in.set_types(_TYPES)
        for row in rows:
            await copy_in.write_row(row)
