"""A batch of readings into rows, in the transaction that moves the cursor.

Law of this file: a value that no sensor can mean is kept out (null) and counted; a row is never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from central.pipeline.answer import answer
from central.store import lanes, readings
from central.store.pool import Tx
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

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OLDEST = timedelta(days=400)
_AHEAD = timedelta(minutes=5)


async def take_readings(
    tx: Tx,
    area: str,
    gateway: str,
    batch: ReadingBatch,
    received_at: datetime,
    counted: Counter[str] | None = None,
) -> Ack:
    """Store what is new in a batch and count `readings` and `absurd` values. Returns the answer.

    Raises StoreDown and StoreConflict: do it again.
    """
    lane = Lane.READINGS.value
    cursor, _ = await lanes.lock(tx, area, gateway, batch.stream, lane)
    taken = delivery.take_readings(cursor, batch)
    if taken.gap is not None:
        await lanes.note_gap(tx, gateway, batch.stream, lane, taken.gap)
    if taken.skip < len(batch.t):
        dropped = [0]
        await readings.copy(tx, _rows(gateway, batch, taken.skip, received_at, dropped))
        if counted is not None:
            counted.update(readings=len(batch.t) - taken.skip, absurd=dropped[0])
    if taken.cursor != cursor:
        await lanes.move(tx, gateway, batch.stream, lane, taken.cursor)
    return await answer(tx, batch.stream, Lane.READINGS, taken.cursor, echo_ms=batch.clock.mono_ms)


def _rows(
    gateway: str, batch: ReadingBatch, skip: int, received_at: datetime, dropped: list[int]
) -> Iterator[readings.Row]:
    smoke = _column(batch.smoke, "smoke", len(batch.t), dropped)
    temperature = _column(batch.temperature, "temperature", len(batch.t), dropped)
    battery = _column(batch.battery, "battery", len(batch.t), dropped)
    contamination = _column(batch.contamination, "contamination", len(batch.t), dropped)
    status = _column(batch.status, "status", len(batch.t), dropped)
    received_ms = round(received_at.timestamp() * 1000)
    for i in range(skip, len(batch.t)):
        yield (
            _moment(batch, i, received_at, received_ms),
            received_at,
            gateway,
            batch.detector[i],
            smoke[i],
            temperature[i],
            battery[i],
            contamination[i],
            None if status[i] is None else int(status[i] or 0),
        )


def _column(
    values: Sequence[float | None], name: str, rows: int, dropped: list[int]
) -> Sequence[float | None]:
    if not values:
        return [None] * rows
    low, high = LIMITS[name]
    kept = [value if value is not None and low <= value <= high else None for value in values]
    dropped[0] += kept.count(None) - list(values).count(None)
    return kept


def _moment(batch: ReadingBatch, i: int, received_at: datetime, received_ms: int) -> datetime:
    """When it was read: by the measured offset, else by its age at sending; never absurd."""
    clock = batch.clock
    if clock.offset_ms is not None:
        ms = batch.t[i] + clock.offset_ms
    else:
        ms = received_ms - (clock.wall_ms - batch.t[i])
    ahead = timedelta(milliseconds=ms - received_ms) if abs(ms - received_ms) < 10**13 else _OLDEST * 10
    if ahead > _AHEAD or ahead < -_OLDEST:
        return received_at
    return _EPOCH + timedelta(milliseconds=ms)
