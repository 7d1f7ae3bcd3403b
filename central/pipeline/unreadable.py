"""Batches that the codec refuses: the gateway is told, the bad row is isolated, nothing stands still.

Law of this file: an envelope is asked for again one event at a time; a single event that cannot be read is
stored raw, moves the cursor and raises a `system` alarm.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from central.pipeline.answer import Said, answers
from central.pipeline.own import raise_failed_event
from central.pipeline.work import together
from central.store import events, lanes
from central.store.events import EventRow
from central.store.lanes import GatewayStream
from central.store.pool import Tx
from wire.messages import Ack, Ask, Cursor, Lane, Millis, Seq, Stream

MAX_READ = 1_000_000
"""Bytes: what is larger is not even looked into."""


class _Clock(Struct, frozen=True):
    mono_ms: Millis


class Envelope(Struct, frozen=True):
    """What can be read of a batch whose rows cannot."""

    stream: Stream
    first_seq: Seq
    oldest_seq: Cursor = 0
    clock: _Clock | None = None
    events: list[Raw] = []
    t: Annotated[list[Raw], Meta(max_length=100_000)] = []


_DECODER = msgspec.json.Decoder(Envelope)


def envelope(payload: bytes) -> Envelope | None:
    """The envelope, if that much can be read."""
    if len(payload) > MAX_READ:
        return None
    try:
        return _DECODER.decode(payload)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return None


async def take_unreadable_events(
    tx: Tx, area: str, gateway: str, found: Envelope, why: str, received_at: datetime
) -> Ack:
    """Ask for one event at a time; store a single one raw. Returns the answer."""
    stream = GatewayStream(area, gateway, found.stream)
    cursor, _ = await lanes.lock(tx, stream, Lane.EVENTS.value)
    asks = [Ask.ONE_BY_ONE]
    if len(found.events) == 1:
        asks = []
        asked = events.Asked(gateway, found.stream, found.first_seq, found.first_seq)
        if found.first_seq not in (await events.digests(tx, [asked]))[gateway, found.stream]:
            await _store_raw(tx, area, gateway, found, why, received_at)
        if found.first_seq == cursor + 1:
            cursor += 1
            await lanes.move(tx, {stream: cursor}, Lane.EVENTS.value)
    (ack,) = await answers(tx, Lane.EVENTS, [Said(found.stream, cursor, _echo(found), asks)])
    return ack


async def take_unreadable_readings(tx: Tx, area: str, gateway: str, found: Envelope) -> Ack:
    """Readings that cannot be read are lost: note the gap and go on behind them. Returns the answer."""
    lane = Lane.READINGS.value
    stream = GatewayStream(area, gateway, found.stream)
    cursor, _ = await lanes.lock(tx, stream, lane)
    last = found.first_seq + len(found.t) - 1
    if found.first_seq <= cursor + 1 and last > cursor:
        await lanes.note_gap(tx, stream, lane, (cursor + 1, last))
        await lanes.move(tx, {stream: last}, lane)
        cursor = last
    (ack,) = await answers(tx, Lane.READINGS, [Said(found.stream, cursor, _echo(found))])
    return ack


async def _store_raw(
    tx: Tx, area: str, gateway: str, found: Envelope, why: str, received_at: datetime
) -> None:
    body = bytes(found.events[0])
    row = EventRow(
        area=area,
        gateway=gateway,
        stream=found.stream,
        seq=found.first_seq,
        digest=hashlib.blake2b(body, digest_size=16).digest(),
        kind="unreadable",
        condition=None,
        detector=None,
        bus=None,
        value=None,
        event_at=received_at,
        quality="received",
        raw_at=received_at,
        received_at=received_at,
        recorded_at=tx.now,
        boot="",
        mono_ms=0,
        config_version=0,
        body=body,
        failed=why.replace("\x00", "\\0")[:2000],
    )
    (event_id,) = await events.insert(tx, [row])
    text = f"事件无法读取 / an event cannot be read: {row.failed}"
    await together(
        tx, lambda work: raise_failed_event(work, area=area, gateway=gateway, text=text, event=event_id)
    )


def _echo(found: Envelope) -> int | None:
    return found.clock.mono_ms if found.clock else None
