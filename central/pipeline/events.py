"""Batches of events into rows, alarms and deliveries, in one transaction.

Law of this file: every event that came is on record before it is judged; one that cannot be judged says so on
its row, raises an alarm, and hinders no other. The answer goes out after the commit, by the caller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import msgspec
import structlog

from central.engine.decide import Seen
from central.engine.model import Condition, Reason
from central.pipeline.answer import Said, answers
from central.pipeline.judge import Told, judge
from central.pipeline.meaning import prepare, take
from central.pipeline.own import raise_failed_event, raise_own
from central.pipeline.work import Work, together
from central.store import events, lanes, quarantine
from central.store.errors import StoreConflict, StoreDown, StoreError
from central.store.events import EventRow
from central.store.lanes import GatewayStream
from central.store.pool import Tx
from central.store.savepoint import savepoint
from wire import delivery
from wire.clock import corrected_event_ms
from wire.codec import event_digest
from wire.messages import Ack, Ask, Event, EventBatch, EventKind, Lane
from wire.topics import Channel, gateway_topic

_log = structlog.get_logger()
_ENCODER = msgspec.json.Encoder(order="deterministic")
_MIN = datetime(1970, 1, 1, tzinfo=UTC)
_MAX = datetime(9999, 1, 1, tzinfo=UTC)
AT_ONCE = 150
"""After so many events what they left is sent to the database, which writes it while the next are judged."""
_URGENT = (Condition.SMOKE.value, Condition.HEAT.value)


class Came(NamedTuple):
    """A batch of events and when it came."""

    batch: EventBatch
    received_at: datetime


class _New(NamedTuple):
    """An event that is not on record yet, and the batch that brought it."""

    event: Event
    came: Came


async def take_events(
    tx: Tx, area: str, gateway: str, came: Sequence[Came], counted: Counter[str] | None = None
) -> list[Ack]:
    """Store and judge what is new in batches of one stream and boot of a gateway, in their order.

    Returns the answer to each, to be sent once this has been committed. Counts events `stored`, `repeated`,
    `failed`, and put aside: `conflicts` and `refused` by the database.

    Raises StoreDown and StoreConflict (do it again); StoreError when the batches cannot even be stored.
    """
    lane = Lane.EVENTS.value
    counted = Counter() if counted is None else counted
    stream = GatewayStream(area, gateway, came[0].batch.stream)
    held, began = await lanes.lock(tx, stream, lane)
    first = min(one.batch.first_seq for one in came)
    last = max(one.batch.first_seq + len(one.batch.events) for one in came) - 1
    stored = await events.digests(tx, gateway, stream.stream, first=first, last=last, cursor=held)
    cursor, taken, new = held, [], []
    for one in came:
        outcome = delivery.take_events(cursor, stored, one.batch)
        cursor = outcome.cursor
        stored |= {event.seq: event_digest(event) for event in outcome.new}
        new += [_New(event, one) for event in outcome.new]
        counted.update(stored=len(outcome.new), repeated=len(one.batch.events) - len(outcome.new))
        taken.append(outcome)
    asks = [set(outcome.asks) for outcome in taken]
    if new:
        todo = await _record(tx, stream, new, stored, counted, began)
        if todo and await _judge(tx, todo, counted):
            asks[-1].add(Ask.SNAPSHOT)
    for one, outcome, asked in zip(came, taken, asks, strict=True):
        if outcome.gap is not None:
            asked.add(Ask.SNAPSHOT)
            await _gap(tx, stream, outcome.gap)
        if outcome.conflicts:
            asked.add(Ask.NEW_STREAM)
            counted["conflicts"] += len(outcome.conflicts)
            await _conflicts(tx, area, gateway, outcome.conflicts, one.received_at)
    if cursor != held:
        await lanes.move(tx, {stream: cursor}, lane)
    said = [
        Said(stream.stream, outcome.cursor, one.batch.clock.mono_ms, asked)
        for one, outcome, asked in zip(came, taken, asks, strict=True)
    ]
    return await answers(tx, Lane.EVENTS, said)


async def _record(
    tx: Tx,
    stream: GatewayStream,
    new: Sequence[_New],
    digests: Mapping[int, bytes],
    counted: Counter[str],
    began: datetime,
) -> list[tuple[Told, Event]]:
    """Store the events. Returns those that are to be judged."""
    monos = [one.event.mono_ms for one in new]
    boot = new[0].came.batch.boot
    before = await events.seen_elsewhere(tx, stream.gateway, stream.stream, boot, min(monos), max(monos))
    rows = [_row(tx, stream, one, digests[one.event.seq]) for one in new]
    ids = await _insert(tx, rows, counted)
    todo: list[tuple[Told, Event]] = []
    for (event, _), row, event_id in zip(new, rows, ids, strict=True):
        if event_id is None or event.kind in (EventKind.CANARY, EventKind.NOTE):
            continue
        same = (event.mono_ms, row.kind, row.condition, event.detector, event.bus)
        if same in before and event.kind is not EventKind.SNAPSHOT:
            continue  # told before, under a stream that was given up
        told = Told(stream.area, stream.gateway, stream.stream, event.seq, event_id, row.event_at, began)
        todo.append((told, event))
    return todo


async def _judge(tx: Tx, todo: list[tuple[Told, Event]], counted: Counter[str]) -> bool:
    """Judge events, all together; when that fails one by one. True when a snapshot is wanted."""
    try:
        return await together(tx, partial(_take, todo=todo))
    except (StoreDown, StoreConflict):
        raise
    except Exception as error:  # noqa: BLE001 - one of them; the others must be judged
        _log.warning(
            "events are judged one by one", count=len(todo), error=f"{type(error).__name__}: {error}"
        )
    wanted = False
    for told, event in todo:
        try:
            wanted = await together(tx, partial(_take, todo=[(told, event)])) or wanted
        except (StoreDown, StoreConflict):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other events must be judged
            counted["failed"] += 1
            await _failed(tx, told, event, error)
    return wanted


async def _take(work: Work, todo: list[tuple[Told, Event]]) -> bool:
    await prepare(work, todo)
    wanted = False
    for number, (told, event) in enumerate(todo, 1):
        wanted = await take(work, told, event) or wanted
        if number % AT_ONCE == 0:
            await work.write(but_young=True)
    return wanted


async def _insert(tx: Tx, rows: list[EventRow], counted: Counter[str]) -> list[int | None]:
    """Ids of the rows. One that the database refuses goes to quarantine, and its id is None."""
    try:
        async with savepoint(tx):
            return list(await events.insert(tx, rows))
    except (StoreDown, StoreConflict):
        raise
    except StoreError:
        ids: list[int | None] = []
    for row in rows:
        try:
            async with savepoint(tx):
                ids.extend(await events.insert(tx, [row]))
        except (StoreDown, StoreConflict):
            raise
        except StoreError as error:
            ids.append(None)
            counted["refused"] += 1
            topic = gateway_topic(row.area, row.gateway, Channel.EVENTS)
            await quarantine.keep(
                tx,
                received_at=row.received_at,
                topic=topic,
                gateway=row.gateway,
                reason=f"event {row.stream}/{row.seq} cannot be stored: {error}",
                payload=row.body,
            )
            await _system(tx, row.area, row.gateway, None, f"{row.seq}: {error}")
    return ids


async def _failed(tx: Tx, told: Told, event: Event, error: Exception) -> None:
    why = f"{type(error).__name__}: {error}"
    _log.error("event failed", gateway=told.gateway, stream=told.stream, seq=told.seq, error=why)
    await events.mark_failed(tx, told.event, why)
    condition = event.condition.value if event.condition else ""
    if event.kind in (EventKind.ASSERT, EventKind.FALLBACK) and condition in _URGENT:
        # Rather an alarm without an address than none.
        part = event.detector or (f"bus:{event.bus}" if event.bus else "")
        try:
            smoke = partial(_placeless, told=told, part=part, condition=Condition(condition), why=why)
            await together(tx, smoke)
        except (StoreDown, StoreConflict):
            raise
        except Exception as worse:  # noqa: BLE001 - the system alarm below is what is left
            _log.critical("smoke could not be alarmed", gateway=told.gateway, error=str(worse))
    await _system(tx, told.area, told.gateway, told.event, why)


async def _placeless(work: Work, told: Told, part: str, condition: Condition, why: str) -> None:
    detail = {"text": why[:500]}
    await judge(work, told, part, condition, Seen.PRESENT, detail=detail, placeless=True)


async def _system(tx: Tx, area: str, gateway: str, event: int | None, why: str) -> None:
    try:
        text = f"事件无法处理 / an event cannot be processed: {why}"
        raising = partial(raise_failed_event, area=area, gateway=gateway, text=text, event=event)
        await together(tx, raising)
    except (StoreDown, StoreConflict):
        raise
    except Exception as error:  # noqa: BLE001 - the row says it, the log says it; the loop must go on
        _log.critical("system alarm could not be raised", gateway=gateway, error=str(error))


async def _gap(tx: Tx, stream: GatewayStream, gap: tuple[int, int]) -> None:
    await lanes.note_gap(tx, stream, Lane.EVENTS.value, gap)
    raising = partial(
        raise_own,
        condition=Condition.DATA_GAP,
        gateway=stream.gateway,
        part="",
        area=stream.area,
        reason=Reason.GAP,
        detail={
            "text": f"事件 {gap[0]}-{gap[1]} 永久丢失 / events {gap[0]}-{gap[1]} are lost for good",
            "from_seq": gap[0],
            "to_seq": gap[1],
        },
    )
    await together(tx, raising)


async def _conflicts(
    tx: Tx, area: str, gateway: str, conflicts: tuple[Event, ...], received_at: datetime
) -> None:
    for event in conflicts:
        await quarantine.keep(
            tx,
            received_at=received_at,
            topic=gateway_topic(area, gateway, Channel.EVENTS),
            gateway=gateway,
            reason=f"event {event.seq} differs from the one stored under the same name",
            payload=_ENCODER.encode(event),
        )
    raising = partial(
        raise_own,
        condition=Condition.CLONE_SUSPECTED,
        gateway=gateway,
        part="",
        area=area,
        reason=Reason.CONFLICT,
        detail={"text": "同一编号内容不同，可能有克隆的网关 / same number, other content: a cloned gateway?"},
    )
    await together(tx, raising)


def _row(tx: Tx, stream: GatewayStream, one: _New, digest: bytes) -> EventRow:
    event, (batch, received_at) = one
    at_ms, quality = corrected_event_ms(batch, event, round(received_at.timestamp() * 1000))
    return EventRow(
        area=stream.area,
        gateway=stream.gateway,
        stream=stream.stream,
        seq=event.seq,
        digest=digest,
        kind=event.kind.value,
        condition=event.condition.value if event.condition else None,
        detector=event.detector,
        bus=event.bus,
        value=event.value,
        event_at=_moment(at_ms),
        quality=quality.value,
        raw_at=_moment(event.at_ms),
        received_at=received_at,
        recorded_at=tx.now,
        boot=batch.boot,
        mono_ms=event.mono_ms,
        config_version=event.config_version,
        body=_ENCODER.encode(event),
    )


def _moment(ms: int) -> datetime:
    """A moment that the database can hold; beyond 1970 to 9999 it is one of these."""
    span = max(0, min(ms, round((_MAX - _MIN).total_seconds() * 1000)))
    return _MIN + timedelta(milliseconds=span)
