"""Heartbeats: proof of life, and what gateways say of themselves; many in one transaction.

Law of this file: only a live heartbeat proves life. A last will, and whatever the broker kept for us, prove
nothing; a will is noted as a hint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from central.engine.canary import is_overdue
from central.engine.decide import Seen
from central.engine.model import Condition, Reason
from central.pipeline.folding import fold_of
from central.pipeline.own import end_own, raise_own
from central.pipeline.work import Work, together
from central.store import alarms, configs, lanes, leases, sources, trends
from central.store.epoch import epoch
from central.store.leases import Held
from central.store.pool import Tx
from central.store.sources import Source, Word
from central.store.trends import ClockNote
from wire.messages import Ack, Ask, BusStatus, Lane, Status

STUCK_EVENTS_S = 30.0
"""An event that waits longer for its answer, while the gateway beats, is stuck."""
STUCK_LAP_S = 60.0
"""A line that runs without having finished a lap for so long is stuck."""
CLOCK_NOTED_MINUTES = 2
"""One sample an hour is enough to see a clock drift: the heartbeats of so many minutes of an hour give it."""
CLOCK_OFF = timedelta(seconds=60)
"""A gateway's clock further off than this is wrong."""
_LONGEST_S = 1e9
"""An uptime beyond this is none that anybody measured."""
_Word = tuple[str, Condition, bool, dict[str, Any]]
"""The part, what may be wrong with it, whether it is, and what people should know of it."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat or a will, whose it is, and when it came."""

    area: str
    gateway: str
    status: Status
    received_at: datetime
    retained: bool = False


async def take_beats(tx: Tx, beats: Sequence[Beat]) -> list[Ack | None]:
    """Take heartbeats and wills. Returns the answer to each: an Ack where a snapshot is asked for."""
    answers: list[Ack | None] = [None] * len(beats)
    waiting = [(number, beat) for number, beat in enumerate(beats) if not beat.retained]
    while waiting:
        turn: dict[str, tuple[int, Beat]] = {}
        later: list[tuple[int, Beat]] = []
        for number, beat in waiting:  # of each gateway one word at a time, in their order
            if beat.gateway in turn:
                later.append((number, beat))
            else:
                turn[beat.gateway] = number, beat
        gone = [name for name, (_, beat) in turn.items() if not beat.status.online]
        if gone:
            await leases.goodbye(tx, gone)
        live = {name: beat for name, (_, beat) in turn.items() if beat.status.online}
        for gateway, ack in (await _alive(tx, live)).items():
            answers[turn[gateway][0]] = ack
        waiting = later
    return answers


async def _alive(tx: Tx, beats: Mapping[str, Beat]) -> dict[str, Ack]:
    held = await leases.hold(tx, beats)
    beats = {gateway: beat for gateway, beat in beats.items() if gateway in held}
    if not beats:
        return {}
    told = {gateway: _told(held[gateway].status, beat.status) for gateway, beat in beats.items()}
    areas = {gateway: beat.area for gateway, beat in beats.items()}
    await leases.renew(tx, areas, {gateway: msgspec.to_builtins(status) for gateway, status in told.items()})
    said = {gateway: _judged(beat, told[gateway], held[gateway]) for gateway, beat in beats.items()}
    known = await sources.said(
        tx, [Source(gateway, part, what) for gateway, words in said.items() for part, what, _, _ in words]
    )
    back = [gateway for gateway in beats if held[gateway].silent_since is not None]
    changed = [
        (beats[gateway], word)
        for gateway, words in said.items()
        for word in words
        if _news(known.get(Source(gateway, *word[:2])), present=word[2])
    ]
    if changed or back:
        await together(tx, lambda work: _judge(work, changed, back))
    if tx.now.minute < CLOCK_NOTED_MINUTES:
        notes = [_clock_of(beat, told[gateway]) for gateway, beat in beats.items()]
        await trends.note_clocks(tx, [note for note in notes if note is not None])
    # A brief one of a boot that said no whole one yet tells nothing of these: that comes within half an hour.
    whole = {gateway: status for gateway, status in told.items() if not status.brief}
    await configs.reported(tx, {name: (one.config_hash, one.config_error) for name, one in whole.items()})
    return await _ask_how_it_is(tx, {gateway: told[gateway].stream for gateway in back}) if back else {}


async def _judge(work: Work, changed: Sequence[tuple[Beat, _Word]], back: Sequence[str]) -> None:
    for gateway in back:  # first: what else it says now is judged while it settles, not as if it were silent
        await end_own(
            work, condition=Condition.GATEWAY_SILENT, gateway=gateway, part="", reason=Reason.HEARD_AGAIN
        )
    for beat, word in changed:
        await _own(work, beat, *word)


def _told(last: dict[str, Any], said: Status) -> Status:
    """What is known of the gateway now: a brief heartbeat is filled up from the last whole one."""
    return _whole(last, said) if said.brief else said


