"""One word of one source about one condition: against what it said before, against its open alarm.

Law of this file: an older word never undoes a newer one; a clear ends only what its own source asserted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from central.engine.decide import Observed, Seen, observe
from central.engine.effects import Decision
from central.engine.model import Alarm, Condition, Reason, Severity
from central.engine.policy import SEVERITY, policy_for
from central.pipeline.carry_out import Birth, Cause, LostRace, carry_out
from central.store import alarms, sources
from central.store.pool import Tx
from central.store.sources import Last, Place


@dataclass(frozen=True, slots=True)
class Told:
    """Where a word comes from: the event on record that carries it."""

    area: str
    gateway: str
    stream: str
    seq: int
    event: int
    at: datetime
    """Corrected."""


async def judge(
    tx: Tx,
    told: Told,
    part: str,
    condition: Condition,
    seen: Seen,
    *,
    detail: Mapping[str, Any] | None = None,
    placeless: bool = False,
) -> Decision:
    """Keep the word and do what it means. With `placeless` the registry is not asked where the part hangs."""
    last = await sources.last(tx, told.gateway, part, condition, stream=told.stream, seq=told.seq)
    decision = await _decide(tx, told, part, condition, seen, last, detail, placeless=placeless)
    if last is None or not last.older:
        await sources.say(
            tx, told.gateway, part, condition, seen, stream=told.stream, seq=told.seq, event_at=told.at
        )
    return decision


async def silence(tx: Tx, found: list[Alarm], cause: Cause) -> int:
    """These alarms' sources cannot answer any more. Returns how many alarms that changed."""
    changed = 0
    for before in found:
        seen = Observed(Seen.UNKNOWN, before.severity, tx.now)
        decision = observe(before, seen, policy_for(before.condition), tx.now)
        await carry_out(tx, before, decision, cause)
        changed += decision.what is not None
    return changed


async def end_for_owner(tx: Tx, told: Told, part: str, present: frozenset[Condition]) -> None:
    """The gateway that owns a detector now read it well: what others asserted and is absent, is over."""
    for before in await alarms.lock_open_of_part(tx, part):
        if before.gateway == told.gateway or before.condition in present or before.event_at > told.at:
            continue
        seen = Observed(Seen.ABSENT, before.severity, told.at)
        decision = observe(before, seen, policy_for(before.condition), tx.now)
        await carry_out(tx, before, decision, Cause(event=told.event))


async def _decide(
    tx: Tx,
    told: Told,
    part: str,
    condition: Condition,
    seen: Seen,
    last: Last | None,
    detail: Mapping[str, Any] | None,
    *,
    placeless: bool,
) -> Decision:
    severity = SEVERITY[condition]
    older = last is not None and last.older
    for _ in range(3):
        before = await alarms.lock_open(tx, told.gateway, part, condition)
        covered = (
            older
            and before is None
            and severity is Severity.LIFE
            and await alarms.covered(tx, told.gateway, part, condition, told.at)
        )
        observed = Observed(
            seen, severity, told.at, older=older, known=last.seen if last else None, covered=covered
        )
        decision = observe(before, observed, policy_for(condition), tx.now)
        birth = None
        if before is None and decision.effects:
            place = Place(told.area) if placeless else await _place(tx, told, part)
            birth = Birth(condition, told.gateway, part, place, told.at, detail)
        try:
            await carry_out(tx, before, decision, Cause(event=told.event), birth)
        except LostRace:
            continue
        return decision
    return Decision(None, Reason.ALREADY_ACTIVE)


async def _place(tx: Tx, told: Told, part: str) -> Place:
    if part == "" or part.startswith("bus:"):
        return await sources.gateway_place(tx, told.gateway, told.area)
    return await sources.home(tx, part, told.at, told.area)
