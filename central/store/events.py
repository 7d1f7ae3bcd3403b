"""Events on record. Law of this file: (gateway, stream, seq) once; rows change only to say they failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from central.store.pool import Tx, ask
from central.store.rows import rows as as_rows
from central.store.sql import queries

_sql = queries("events")

Stream = tuple[str, str]
"""The gateway and its stream."""
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


class Asked(NamedTuple):
    """Rows `first` to `last` of a stream."""

    gateway: str
    stream: str
    first: int
    last: int


async def digests(tx: Tx, asked: Sequence[Asked]) -> dict[Stream, dict[int, bytes]]:
    """Digests by seq of what is stored of these rows, and above the cursors of their lanes.

    Who means to add to them holds the lanes.
    """
    found: dict[Stream, dict[int, bytes]] = {(one.gateway, one.stream): {} for one in asked}
    values = {
        "gateways": [one.gateway for one in asked],
        "streams": [one.stream for one in asked],
        "firsts": [one.first for one in asked],
        "lasts": [one.last for one in asked],
    }
    for row in await ask(tx, _sql["digests"], values):
        found[row["gateway"], row["stream"]][int(row["seq"])] = bytes(row["digest"])
    return found


async def seen_elsewhere(tx: Tx, asked: Mapping[Stream, tuple[str, int, int]]) -> dict[Stream, set[Sighting]]:
    """What gateways told of moments (boot, from, to: ms of its clock) under other streams than these."""
    values = {
        "gateways": [gateway for gateway, _ in asked],
        "streams": [stream for _, stream in asked],
        "boots": [boot for boot, _, _ in asked.values()],
        "firsts": [first for _, first, _ in asked.values()],
        "lasts": [last for _, _, last in asked.values()],
    }
    found: dict[Stream, set[Sighting]] = {stream: set() for stream in asked}
    for r in await ask(tx, _sql["elsewhere"], values):
        sighting = (int(r["mono_ms"]), r["kind"], r["condition"], r["detector"], r["bus"])
        found[r["gateway"], r["stream"]].add(sighting)
    return found


async def insert(tx: Tx, rows: Sequence[EventRow]) -> list[int]:
    """Store events; returns their ids in the same order."""
    cursor = await tx.conn.execute(_sql["insert_events"], {"rows": as_rows(rows)})
    ids = {(row["gateway"], row["stream"], row["seq"]): int(row["id"]) for row in await cursor.fetchall()}
    return [ids[row.gateway, row.stream, row.seq] for row in rows]


async def mark_failed(tx: Tx, event_id: int, why: str) -> None:
    """Say why an event on record could not be processed."""
    await tx.conn.execute(_sql["mark_failed"], {"id": event_id, "failed": why[:2000]})
