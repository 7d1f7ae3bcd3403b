"""Batches of readings into rows, in the transaction that moves their cursors.

Law of this file: a value that no sensor can mean is kept out (null) and counted; a row is never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, cast

from central.pipeline.answer import Said, answers
from central.store import lanes, readings
from central.store.lanes import GatewayStream
from central.store.pool import Tx
from central.store.readings import Columns
from wire import delivery
from wire.messages import Ack, Lane, ReadingBatch

LIMITS = {
    "smoke": (0.0, 10_000.0),
    "temperature": (-60.0, 400.0),
    "battery": (0.0, 100.0),
    "contamination": (0.0, 1_000.0),
    "status": (-(2**31), 2**31 - 1),
}
"""What a sensor can mean, in the units of `wire.messages.ReadingBatch`; ppm sensors reach 10,000."""

T = TypeVar("T", int, float)
_OLDEST_MS = 400 * 86_400_000
_AHEAD_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch of readings, whose it is, and when it came."""

    area: str
    gateway: str
    batch: ReadingBatch
    received_at: datetime


async def take_readings(
    tx: Tx, arrivals: Sequence[Arrival], counted: Counter[str] | None = None
) -> list[Ack]:
    """Store what is new in batches, whosever they are, and count `readings` and `absurd` values.

    Returns the answer to each, in their order. Raises StoreDown and StoreConflict: do it again.
    """
    lane = Lane.READINGS.value
    streams = [GatewayStream(came.area, came.gateway, came.batch.stream) for came in arrivals]
    held = {stream: lane.cursor for stream, lane in (await lanes.lock_many(tx, streams, lane)).items()}
    cursors = dict(held)
    through: list[int] = []
    new: list[Columns] = []
    counted = Counter() if counted is None else counted
    for stream, came in zip(streams, arrivals, strict=True):
        taken = delivery.take_readings(cursors[stream], came.batch)
        if taken.gap is not None:
            await lanes.note_gap(tx, stream, lane, taken.gap)
        if taken.skip < len(came.batch.t):
            new.append(_columns(came, taken.skip, counted))
        cursors[stream] = taken.cursor
        through.append(taken.cursor)
    if new:
        await readings.copy(tx, new)
    moved = {stream: cursor for stream, cursor in cursors.items() if cursor != held[stream]}
    if moved:
        await lanes.move(tx, moved, lane)
    said = [
        Said(came.batch.stream, cursor, came.batch.clock.mono_ms)
        for came, cursor in zip(arrivals, through, strict=True)
    ]
    return await answers(tx, Lane.READINGS, said)


def _columns(came: Arrival, skip: int, counted: Counter[str]) -> Columns:
    batch = came.batch
    received_ms = round(came.received_at.timestamp() * 1000)
    counted["readings"] += len(batch.t) - skip

    def kept(values: Sequence[T | None], name: str) -> Sequence[T | None]:
        return _kept(values[skip:], *LIMITS[name], counted)

    return Columns(
        gateway=came.gateway,
        received_ms=received_ms,
        detector=batch.detector[skip:],
        at_ms=_moments(batch, skip, received_ms),
        smoke=kept(batch.smoke, "smoke"),
        temperature=kept(batch.temperature, "temperature"),
        battery=kept(batch.battery, "battery"),
        contamination=kept(batch.contamination, "contamination"),
        status=kept(batch.status, "status"),
    )


def _kept(values: Sequence[T | None], low: float, high: float, counted: Counter[str]) -> Sequence[T | None]:
    whole = cast("Sequence[T]", values)
    there = [value for value in values if value is not None] if None in values else whole
    if not there:
        return ()
    if min(there) >= low and max(there) <= high:
        return values
    kept = [value if value is not None and low <= value <= high else None for value in values]
    counted["absurd"] += len(there) - (len(kept) - kept.count(None))
    return kept


def _moments(batch: ReadingBatch, skip: int, received_ms: int) -> list[int]:
    """When they were read: by the measured offset, else by their age at sending; never absurd."""
    clock = batch.clock
    shift = received_ms - clock.wall_ms if clock.offset_ms is None else clock.offset_ms
    low, high = received_ms - _OLDEST_MS, received_ms + _AHEAD_MS
    moments = [t + shift for t in batch.t[skip:]]
    if low <= min(moments) and max(moments) <= high:
        return moments
    return [ms if low <= ms <= high else received_ms for ms in moments]
