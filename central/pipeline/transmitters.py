"""A packet of an existing transmitter into events, alarms and proof of life, in one transaction.

Law of this file: every packet that is read is on record as events of its own, also one that came before: the
engine knows what burns already, and a serial number proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from central.engine.decide import Seen
from central.pipeline.events import Came, take_events
from central.pipeline.own import raise_failed_event
from central.pipeline.status import Beat, take_beats
from central.pipeline.work import together
from central.store import lanes, quarantine, sources
from central.store.lanes import GatewayStream
from central.store.pool import Tx
from central.store.sql import queries
from central.transmitted import Told, told
from gb26875.data import Unit
from gb26875.frame import TimeTag
from wire.messages import Clock, Condition, Event, EventBatch, EventKind, Lane, Status

_LONGEST_AGE = timedelta(days=30)
_SQL = queries("transmitters")


async def area_of(tx: Tx, gateway: str) -> str | None:
    """The area in which a transmitter is registered as a gateway; None when it is not."""
    row = await (await tx.conn.execute(_SQL["area"], {"gateway": gateway})).fetchone()
    return None if row is None else str(row["area"])


async def take_alive(tx: Tx, area: str, gateway: str, stream: str) -> None:
    """Something came from it: it lives."""
    status = Status(online=True, boot=stream, stream=stream, brief=True)
    await take_beats(tx, [Beat(area, gateway, status, tx.now)])


async def take_unit(tx: Tx, area: str, gateway: str, stream: str, sent: TimeTag, unit: Unit) -> None:
    """Store and judge what a packet says; `sent` is its own time tag."""
    held = await lanes.lock(tx, GatewayStream(area, gateway, stream), Lane.EVENTS.value)
    known = await sources.of_gateway(tx, gateway)
    present = {
        (part, Condition(condition.value))
        for (part, condition), seen in known.items()
        if seen is not Seen.ABSENT
    }
    found = told(gateway, unit, present)
    if not found:
        return
    batch = _batch(found, stream, held.cursor + 1, sent, round(tx.now.timestamp() * 1000))
    await take_events(tx, [Came(area, gateway, batch, tx.now)])


async def take_unreadable(tx: Tx, area: str, gateway: str, why: str, packet: bytes) -> None:
    """A whole packet whose data cannot be read may be a fire: people are told that something came."""
    await quarantine.keep(
        tx, received_at=tx.now, topic="gb26875", gateway=gateway, reason=why, payload=packet
    )
    text = (
        f"传输装置的数据无法解析，可能是火警 / a transmitter's data cannot be read and may be a fire: {why}"
    )
    await together(tx, partial(raise_failed_event, area=area, gateway=gateway, text=text, event=None))


def _batch(found: Sequence[Told], stream: str, first: int, sent: TimeTag, now_ms: int) -> EventBatch:
    """How old something was when the packet left is told by the transmitter's own clock, however wrong."""
    events = [
        Event(
            seq=first + number,
            kind=one.kind,
            at_ms=now_ms,
            mono_ms=now_ms - _age_ms(one.at, sent),
            condition=one.condition,
            detector=one.detector if one.kind is not EventKind.NOTE else None,
            text=one.text[:500],
        )
        for number, one in enumerate(found)
    ]
    return EventBatch(
        stream=stream,
        first_seq=first,
        oldest_seq=first,
        boot=stream,
        sent_boot=stream,
        clock=Clock(mono_ms=now_ms, wall_ms=now_ms),
        events=events,
    )


def _age_ms(at: TimeTag | None, sent: TimeTag) -> int:
    happened, left = at and at.moment(), sent.moment()
    if happened is None or left is None or not timedelta(0) <= left - happened <= _LONGEST_AGE:
        return 0
    return round((left - happened).total_seconds() * 1000)
