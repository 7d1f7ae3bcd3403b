"""What one event means: which words about which conditions of which parts.

Law of this file: silence is never an end. A part that cannot be asked any more makes its open smoke and heat
unknown; only a good read or the source's own word ends a condition.
"""

from __future__ import annotations

from datetime import timedelta

from central.engine.decide import Seen
from central.engine.model import AlarmState, Condition, Reason, Severity
from central.engine.policy import SEVERITY
from central.pipeline.carry_out import Cause
from central.pipeline.judge import Told, end_for_owner, judge, silence
from central.store import alarms, sources
from central.store.pool import Tx
from wire.messages import Event, EventKind

FALLBACK_SPAN = timedelta(hours=2)
"""Within it a gateway gives up calling by itself: an alarm closed longer before is another fire's."""
_SEEN = {
    EventKind.ASSERT: Seen.PRESENT,
    EventKind.CLEAR: Seen.ABSENT,
    EventKind.UNKNOWN: Seen.UNKNOWN,
}


async def take(tx: Tx, told: Told, event: Event) -> bool:
    """Do what the event means. True when a snapshot is wanted, to learn how things are now."""
    if event.kind is EventKind.SNAPSHOT:
        await _snapshot(tx, told, event)
        return False
    if event.kind is EventKind.FALLBACK:
        await _fallback(tx, told, event)
        return False
    if event.kind not in _SEEN or event.condition is None:
        return False
    condition = Condition(event.condition.value)
    seen = _SEEN[event.kind]
    part = _part(event)
    detail: dict[str, object] = {"text": event.text} if event.text else {}
    if condition is Condition.BUS_DOWN and seen is Seen.PRESENT:
        homes = await sources.homes(tx, told.gateway, event.bus)
        detail |= {"homes": homes, "count": len(homes)}
    decision = await judge(tx, told, part, condition, seen, detail=detail)
    if decision.reason.value.startswith("older") or condition not in (
        Condition.NO_RESPONSE,
        Condition.BUS_DOWN,
    ):
        return False
    return await _line(tx, told, event, condition, seen)


async def _fallback(tx: Tx, told: Told, event: Event) -> None:
    """The gateway called by itself: a line on the time line of the alarm it called for.

    That alarm is open, or somebody has closed it since; where there is none its assert never came, and what
    the gateway called for is alarmed now.
    """
    assert event.condition is not None, "the codec sees to that"
    condition, part = Condition(event.condition.value), _part(event)
    detail = {"text": event.text or ""}
    alarm = await alarms.lock_latest(tx, told.gateway, part, condition, told.at, FALLBACK_SPAN)
    if alarm is None:
        await judge(tx, told, part, condition, Seen.PRESENT, detail=detail)
        alarm = await alarms.lock_latest(tx, told.gateway, part, condition, told.at, FALLBACK_SPAN)
    if alarm is not None:
        await alarms.log(
            tx,
            alarm.id,
            "fallback",
            Reason.CENTRE_SILENT,
            before=alarm.state,
            after=alarm.state,
            event=told.event,
            detail=detail,
        )


def _part(event: Event) -> str:
    if event.detector is not None:
        return event.detector
    return f"bus:{event.bus}" if event.bus is not None else ""


async def _line(tx: Tx, told: Told, event: Event, condition: Condition, seen: Seen) -> bool:
    """A detector or a line falls silent, or is back: what becomes of the smoke behind it."""
    if condition is Condition.NO_RESPONSE and event.detector is not None:
        found = [
            alarm
            for alarm in await alarms.lock_open_of_part(tx, event.detector)
            if alarm.severity is Severity.LIFE and alarm.gateway == told.gateway
        ]
        unknown = any(alarm.state is AlarmState.ACTIVE_UNKNOWN for alarm in found)
    else:
        found = await alarms.lock_open_life_of_gateway(tx, told.gateway, event.bus)
        unknown = seen is Seen.ABSENT
    if seen is Seen.PRESENT:
        await silence(tx, found, Cause(event=told.event))
        return False
    return seen is Seen.ABSENT and unknown


async def _snapshot(tx: Tx, told: Told, event: Event) -> None:
    known = await sources.of_gateway(tx, told.gateway)
    states = event.states or {}
    for detector, present in sorted(states.items()):
        if present is not None:
            await _good_read(tx, told, detector, frozenset(Condition(c.value) for c in present), known)
    # What is not listed is not configured there any more: open conditions are unknown, not over.
    for (part, condition), seen in sorted(known.items()):
        if part == "" or part.startswith("bus:") or part in states or seen is not Seen.PRESENT:
            continue
        await judge(tx, told, part, condition, Seen.UNKNOWN)


async def _good_read(
    tx: Tx,
    told: Told,
    detector: str,
    present: frozenset[Condition],
    known: dict[tuple[str, Condition], Seen],
) -> None:
    for condition in sorted(present):
        # Other conditions that stand already are no news: a person may have closed their alarm.
        if SEVERITY[condition] is Severity.LIFE or known.get((detector, condition)) is not Seen.PRESENT:
            await judge(tx, told, detector, condition, Seen.PRESENT)
    absent = {
        condition
        for (part, condition), seen in known.items()
        if part == detector and seen is not Seen.ABSENT and condition not in present
    }
    if known.get((detector, Condition.NO_RESPONSE)) is None:
        absent.add(Condition.NO_RESPONSE)  # it answers: on record, so that it counts as watched
    for condition in sorted(absent):
        await judge(tx, told, detector, condition, Seen.ABSENT)
    if await sources.owner(tx, detector) == told.gateway:
        await end_for_owner(tx, told, detector, present)
