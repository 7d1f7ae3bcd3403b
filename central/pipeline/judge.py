"""One word of one source about one condition: against what it said before, against its open alarm.

Law of this file: an older word never undoes a newer one; a clear ends only what its own source asserted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from central.engine.decide import Observed, Seen, observe
from central.engine.effects import Decision
from central.engine.folding import fold
from central.engine.model import Alarm, Condition, Reason, Severity
from central.engine.policy import SEVERITY
from central.engine.walk_test import counts_until, lasting
from central.engine.window import on_record
from central.pipeline import walk_test
from central.pipeline.carry_out import Birth, Cause, carry_out
from central.pipeline.folding import fold_of
from central.pipeline.own import note_fold
from central.pipeline.work import Work
from central.store import held_smoke, sources
from central.store.sources import Place, Source, Word


class Told(Struct, frozen=True):
    """Where a word comes from: the event on record that carries it."""

    area: str
    gateway: str
    stream: str
    seq: int
    event: int
    at: datetime
    """Corrected."""
    began: datetime
    """Since when the stream is known."""
    window: str | None = None
    """The walk test within which an assert was seen, as the gateway says."""
    snapshot: bool = False
    """It is no news, but how things are."""


async def judge(
    work: Work,
    told: Told,
    part: str,
    condition: Condition,
    seen: Seen,
    *,
    detail: Mapping[str, Any] | None = None,
    placeless: bool = False,
) -> Decision:
    """Keep the word and do what it means. With `placeless` the registry is not asked where the part hangs."""
    source = Source(told.gateway, part, condition)
    last = await work.word(source)
    older = last is not None and last.newer_than(told.stream, told.seq, told.began)
    decision = await _decide(work, told, source, seen, last, detail, older=older, placeless=placeless)
    if not older:
        work.say(source, Word(seen, told.stream, told.seq, told.at, told.began))
    return decision


async def silence(work: Work, found: list[Alarm], cause: Cause) -> int:
    """These alarms' sources cannot answer any more. Returns how many alarms that changed."""
    changed = 0
    for before in found:
        seen = Observed(Seen.UNKNOWN, before.severity, work.now)
        decision = observe(before, seen, await work.policy(before), work.now)
        await carry_out(work, before, decision, cause)
        changed += decision.what is not None
    return changed


async def end_for_owner(work: Work, told: Told, part: str, present: frozenset[Condition]) -> None:
    """The gateway that owns a detector now read it well: what others asserted and is absent, is over."""
    for before in await work.open_of_detector(part):
        if before.gateway == told.gateway or before.condition in present or before.event_at > told.at:
            continue
        seen = Observed(Seen.ABSENT, before.severity, told.at)
        decision = observe(before, seen, await work.policy(before), work.now)
        await carry_out(work, before, decision, Cause(event=told.event))


async def _decide(
    work: Work,
    told: Told,
    source: Source,
    seen: Seen,
    last: Word | None,
    detail: Mapping[str, Any] | None,
    *,
    older: bool,
    placeless: bool,
) -> Decision:
    severity = SEVERITY[source.condition]
    before = await work.open_alarm(*source)
    if before is None and severity is Severity.LIFE and not (older or placeless):
        tested = await _of_walk_test(work, told, source, seen)
        if tested is not None:
            return tested
        before = await work.open_alarm(*source)
    covered = older and before is None and severity is Severity.LIFE and await work.covered(*source, told.at)
    known = last.seen if last else None
    observed = Observed(seen, severity, told.at, older=older, known=known, covered=covered)
    may_open = not older or (severity is Severity.LIFE and not covered)
    place, birth = Place(told.area), None
    if before is not None:
        place = Place(before.area, before.grid)
    elif seen is Seen.PRESENT and may_open and not placeless:
        place = await _place(work, told, source.part)
    policy = await work.policy_of(source.condition, place.area, place.grid, source.part)
    decision = observe(before, observed, policy, work.now)
    how = None
    if before is None and decision.effects:
        noted = {**(detail or {}), **on_record(await work.windows(source.part), work.now)}
        birth = Birth(source.condition, told.gateway, source.part, place, told.at, noted)
        how = await fold_of(work, source.condition, told.gateway, source.part, place, told.area)
        decision = decision if how is None else fold(decision, how)
    alarm = await carry_out(work, before, decision, Cause(event=told.event), birth)
    if how is not None and alarm is not None:
        note_fold(work, alarm, how)
    return decision


async def _of_walk_test(work: Work, told: Told, source: Source, seen: Seen) -> Decision | None:
    """What it is to a walk test under way; None when it is to be judged as ever."""
    windows = await work.windows(source.part)
    if not lasting(windows, work.now):
        return None
    tested = Decision(None, Reason.WALK_TEST)
    if seen is Seen.ABSENT:
        return tested if await walk_test.over(work, source) else None
    standing = await held_smoke.standing(work.tx, source)
    until = counts_until(windows, told.window, told.at, work.now)
    if seen is Seen.PRESENT and standing and (told.snapshot or until is not None):
        return tested
    if seen is Seen.UNKNOWN or told.snapshot or until is None:
        await walk_test.break_off(work, source)
        return None
    place = await _place(work, told, source.part)
    held = held_smoke.HeldSmoke(
        gateway=source.gateway,
        part=source.part,
        condition=source.condition,
        window=int(told.window or 0),
        area=told.area,
        event=told.event,
        event_at=told.at,
        due_at=until,
    )
    await walk_test.hold(work, held, place)
    return tested


async def _place(work: Work, told: Told, part: str) -> Place:
    if part == "" or part.startswith("bus:"):
        return await sources.gateway_place(work.tx, told.gateway, told.area)
    return await work.home(part, told.at, told.area)
