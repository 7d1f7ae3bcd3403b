"""One message from the broker into the database, and the answer to it.

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


class Intake:
    """Stores what parcels hold."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, parcel: Parcel) -> Answer | None:
        """Store one parcel, patiently. None when there is nothing to answer.

        Never raises for what a peer sent or for a database that is away; whatever else goes wrong with this
        parcel is logged, put aside, and the next one is taken.
        """
        try:
            address = parse(parcel.topic)
        except RemoteError as error:
            await self._put_aside(parcel, None, str(error), "topic")
            return None
        try:
            message = codec.decode(address.channel, parcel.payload)
        except RemoteError as error:
            return await self._unreadable(parcel, address, str(error))
        try:
            counted, ack = await self._patiently(
                parcel, lambda tx, at: _store(tx, address, message, at(parcel), retained=parcel.retained)
            )
        except (StoreDown, StoreConflict) as error:
            _log.warning("parcel let go", topic=parcel.topic, error=str(error))
            return None
        except Exception as error:  # noqa: BLE001 -- the next parcel must be taken
            _log.exception("parcel failed", topic=parcel.topic)
            return await self._unreadable(parcel, address, f"{type(error).__name__}: {error}")
        _count(counted)
        return _answer(address, ack)

    async def take_readings(self, parcels: Sequence[Parcel]) -> list[Answer]:
        """Store parcels of readings together: one transaction for all of them. Returns what to answer.

        As patient as `take`; when they cannot be stored together, each is stored alone.
        """
        read: list[tuple[Parcel, Address, ReadingBatch]] = []
        answers: list[Answer | None] = []
        for parcel in parcels:
            try:
                address = parse(parcel.topic)
                message = codec.decode(address.channel, parcel.payload)
            except RemoteError:
                answers.append(await self.take(parcel))
            else:
                assert isinstance(message, ReadingBatch), "the topic says so"
                read.append((parcel, address, message))
            await asyncio.sleep(0)  # a fire may have come meanwhile
        if read:
            answers += await self._together(read)
        return [answer for answer in answers if answer is not None]

    async def _together(self, read: Sequence[tuple[Parcel, Address, ReadingBatch]]) -> list[Answer | None]:
        async def store(tx: Tx, at: Moment) -> tuple[Counter[str], list[Ack]]:
            counted: Counter[str] = Counter()
            arrivals = [pipeline.Arrival(a.area, a.gateway, batch, at(p)) for p, a, batch in read]
            return counted, await pipeline.take_readings(tx, arrivals, counted)

        try:
            counted, acks = await self._patiently(read[-1][0], store)
        except (StoreDown, StoreConflict) as error:
            _log.warning("readings let go", parcels=len(read), error=str(error))
            return []
        except Exception:  # noqa: BLE001 -- one of them; the others are stored
            _log.exception("readings are stored one by one", parcels=len(read))
            return [await self.take(parcel) for parcel, _, _ in read]
        _count(counted)
        return [_answer(address, ack) for (_, address, _), ack in zip(read, acks, strict=True)]

    async def _unreadable(self, parcel: Parcel, address: Address, why: str) -> Answer | None:
        await self._put_aside(parcel, address.gateway, why, address.channel.name.lower())
        found = pipeline.envelope(parcel.payload)
        if found is None:
            return None

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

    async def _put_aside(self, parcel: Parcel, gateway: str | None, why: str, label: str) -> None:
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


async def _store(
    tx: Tx, address: Address, message: object, received_at: datetime, *, retained: bool
) -> tuple[Counter[str], Ack | None]:
    area, gateway = address.area, address.gateway
    counted: Counter[str] = Counter()
    match message:
        case EventBatch():
            ack = await pipeline.take_events(tx, area, gateway, message, received_at, counted)
            return counted, ack
        case ReadingBatch():
            arrival = pipeline.Arrival(area, gateway, message, received_at)
            (ack,) = await pipeline.take_readings(tx, [arrival], counted)
            return counted, ack
        case Status():
            return counted, await pipeline.take_status(
                tx, area, gateway, message, received_at, retained=retained
            )
        case _:
            raise RemoteError(f"gateways do not speak on {address.channel.value}")


def _moments(now: datetime, clock_s: float) -> Moment:
    return lambda parcel: now - timedelta(seconds=clock_s - parcel.arrived)


def _count(counted: Counter[str]) -> None:
    for name, count in counted.items():
        _COUNTERS[name].inc(count)


def _answer(address: Address, ack: Ack | None) -> Answer | None:
    if ack is None:
        return None
    metrics.ACKS.labels(lane=ack.lane.value).inc()
    return Answer(gateway_topic(address.area, address.gateway, Channel.ACK), codec.encode(ack))
