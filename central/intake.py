"""Messages from the broker into the database, and the answers to them.

Law of this file: nothing a peer sends ends the loop, and no answer leaves before its commit. Area and gateway
come from the topic, which the broker guards; never from the payload.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

import structlog

from central import metrics, pipeline
from central.store import quarantine
from central.store.errors import StoreConflict, StoreDown
from central.store.pool import Store, Tx
from central.store.series import SeriesIds
from central.time_slice import TimeSlice
from wire import codec
from wire.errors import RemoteError
from wire.messages import Ack, EventBatch, ReadingBatch, Status
from wire.topics import Address, Channel, gateway_topic, parse

_log = structlog.get_logger()
_T = TypeVar("_T")
_COUNTERS = {
    "stored": metrics.EVENTS_STORED,
    "repeated": metrics.EVENTS_REPEATED,
    "failed": metrics.EVENTS_FAILED,
    "readings": metrics.READINGS_STORED,
    "absurd": metrics.READINGS_ABSURD,
    "strangers": metrics.READINGS_UNKNOWN,
    "conflicts": metrics.QUARANTINED.labels(reason="conflict"),
    "refused": metrics.QUARANTINED.labels(reason="refused"),
}
"""What the pipeline counts; added up after the commit."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
PATIENCE_S = 60.0
"""A message that cannot be stored for so long is let go without an answer: the gateway sends it again."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message as the broker delivered it."""

    topic: str
    payload: bytes
    retained: bool
    """Kept by the broker and delivered because we subscribed: no proof that anybody lives."""
    arrived: float
    """The loop's clock, seconds."""


Moment = Callable[[Parcel], datetime]
"""When a parcel arrived (UTC)."""


class Answer(NamedTuple):
    """What is to be published, now that its cause is committed."""

    topic: str
    payload: bytes


class _Read(NamedTuple):
    """A parcel that could be read."""

    parcel: Parcel
    address: Address
    message: object


