"""Batches of readings into rows, in the transaction that moves their cursors.

Law of this file: a value that no sensor can mean is kept out (null), counted and put aside for people to look
at; a row of a detector that nobody has registered is kept out and counted; a row is never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress
from typing import NamedTuple, TypeVar, cast

import msgspec

from central.pipeline.answer import Said, answers
from central.store import lanes, quarantine, readings
from central.store.lanes import GatewayStream
from central.store.pool import Tx
from central.store.readings import EPOCH_MS, Columns
from central.store.rollups import Touched
from central.store.series import SeriesIds
from central.time_slice import TimeSlice
from wire import delivery
from wire.messages import Ack, Lane, ReadingBatch
from wire.topics import Channel, gateway_topic

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


class _Absurd(NamedTuple):
    """A value that was kept out; as text, since it may be no finite number."""

    detector: str
    t: int
    metric: str
    value: str


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
    asked = [(came.gateway, came.batch.detector) for came in arrivals]
    numbers = await (ids or SeriesIds()).find(tx, asked)
    through: list[int] = []
    unknown: list[Sequence[str]] = []
    new: list[Columns] = []
    touched = Touched()
    counted = Counter() if counted is None else counted
    time_slice = TimeSlice()
    for stream, came, series in zip(streams, arrivals, numbers, strict=True):
        await time_slice.give_way()
        taken = delivery.take_readings(cursors[stream], came.batch)
        if taken.gap is not None:
            await lanes.note_gap(tx, stream, lane, taken.gap)
        if taken.skip < len(came.batch.t):
            columns, absurd = _columns(came, taken.skip, series, counted)
            if absurd:
                counted["absurd"] += len(absurd)
                await _put_aside(tx, came, absurd)
            if columns.series:
                new.append(columns)
                touched.add(came.gateway, columns.at_us)
        cursors[stream] = taken.cursor
        through.append(taken.cursor)
        unknown.append(_strangers(came, series) if None in series else ())
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


def _strangers(came: Arrival, series: Sequence[int | None]) -> Sequence[str]:
    names = {name for name, number in zip(came.batch.detector, series, strict=True) if number is None}
    return sorted(names)[:MOST_UNKNOWN]


async def _put_aside(tx: Tx, came: Arrival, absurd: Sequence[_Absurd]) -> None:
    first, more = absurd[0], len(absurd) - 1
    reason = f"no sensor can mean this: {first.metric} {first.value} of {first.detector}"
    await quarantine.keep(
        tx,
        received_at=came.received_at,
        topic=gateway_topic(came.area, came.gateway, Channel.READINGS),
        gateway=came.gateway,
        reason=f"{reason}, and {more} more" if more else reason,
        payload=msgspec.json.encode(absurd),
    )


def _columns(
    came: Arrival, skip: int, numbers: list[int | None], counted: Counter[str]
) -> tuple[Columns, list[_Absurd]]:
    batch = came.batch
    received_ms = round(came.received_at.timestamp() * 1000)
    rows = numbers[skip:]
    known = None if None not in rows else [number is not None for number in rows]
    series = cast("list[int]", rows) if known is None else [n for n in rows if n is not None]
    counted["readings"] += len(series)
    if known is not None:
        counted["strangers"] += len(rows) - len(series)

    absurd: list[_Absurd] = []

    def kept(values: list[T | None], metric: str) -> list[T | None]:
        asked = values[skip:] if known is None else list(compress(values[skip:], known))
        if not asked or (asked[0] is None and asked.count(None) == len(asked)):
            return []
        out = _outside(asked, *LIMITS[metric])
        if out:
            there = [skip + n for n, number in enumerate(rows) if number is not None]
            for n in out:
                row = there[n]
                absurd.append(_Absurd(batch.detector[row], batch.t[row], metric, str(asked[n])))
                asked[n] = None
        return asked

    moments = _moments_us(batch, skip, received_ms)
    columns = Columns(
        received_us=_us(received_ms),
        series=series,
        at_us=moments if known is None else list(compress(moments, known)),
        smoke=kept(batch.smoke, "smoke"),
        temperature=kept(batch.temperature, "temperature"),
        battery=kept(batch.battery, "battery"),
        contamination=kept(batch.contamination, "contamination"),
        status=kept(batch.status, "status"),
    )
    return columns, absurd


def _outside(values: Sequence[float | None], low: float, high: float) -> list[int]:
    """Where the values are that lie outside; nearly always none, which is found without looking at each."""
    there = cast("Sequence[float]", values)
    try:
        if min(there) >= low and max(there) <= high:
            return []
    except TypeError:  # there are nulls
        pass
    return [n for n, value in enumerate(values) if value is not None and not low <= value <= high]


def _us(ms: int) -> int:
    return (ms - EPOCH_MS) * 1000


def _moments_us(batch: ReadingBatch, skip: int, received_ms: int) -> list[int]:
    """When they were read: by the measured offset, else by their age at sending; never absurd."""
    clock = batch.clock
    shift_ms = received_ms - clock.wall_ms if clock.offset_ms is None else clock.offset_ms
    low, high, received, shift = map(
        _us, (received_ms - _OLDEST_MS, received_ms + _AHEAD_MS, received_ms, shift_ms)
    )
    moments = [t * 1000 + shift for t in batch.t[skip:]]
    if low <= min(moments) and max(moments) <= high:
        return moments
    return [us if low <= us <= high else received for us in moments]
