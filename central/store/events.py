"""Events on record. Law of this file: (gateway, stream, seq) once; rows change only to say they failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from central.store.pool import Tx
from central.store.rows import rows as as_rows
from central.store.sql import queries

_sql = queries("events")

Sighting = tuple[int, str, str | None, str | None, str | None]
"""mono_ms, kind, condition, detector, bus: what makes an observation the same under another stream."""


class EventRow(Struct, frozen=True):
    """One event as it is stored. `event_at` is corrected, `raw_at` the agent's own stamp."""

    area: str
    gateway: str
    stream: str
    seq: int
    digest: bytes
    kind: str
    condition: str | None
    detector: str | None
    bus: str | None
    value: float | None
    event_at: datetime
    quality: str
    raw_at: datetime
    received_at: datetime
    recorded_at: datetime
    boot: str
    mono_ms: int
    config_version: int
    body: bytes
    failed: str | None = None


async def digests(
    tx: Tx, gateway: str, stream: str, *, first: int, last: int, cursor: int
) -> dict[int, bytes]:
    """Digests by seq of what is stored between `first` and `last`, and above the cursor."""
    rows = await tx.conn.execute(
        _sql["digests"],
        {"gateway": gateway, "stream": stream, "first": first, "last": last, "cursor": cursor},
    )
    return {int(row["seq"]): bytes(row["digest"]) for row in await rows.fetchall()}


async def seen_elsewhere(
    tx: Tx, gateway: str, stream: str, boot: str, from_ms: int, to_ms: int
) -> set[Sighting]:
    """What the gateway told of these moments of this boot under other streams."""
    rows = await tx.conn.execute(
        _sql["elsewhere"],
        {"gateway": gateway, "stream": stream, "boot": boot, "from_ms": from_ms, "to_ms": to_ms},
    )
    return {
        (int(r["mono_ms"]), r["kind"], r["condition"], r["detector"], r["bus"]) for r in await rows.fetchall()
    }


async def insert(tx: Tx, rows: Sequence[EventRow]) -> list[int]:
    """Store events; returns their ids in the same order."""
    cursor = await tx.conn.execute(_sql["insert_events"], {"rows": as_rows(rows)})
    return [int(row["id"]) for row in await cursor.fetchall()]


async def mark_failed(tx: Tx, event_id: int, why: str) -> None:
    """Say why an event on record could not be processed."""
    await tx.conn.execute(_sql["mark_failed"], {"id": event_id, "failed": why[:2000]})