class Intake:
    """Stores what parcels hold."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._series = SeriesIds()

    async def take(self, parcels: Sequence[Parcel]) -> list[Answer]:
        """Store parcels, patiently, in one transaction what may share one. Returns what to answer.

        Never raises for what a peer sent or for a database that is away; whatever else goes wrong with a
        parcel is logged, put aside, and the others are taken.
        """
        answers: list[Answer | None] = []
        together: dict[object, list[_Read]] = {}
        time_slice = TimeSlice()
        for parcel in parcels:
            try:
                address = parse(parcel.topic)
            except RemoteError as error:
                await self._put_aside(parcel, None, str(error), "topic")
                continue
            try:
                message = codec.decode(address.channel, parcel.payload)
            except RemoteError as error:
                answers.append(await self._unreadable(parcel, address, str(error)))
            else:
                read = _Read(parcel, address, message)
                together.setdefault(_shares(read), []).append(read)
            await time_slice.give_way()
        for read_ones in together.values():
            answers += await self._store_all(read_ones)
        return [answer for answer in answers if answer is not None]

    async def _store_all(self, read: Sequence[_Read], *, again: bool = True) -> list[Answer | None]:
        """What shares a transaction; when that fails each once again, in its own."""
        try:
            counted, acks = await self._patiently(read[-1].parcel, lambda tx, at: self._keep(tx, read, at))
        except (StoreDown, StoreConflict) as error:
            _log.warning("let go", topic=read[0].parcel.topic, parcels=len(read), error=str(error))
            return []
        except Exception as error:  # noqa: BLE001 -- the next parcel must be taken
            _log.exception("parcels failed", topic=read[0].parcel.topic, parcels=len(read))
            if again:
                return [answer for one in read for answer in await self._store_all([one], again=False)]
            why = f"{type(error).__name__}: {error}"
            return [await self._unreadable(read[0].parcel, read[0].address, why)]
        for name, count in counted.items():
            _COUNTERS[name].inc(count)
        return [_answer(one.address, ack) for one, ack in zip(read, acks, strict=True)]

    async def _keep(
        self, tx: Tx, read: Sequence[_Read], at: Moment
    ) -> tuple[Counter[str], Sequence[Ack | None]]:
        counted: Counter[str] = Counter()
        match read[0].message:
            case EventBatch():
                came = [
                    pipeline.Came(*one.address[:2], one.message, at(one.parcel))
                    for one in read
                    if isinstance(one.message, EventBatch)
                ]
                return counted, await pipeline.take_events(tx, came, counted)
            case ReadingBatch():
                arrivals = [
                    pipeline.Arrival(*one.address[:2], one.message, at(one.parcel))
                    for one in read
                    if isinstance(one.message, ReadingBatch)
                ]
                return counted, await pipeline.take_readings(tx, arrivals, counted, self._series)
            case Status():
                beats = [
                    pipeline.Beat(*one.address[:2], one.message, at(one.parcel), one.parcel.retained)
                    for one in read
                    if isinstance(one.message, Status)
                ]
                return counted, await pipeline.take_beats(tx, beats)
            case _:
                raise RemoteError(f"gateways do not speak on {read[0].address.channel.value}")

    async def _unreadable(self, parcel: Parcel, address: Address, why: str) -> Answer | None:
        kept = await self._put_aside(parcel, address.gateway, why, address.channel.name.lower())
        found = pipeline.envelope(parcel.payload)
        if found is None or (address.channel is Channel.READINGS and not kept):
            return None  # what an event holds is kept in its own row

        async def tell(tx: Tx, at: Moment) -> Ack | None:
            if address.channel is Channel.EVENTS:
                return await pipeline.take_unreadable_events(
                    tx, address.area, address.gateway, found, why, at(parcel)
                )
            if address.channel is Channel.READINGS:
                return await pipeline.take_unreadable_readings(tx, address.area, address.gateway, found)
            return None

        try:
            return _answer(address, await self._patiently(parcel, tell))
        except Exception:  # noqa: BLE001 -- the next parcel must be taken
            _log.exception("an unreadable parcel cannot be answered", topic=parcel.topic)
            return None

    async def _put_aside(self, parcel: Parcel, gateway: str | None, why: str, label: str) -> bool:
        """Whether it could be kept."""
        metrics.QUARANTINED.labels(reason=label).inc()
        _log.warning("quarantined", topic=parcel.topic[:200], reason=why)

        async def keep(tx: Tx, at: Moment) -> None:
            await quarantine.keep(
                tx,
                received_at=at(parcel),
                topic=parcel.topic,
                gateway=gateway,
                reason=why,
                payload=parcel.payload,
            )

        try:
            await self._patiently(parcel, keep)
        except Exception:  # noqa: BLE001 -- the next parcel must be taken
            _log.exception("quarantine failed", topic=parcel.topic[:200])
            return False
        return True

    async def _patiently(self, parcel: Parcel, work: Callable[[Tx, Moment], Awaitable[_T]]) -> _T:
        """Run `work` in a transaction; while the database is away or busy, again and again.

        It is told how to learn when a parcel arrived, by the transaction's clock.
        """
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE_S
        while True:
            try:
                async with self._store.transaction() as tx:
                    return await work(tx, _moments(tx.now, clock()))
            except (StoreDown, StoreConflict) as error:
                if clock() - parcel.arrived > PATIENCE_S:
                    raise
                _log.warning("store not ready", error=type(error).__name__, pause_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)


def _shares(read: _Read) -> object:
    """What this may share a transaction with: its kind."""
    kind = type(read.message)
    return kind if kind in (EventBatch, ReadingBatch, Status) else id(read)


def _moments(now: datetime, clock_s: float) -> Moment:
    return lambda parcel: now - timedelta(seconds=clock_s - parcel.arrived)


def _answer(address: Address, ack: Ack | None) -> Answer | None:
    if ack is None:
        return None
    metrics.ACKS.labels(lane=ack.lane.value).inc()
    return Answer(gateway_topic(address.area, address.gateway, Channel.ACK), codec.encode(ack))
