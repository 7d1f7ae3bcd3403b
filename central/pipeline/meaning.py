"""What one event means: which words about which conditions of which parts.

Law of this file: silence is never an end. A part that cannot be asked any more makes its open smoke and heat
unknown; only a good read or the source's own word ends a condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from central.engine.decide import Seen
from central.engine.folding import FLAPS_WITHIN, UP_AND_DOWN
from central.engine.model import AlarmState, Condition, Reason, Severity
from central.engine.policy import SEVERITY
from central.engine.walk_test import lasting
from central.pipeline import walk_test
from central.pipeline.carry_out import Cause
from central.pipeline.judge import Told, end_for_owner, judge, silence
from central.pipeline.work import Work
from central.store import sources
from central.store.alarms import Line
from central.store.savepoint import at_once
from central.store.sources import Source
from wire.messages import Event, EventKind

FALLBACK_SPAN = timedelta(hours=2)
"""Within it a gateway gives up calling by itself: an alarm closed longer before is another fire's."""
_SEEN = {
    EventKind.ASSERT: Seen.PRESENT,
    EventKind.CLEAR: Seen.ABSENT,
    EventKind.UNKNOWN: Seen.UNKNOWN,
}


async def prepare(work: Work, todo: Sequence[tuple[Told, Event]]) -> None:
    """Look up in one go what `take` will ask for one event after the other."""
    parts: set[tuple[str | None, str]] = set()
    detectors: set[str] = set()
    moments: list[tuple[str, datetime, str]] = []
    births: list[tuple[str | None, str, Condition]] = []
    words: set[Source] = set()
    flapping: list[tuple[str | None, str, Condition]] = []
    for told, event in todo:
        part = _part(event)
        parts.add((told.gateway, part))
        condition = None if event.condition is None else Condition(event.condition.value)
        if condition is not None:
            words.add(Source(told.gateway, part, condition))
            if condition in UP_AND_DOWN:
                parts.add((told.gateway, ""))
                flapping.append((told.gateway, part, condition))
        if event.detector is not None:
            detectors.add(part)
            if event.kind is EventKind.ASSERT and condition is not None:
                moments.append((part, told.at, told.area))
                births.append((told.gateway, part, condition))
        if event.states is not None:
            parts.update((told.gateway, detector) for detector in event.states)
            detectors.update(event.states)
    homes = [(part, at) for part, at, _ in moments]
    asked = [
        work.learn_words(words),
        work.learn_parts(parts, detectors),
        work.learn_homes(homes),
        work.learn_windows(detectors),
    ]
    if flapping:
        asked.append(work.learn_ended(flapping, work.now - FLAPS_WITHIN))
    await at_once(*asked)
    if births:
        places = {(place.grid, place.area) for one in moments if (place := await work.home(*one))}
        await at_once(work.learn_people(places), work.expect(births))


async def take(work: Work, told: Told, event: Event) -> bool:
    """Do what the event means. True when a snapshot is wanted, to learn how things are now."""
    if event.kind is EventKind.SNAPSHOT:
        await _snapshot(work, told, event)
        return False
    if event.kind is EventKind.FALLBACK:
        await _fallback(work, told, event)
        return False
    if event.kind not in _SEEN or event.condition is None:
        return False
    condition = Condition(event.condition.value)
    seen = _SEEN[event.kind]
    part = _part(event)
    detail: dict[str, object] = {"text": event.text} if event.text else {}
    if condition is Condition.BUS_DOWN and seen is Seen.PRESENT:
        homes = await sources.homes(work.tx, told.gateway, event.bus)
        detail |= {"homes": homes, "count": len(homes)}
    decision = await judge(work, told, part, condition, seen, detail=detail)
    if decision.reason.value.startswith("older") or condition not in (
        Condition.NO_RESPONSE,
        Condition.BUS_DOWN,
    ):
        return False
    return await _line(work, told, event, condition, seen)


