"""Batches of readings into rows, in the transaction that moves their cursors.

Law of this file: a value that no sensor can mean is kept out (null) and counted, a detector that nobody has
registered likewise; a row is never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress
from typing import TypeVar, cast

from central.pipeline.answer import Said, answers
from central.store import lanes, readings
from central.store.lanes import GatewayStream
from central.store.pool import Tx
from central.store.readings import Columns
from central.store.rollups import Touched
from central.store.series import SeriesIds
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
MOST_UNKNOWN = 16
"""Strangers named in one answer."""
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
    tx: Tx,
    arrivals: Sequence[Arrival],
    counted: Counter[str] | None = None,
    ids: SeriesIds | None = None,
) -> list[Ack]:
    """Store what is new in batches, whosever they are. Returns the answer to each, in their order.

    Counts `readings`, `absurd` values, and `strangers`: rows of detectors that the registry does not know.
    Those are kept out, and the gateway is told. `ids` remembers numbers from one call to the next.

    Raises StoreDown and StoreConflict: do it again.
    """
    lane = Lane.READINGS.value
    streams = [GatewayStream(came.area, came.gateway, came.batch.stream) for came in arrivals]
    held = {stream: lane.cursor for stream, lane in (await lanes.lock_many(tx, streams, lane)).items()}
    cursors = dict(held)
    numbers = await (ids or SeriesIds()).find(tx, _detectors(arrivals))
    through: list[int] = []
    unknown: list[Sequence[str]] = []
    new: list[Columns] = []
    touched = Touched()
    counted = Counter() if counted is None else counted
    for stream, came in zip(streams, arrivals, strict=True):
        taken = delivery.take_readings(cursors[stream], came.batch)
        if taken.gap is not None:
            await lanes.note_gap(tx, stream, lane, taken.gap)
        if taken.skip < len(came.batch.t):
            columns = _columns(came, taken.skip, numbers[came.gateway], counted)
            if columns.series:
                new.append(columns)
                touched.add(came.gateway, columns.at_ms)
        cursors[stream] = taken.cursor
        through.append(taken.cursor)
        unknown.append(sorted(set(came.batch.detector) - numbers[came.gateway].keys())[:MOST_UNKNOWN])
    if new:
        await readings.copy(tx, new)
        await touched.save(tx)
    moved = {stream: cursor for stream, cursor in cursors.items() if cursor != held[stream]}
    if moved:
        await lanes.move(tx, moved, lane)
    said = [
        Said(came.batch.stream, cursor, came.batch.clock.mono_ms, unknown=names)
        for came, cursor, names in zip(arrivals, through, unknown, strict=True)
    ]
    return await answers(tx, Lane.READINGS, said)


def _detectors(arrivals: Sequence[Arrival]) -> dict[str, set[str]]:
    asked: dict[str, set[str]] = {}
    for came in arrivals:
        asked.setdefault(came.gateway, set()).update(came.batch.detector)
    return asked


def _columns(came: Arrival, skip: int, numbers: Mapping[str, int], counted: Counter[str]) -> Columns:
    batch = came.batch
    received_ms = round(came.received_at.timestamp() * 1000)
    rows = [numbers.get(detector) for detector in batch.detector[skip:]]
    known = None if None not in rows else [number is not None for number in rows]
    series = [number for number in rows if number is not None]
    counted["readings"] += len(series)
    if known is not None:
        counted["strangers"] += len(rows) - len(series)

    def kept(values: Sequence[T | None], name: str) -> Sequence[T | None]:
        asked = values[skip:]
        return _kept(asked if known is None else list(compress(asked, known)), *LIMITS[name], counted)

    moments = _moments(batch, skip, received_ms)
    return Columns(
        received_ms=received_ms,
        series=series,
        at_ms=moments if known is None else list(compress(moments, known)),
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
