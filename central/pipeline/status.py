"""A heartbeat: proof of life, and what the gateway says of itself.

Law of this file: only a live heartbeat proves life. A last will, and whatever the broker kept for us, prove
nothing; a will is noted as a hint.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from central.engine.decide import Seen
from central.engine.model import AlarmState, Condition, Reason, Severity
from central.pipeline.own import end_own, raise_own
from central.pipeline.work import Work, together
from central.store import alarms, configs, lanes, leases, sources, trends
from central.store.epoch import epoch
from central.store.pool import Tx
from central.store.sources import Source, Word
from wire.messages import Ack, Ask, BusStatus, Lane, Status

STUCK_EVENTS_S = 30.0
"""An event that waits longer for its answer, while the gateway beats, is stuck."""
STUCK_LAP_S = 60.0
"""A line that runs without having finished a lap for so long is stuck."""
CLOCK_NOTED_MINUTES = 2
"""One sample an hour is enough to see a clock drift: the heartbeats of so many minutes of an hour give it."""
CLOCK_OFF = timedelta(seconds=60)
"""A gateway's clock further off than this is wrong."""


async def take_status(
    tx: Tx, area: str, gateway: str, status: Status, received_at: datetime, retained: bool
) -> Ack | None:
    """Take a heartbeat or a will. Returns an answer when the gateway is asked for something (a snapshot)."""
    if retained:
        return None
    if not status.online:
        await leases.goodbye(tx, gateway)
        return None
    if await leases.registered_area(tx, gateway) is None:
        return None
    said = _judged(status, received_at)
    if status.brief:
        said = said[:1]  # it says how old the oldest event is, and nothing of the rest
        status = _whole(await leases.last_status(tx, gateway), status)
    since = await leases.renew(tx, gateway, area, msgspec.to_builtins(status))
    known = await sources.of_gateway(tx, gateway)

    async def judge(work: Work) -> None:
        for part, condition, present, detail in said:
            await _own(work, area, gateway, part, condition, known, present=present, detail=detail)
        if since is not None:
            await end_own(
                work,
                condition=Condition.GATEWAY_SILENT,
                gateway=gateway,
                part="",
                reason=Reason.HEARD_AGAIN,
            )

    await together(tx, judge)
    if not retained and status.clock is not None and tx.now.minute < CLOCK_NOTED_MINUTES:
        await trends.note_clock(
            tx,
            gateway,
            boot=status.boot,
            synchronised=status.clock.synchronised,
            offset_s=_offset_s(status, received_at),
        )
    if not status.brief:  # else no whole heartbeat of this boot is known: it comes within half an hour
        await configs.reported(tx, gateway, applied_hash=status.config_hash, error=status.config_error)
    if since is None:
        return None
    return await _ask_how_it_is(tx, gateway, status)


def _whole(last: dict[str, Any] | None, brief: Status) -> Status:
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


def _judged(status: Status, received_at: datetime) -> list[tuple[str, Condition, bool, dict[str, Any]]]:
    oldest = status.oldest_unacked_event_s
    stuck = oldest is not None and oldest > STUCK_EVENTS_S
    off = _clock_off(status, received_at)
    found: list[tuple[str, Condition, bool, dict[str, Any]]] = [
        ("", Condition.EVENTS_STUCK, stuck, {"oldest_s": oldest, "depth": status.outbox_depth}),
        ("", Condition.STORAGE, status.storage_error is not None, {"text": status.storage_error}),
        ("", Condition.CLOCK_WRONG, abs(off) > CLOCK_OFF, {"off_s": round(off.total_seconds())}),
    ]
    for bus in status.buses:
        detail = {"bus": bus.bus, "lap_age_s": bus.lap_age_s}
        found.append((f"bus:{bus.bus}", Condition.BUS_STUCK, _lap_stuck(bus, status.uptime_s), detail))
    return found


def _lap_stuck(bus: BusStatus, uptime_s: float) -> bool:
    if not bus.up:
        return False  # bus_down says it, by an event
    return (uptime_s if bus.lap_age_s is None else bus.lap_age_s) > STUCK_LAP_S


def _offset_s(status: Status, received_at: datetime) -> float:
    """The centre's clock minus the gateway's: as it measured that itself, else by the heartbeat's arrival."""
    assert status.clock is not None, "asked of a heartbeat that tells its clock"
    if status.clock.offset_ms is not None:
        return status.clock.offset_ms / 1000
    return _clock_off(status, received_at).total_seconds()


def _clock_off(status: Status, received_at: datetime) -> timedelta:
    if status.clock is None:
        return timedelta(0)
    off_ms = round(received_at.timestamp() * 1000) - status.clock.wall_ms
    return timedelta(milliseconds=max(-(10**14), min(10**14, off_ms)))


async def _own(
    work: Work,
    area: str,
    gateway: str,
    part: str,
    condition: Condition,
    known: dict[tuple[str, Condition], Seen],
    *,
    present: bool,
    detail: dict[str, Any],
) -> None:
    seen = Seen.PRESENT if present else Seen.ABSENT
    before = known.get((part, condition))
    if before is seen or (before is None and not present):
        return
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
        area=area,
        reason=Reason.BY_STATUS,
        detail=detail,
    )


async def _ask_how_it_is(tx: Tx, gateway: str, status: Status) -> Ack | None:
    """Back from silence: smoke behind it that became unknown wants a snapshot."""
    unknown = any(
        alarm.gateway == gateway
        and alarm.severity is Severity.LIFE
        and alarm.state is AlarmState.ACTIVE_UNKNOWN
        for alarm in await alarms.open_alarms(tx)
    )
    if not unknown or status.stream is None:
        return None
    return Ack(
        stream=status.stream,
        lane=Lane.EVENTS,
        through_seq=await lanes.look(tx, gateway, status.stream, Lane.EVENTS.value),
        epoch=await epoch(tx),
        server_ms=round(tx.now.timestamp() * 1000),
        ask=[Ask.SNAPSHOT],
    )