async def _fallback(work: Work, told: Told, event: Event) -> None:
    """The gateway called by itself: a line on the time line of the alarm it called for.

    That alarm is open, or somebody has closed it since; where there is none its assert never came, and what
    the gateway called for is alarmed now.
    """
    assert event.condition is not None, "the codec sees to that"
    condition, part = Condition(event.condition.value), _part(event)
    detail = {"text": event.text or ""}
    alarm = await work.latest(told.gateway, part, condition, told.at, FALLBACK_SPAN)
    if alarm is None:
        await judge(work, told, part, condition, Seen.PRESENT, detail=detail)
        alarm = await work.latest(told.gateway, part, condition, told.at, FALLBACK_SPAN)
    if alarm is not None:
        said = Line(
            alarm.id,
            "fallback",
            Reason.CENTRE_SILENT,
            from_state=alarm.state,
            to_state=alarm.state,
            event=told.event,
            detail=detail,
        )
        work.log(said)


def _part(event: Event) -> str:
    if event.detector is not None:
        return event.detector
    return f"bus:{event.bus}" if event.bus is not None else ""


async def _line(work: Work, told: Told, event: Event, condition: Condition, seen: Seen) -> bool:
    """A detector or a line falls silent, or is back: what becomes of the smoke behind it."""
    if seen is Seen.PRESENT:
        # Test smoke of what cannot be looked at any more is smoke.
        if event.detector is None:
            await walk_test.lose(work, told.gateway, None)
        elif lasting(await work.windows(event.detector), work.now):
            await walk_test.lose(work, told.gateway, event.detector)
    if condition is Condition.NO_RESPONSE and event.detector is not None:
        found = [
            alarm
            for alarm in await work.open_of_detector(event.detector)
            if alarm.severity is Severity.LIFE and alarm.gateway == told.gateway
        ]
        unknown = any(alarm.state is AlarmState.ACTIVE_UNKNOWN for alarm in found)
    else:
        found = await work.open_life_of_gateway(told.gateway, event.bus)
        unknown = seen is Seen.ABSENT
    if seen is Seen.PRESENT:
        await silence(work, found, Cause(event=told.event))
        return False
    return seen is Seen.ABSENT and unknown


async def _snapshot(work: Work, told: Told, event: Event) -> None:
    await work.write()
    known = await sources.of_gateway(work.tx, told.gateway)
    states = event.states or {}
    owners = await sources.owners(work.tx, states)
    told_of = {(detector, Condition.NO_RESPONSE) for detector in states}
    told_of |= {(detector, Condition(c.value)) for detector, present in states.items() for c in present or ()}
    await work.learn_words(Source(told.gateway, *of) for of in (*known, *sorted(told_of - known.keys())))
    for detector, present in sorted(states.items()):
        if present is not None:
            conditions = frozenset(Condition(c.value) for c in present)
            await _good_read(work, told, detector, conditions, known)
            if owners.get(detector) == told.gateway:
                await end_for_owner(work, told, detector, conditions)
    # What is not listed is not configured there any more: open conditions are unknown, not over.
    for (part, condition), seen in sorted(known.items()):
        if part == "" or part.startswith("bus:") or part in states or seen is not Seen.PRESENT:
            continue
        await judge(work, told, part, condition, Seen.UNKNOWN)


async def _good_read(
    work: Work,
    told: Told,
    detector: str,
    present: frozenset[Condition],
    known: dict[tuple[str, Condition], Seen],
) -> None:
    for condition in sorted(present):
        # Other conditions that stand already are no news: a person may have closed their alarm.
        if SEVERITY[condition] is Severity.LIFE or known.get((detector, condition)) is not Seen.PRESENT:
            await judge(work, told, detector, condition, Seen.PRESENT)
    absent = {
        condition
        for (part, condition), seen in known.items()
        if part == detector and seen is not Seen.ABSENT and condition not in present
    }
    if known.get((detector, Condition.NO_RESPONSE)) is None:
        absent.add(Condition.NO_RESPONSE)  # it answers: on record, so that it counts as watched
    for condition in sorted(absent):
        await judge(work, told, detector, condition, Seen.ABSENT)