def _whole(last: dict[str, Any], brief: Status) -> Status:
    """The last whole heartbeat of the same boot with what a brief one says; without one, the brief one."""
    try:
        whole = msgspec.convert(last, Status)
    except msgspec.ValidationError:
        return brief
    if whole.boot != brief.boot:
        return brief
    return msgspec.structs.replace(
        whole,
        outbox_depth=brief.outbox_depth,
        oldest_unacked_event_s=brief.oldest_unacked_event_s,
    )


def _judged(beat: Beat, told: Status, held: Held) -> list[_Word]:
    oldest = beat.status.oldest_unacked_event_s
    stuck = oldest is not None and oldest > STUCK_EVENTS_S
    detail: dict[str, Any] = {"oldest_s": oldest, "depth": told.outbox_depth}
    uptime = timedelta(seconds=min(told.uptime_s, _LONGEST_S))
    if held.silent_since is None and is_overdue(held.canary_at, held.heard_at, held.settled_at, uptime):
        stuck = True
        detail |= {
            "canary_at": None if held.canary_at is None else held.canary_at.isoformat(),
            "text": "网关在线，但每小时的通道检验未到达"
            " / the gateway beats, but its hourly canary did not come through",
        }
    found: list[_Word] = [("", Condition.EVENTS_STUCK, stuck, detail)]
    if beat.status.brief:
        return found  # it says how old the oldest event is, and nothing of the rest
    off = _clock_off(beat.status, beat.received_at)
    found += [
        ("", Condition.STORAGE, told.storage_error is not None, {"text": told.storage_error}),
        ("", Condition.CLOCK_WRONG, abs(off) > CLOCK_OFF, {"off_s": round(off.total_seconds())}),
    ]
    for bus in told.buses:
        detail = {"bus": bus.bus, "lap_age_s": bus.lap_age_s}
        found.append((f"bus:{bus.bus}", Condition.BUS_STUCK, _lap_stuck(bus, told.uptime_s), detail))
    return found


def _news(before: Seen | None, *, present: bool) -> bool:
    if before is None:
        return present
    return before is not (Seen.PRESENT if present else Seen.ABSENT)


def _lap_stuck(bus: BusStatus, uptime_s: float) -> bool:
    if not bus.up:
        return False  # bus_down says it, by an event
    return (uptime_s if bus.lap_age_s is None else bus.lap_age_s) > STUCK_LAP_S


def _clock_of(beat: Beat, told: Status) -> ClockNote | None:
    """The centre's clock minus the gateway's: as it measured that itself, else by the heartbeat's arrival."""
    clock = told.clock
    if clock is None or (clock.offset_ms is None and beat.status.clock is None):
        return None  # a brief heartbeat repeats the clock of an earlier one: its arrival tells nothing
    off = _clock_off(told, beat.received_at) if clock.offset_ms is None else _ms(clock.offset_ms)
    return ClockNote(beat.gateway, told.boot, clock.synchronised, off.total_seconds())


def _clock_off(status: Status, received_at: datetime) -> timedelta:
    if status.clock is None:
        return timedelta(0)
    off_ms = round(received_at.timestamp() * 1000) - status.clock.wall_ms
    return _ms(off_ms)


def _ms(off_ms: int) -> timedelta:
    return timedelta(milliseconds=max(-(10**14), min(10**14, off_ms)))


async def _own(
    work: Work, beat: Beat, part: str, condition: Condition, present: bool, detail: dict[str, Any]
) -> None:
    gateway = beat.gateway
    seen = Seen.PRESENT if present else Seen.ABSENT
    work.say(Source(gateway, part, condition), Word(seen, "", 0, work.now, None))
    if not present:
        await end_own(work, condition=condition, gateway=gateway, part=part, reason=Reason.BY_STATUS)
        return
    if condition in (Condition.BUS_STUCK, Condition.EVENTS_STUCK):
        homes = await sources.homes(work.tx, gateway, detail.get("bus"))
        detail = {**detail, "homes": homes, "count": len(homes)}
    await raise_own(
        work,
        condition=condition,
        gateway=gateway,
        part=part,
        area=beat.area,
        reason=Reason.BY_STATUS,
        detail=detail,
        fold=await fold_of(work, condition, gateway, part, None, beat.area),
    )


async def _ask_how_it_is(tx: Tx, streams: Mapping[str, str | None]) -> dict[str, Ack]:
    """Back from silence: smoke behind it that became unknown wants a snapshot."""
    asked = await alarms.gateways_of_unknown_life(tx, streams)
    acks: dict[str, Ack] = {}
    for gateway, stream in streams.items():
        if gateway in asked and stream is not None:
            acks[gateway] = Ack(
                stream=stream,
                lane=Lane.EVENTS,
                through_seq=await lanes.look(tx, gateway, stream, Lane.EVENTS.value),
                epoch=await epoch(tx),
                server_ms=round(tx.now.timestamp() * 1000),
                ask=[Ask.SNAPSHOT],
            )
    return acks
