"""Batches of events into rows, alarms and deliveries, in one transaction.

Law of this file: every event that came is on record before it is judged; one that cannot be judged says so on
its row, raises an alarm, and hinders no other. The answer goes out after the commit, by the caller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from central.store import events, lanes, leases, quarantine
from central.store.epoch import epoch
from central.store.errors import StoreConflict, StoreDown, StoreError
from central.store.events import EventRow
from central.store.lanes import GatewayStream
from central.store.pool import Tx
from central.store.savepoint import at_once, in_one_go, mark, savepoint, undo
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
_CANARY = EventKind.CANARY.value
_MARK = "events"
_URGENT = (Condition.SMOKE.value, Condition.HEAT.value)


class Came(NamedTuple):
    """A batch of events, whose it is, and when it came."""

    area: str
    gateway: str
    batch: EventBatch
    received_at: datetime


class _New(NamedTuple):
    """An event that is not on record yet, and the batch that brought it."""

    event: Event
    came: Came


@dataclass(slots=True)
class _Taking:
    """Batches of one stream in one boot, and what becomes of them."""

    stream: GatewayStream
    came: list[tuple[int, Came]]
    """With their numbers among all."""
    held: int = 0
    """The cursor before."""
    began: datetime = _MIN
    stored: dict[int, bytes] = field(default_factory=dict)
    """Digests of what is on record."""
    told: set[events.Sighting] = field(default_factory=set)
    """What the gateway told of the same moments under other streams."""
    taken: list[delivery.EventsTaken] = field(default_factory=list)
    new: list[_New] = field(default_factory=list)

    @property
    def key(self) -> events.Stream:
        return self.stream.gateway, self.stream.stream

    @property
    def asked(self) -> events.Asked:
        first = min(one.batch.first_seq for _, one in self.came)
        last = max(one.batch.first_seq + len(one.batch.events) for _, one in self.came) - 1
        return events.Asked(*self.key, first, last)

    @property
    def span(self) -> tuple[str, int, int]:
        """The boot, and from when to when by its clock (ms)."""
        monos = [event.mono_ms for _, one in self.came for event in one.batch.events]
        return self.came[0][1].batch.boot, min(monos), max(monos)

    def take(self) -> None:
        """What is new in each batch, in their order."""
        cursor = self.held
        for _, one in self.came:
            outcome = delivery.take_events(cursor, self.stored, one.batch)
            cursor = outcome.cursor
            self.stored |= {event.seq: event_digest(event) for event in outcome.new}
            self.new += [_New(event, one) for event in outcome.new]
            self.taken.append(outcome)


async def take_events(tx: Tx, came: Sequence[Came], counted: Counter[str] | None = None) -> list[Ack]:
    """Store and judge what is new in batches, whosever they are; those of one stream in their order.

    Returns the answer to each, to be sent once this has been committed. Counts events `stored`, `repeated`,
    `failed`, and put aside: `conflicts` and `refused` by the database.

    Raises StoreDown and StoreConflict (do it again); StoreError when the batches cannot even be stored.
    """
    counted = Counter() if counted is None else counted
    acks: dict[int, Ack] = {}
    waiting = list(enumerate(came))
    while waiting:
        turn, waiting = _turn(waiting)
        acks |= await _take_turn(tx, turn, counted)
    return [acks[number] for number in range(len(came))]


def _turn(waiting: Sequence[tuple[int, Came]]) -> tuple[list[_Taking], list[tuple[int, Came]]]:
    """Of each stream what comes first and was sent in one boot; and what must wait for that."""
    turn: dict[events.Stream, _Taking] = {}
    over: set[events.Stream] = set()
    later: list[tuple[int, Came]] = []
    for number, one in waiting:
        stream = GatewayStream(one.area, one.gateway, one.batch.stream)
        taking = turn.setdefault((one.gateway, one.batch.stream), _Taking(stream, []))
        same = not taking.came or (taking.stream == stream and taking.came[0][1].batch.boot == one.batch.boot)
        if same and taking.key not in over:
            taking.came.append((number, one))
        else:
            over.add(taking.key)
            later.append((number, one))
    return list(turn.values()), later


async def _take_turn(tx: Tx, turn: Sequence[_Taking], counted: Counter[str]) -> dict[int, Ack]:
    new, ours = await _look(tx, turn)
    if new:
        await lanes.begin(tx, new, Lane.EVENTS.value)
        await _look(tx, turn)
    for one in turn:
        one.take()
        brought = sum(len(came.batch.events) for _, came in one.came)
        counted.update(stored=len(one.new), repeated=brought - len(one.new))
    todo = await _record(tx, [one for one in turn if one.new], counted)
    wanted = await _judge(tx, todo, counted) if todo else set()
    numbers: list[int] = []
    said: list[Said] = []
    for one in turn:
        for position, ((number, came), outcome) in enumerate(zip(one.came, one.taken, strict=True), 1):
            asked = set(outcome.asks)
            if position == len(one.came) and one.key in wanted:
                asked.add(Ask.SNAPSHOT)
            if outcome.gap is not None:
                asked.add(Ask.SNAPSHOT)
                await _gap(tx, one.stream, outcome.gap)
            if outcome.conflicts:
                asked.add(Ask.NEW_STREAM)
                counted["conflicts"] += len(outcome.conflicts)
                await _conflicts(tx, one.stream, outcome.conflicts, came.received_at)
            numbers.append(number)
            said.append(Said(one.stream.stream, outcome.cursor, came.batch.clock.mono_ms, asked))
    moved = {one.stream: one.taken[-1].cursor for one in turn if one.taken[-1].cursor != one.held}
    if moved:
        await lanes.move(tx, moved, Lane.EVENTS.value)
    return dict(zip(numbers, await answers(tx, Lane.EVENTS, said, ours), strict=True))


async def _look(tx: Tx, turn: Sequence[_Taking]) -> tuple[list[GatewayStream], str]:
    """Hold the lanes and learn what is on record; the streams that have not begun, and the epoch."""
    held: dict[GatewayStream, lanes.Held] = {}
    epochs: list[str] = []

    async def lock() -> None:
        held.update(await lanes.lock_known(tx, [one.stream for one in turn], Lane.EVENTS.value))

    async def know() -> None:
        stored = await events.digests(tx, [one.asked for one in turn])
        for one in turn:
            one.stored = stored[one.key]

    async def elsewhere() -> None:
        told = await events.seen_elsewhere(tx, {one.key: one.span for one in turn})
        for one in turn:
            one.told = told[one.key]

    async def which_database() -> None:
        epochs.append(await epoch(tx))

    async with in_one_go(tx):  # the lanes first: nobody may add to what is on record meanwhile
        await at_once(lock(), know(), elsewhere(), which_database())
    for one in turn:
        if one.stream in held:
            one.held, one.began = held[one.stream]
    return [one.stream for one in turn if one.stream not in held], epochs[0]


async def _record(tx: Tx, turn: Sequence[_Taking], counted: Counter[str]) -> list[tuple[Told, Event]]:
    """Store the events. Returns those that are to be judged."""
    if not turn:
        return []
    new = [(one, event) for one in turn for event in one.new]
    rows = [_row(tx, one.stream, event, one.stored[event.event.seq]) for one, event in new]
    ids = await _insert(tx, rows, counted)
    proved = {row.gateway for row, stored in zip(rows, ids, strict=True) if stored and row.kind == _CANARY}
    if proved:
        await leases.canaries(tx, proved)
    todo: list[tuple[Told, Event]] = []
    for (one, (event, _)), row, event_id in zip(new, rows, ids, strict=True):
        if event_id is None or event.kind in (EventKind.CANARY, EventKind.NOTE):
            continue
        same = (event.mono_ms, row.kind, row.condition, event.detector, event.bus)
        if same in one.told and event.kind is not EventKind.SNAPSHOT:
            continue  # told before, under a stream that was given up
        told = Told(
            row.area,
            row.gateway,
            row.stream,
            event.seq,
            event_id,
            row.event_at,
            one.began,
            window=event.window if event.kind is EventKind.ASSERT else None,
            snapshot=event.kind is EventKind.SNAPSHOT,
        )
        todo.append((told, event))
    return todo


async def _judge(tx: Tx, todo: list[tuple[Told, Event]], counted: Counter[str]) -> set[events.Stream]:
    """Judge events, all together; when that fails one by one. Streams of which a snapshot is wanted."""
    try:
        return await together(tx, partial(_take, todo=todo))
    except (StoreDown, StoreConflict):
        raise
    except Exception as error:  # noqa: BLE001 - one of them; the others must be judged
        _log.warning(
            "events are judged one by one", count=len(todo), error=f"{type(error).__name__}: {error}"
        )
    wanted: set[events.Stream] = set()
    for told, event in todo:
        try:
            wanted |= await together(tx, partial(_take, todo=[(told, event)]))
        except (StoreDown, StoreConflict):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other events must be judged
            counted["failed"] += 1
            await _failed(tx, told, event, error)
    return wanted


async def _take(work: Work, todo: list[tuple[Told, Event]]) -> set[events.Stream]:
    await prepare(work, todo)
    wanted: set[events.Stream] = set()
    for number, (told, event) in enumerate(todo, 1):
        if await take(work, told, event):
            wanted.add((told.gateway, told.stream))
        if number % AT_ONCE == 0:
            await work.write(but_young=True)
    return wanted


async def _insert(tx: Tx, rows: list[EventRow], counted: Counter[str]) -> list[int | None]:
    """Ids of the rows. One that the database refuses goes to quarantine, and its id is None."""
    try:
        async with in_one_go(tx):
            await mark(tx, _MARK)
            return list(await events.insert(tx, rows))
    except (StoreDown, StoreConflict):
        raise
    except StoreError:
        await undo(tx, _MARK)
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
    tx: Tx, stream: GatewayStream, conflicts: tuple[Event, ...], received_at: datetime
) -> None:
    area, gateway = stream.area, stream.gateway
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
    event, (_, _, batch, received_at) = one
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
