"""Smoke of a walk test: a test on record while it is one, and smoke as ever the moment it is not.

Law of this file: it decides nothing, and loses nothing: what is taken for a test is a row with the moment at
which it is smoke, written in the transaction that took it for one. Whatever goes wrong here is smoke.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import structlog

from central.engine.decide import Observed, Seen, observe
from central.engine.model import Condition, Reason
from central.engine.policy import SEVERITY
from central.pipeline.carry_out import Birth, Cause, carry_out
from central.pipeline.own import end_own, raise_own
from central.pipeline.work import Work, together
from central.store import held_smoke
from central.store.errors import StoreConflict, StoreDown
from central.store.held_smoke import HeldSmoke
from central.store.pool import Tx
from central.store.sources import Place, Source

_log = structlog.get_logger()
_AT_ONCE = 100
_STAYED = (
    "步行测试：烟雾持续超过 3 分钟，或测试结束时仍在，按火警处理"
    " / walk test: the smoke lasted over 3 minutes, or was still there at the end"
)


async def hold(work: Work, one: HeldSmoke, place: Place) -> None:
    """It is a test until `one.due_at`: on record as a pressed test button would be."""
    await held_smoke.keep(work.tx, one)
    await raise_own(
        work,
        condition=Condition.TEST,
        gateway=one.gateway,
        part=one.part,
        area=one.area,
        reason=Reason.WALK_TEST,
        detail={"walk_test": one.window, "smelled": one.condition.value},
        event=one.event,
        place=place,
    )


async def over(work: Work, source: Source) -> bool:
    """The smoke of a source has gone. False when it was no test."""
    if await held_smoke.take(work.tx, source) is None:
        return False
    await _end(work, source)
    return True


async def lose(work: Work, gateway: str, part: str | None) -> None:
    """A detector (or, without one, whatever hangs behind a gateway) cannot answer any more: it is smoke."""
    await _smoke(work, await held_smoke.take_of(work.tx, gateway, part))


async def break_off(work: Work, source: Source) -> None:
    """What is said now bears no number of a walk test: what was taken for one is smoke."""
    held = await held_smoke.take(work.tx, source)
    await _smoke(work, [] if held is None else [held])


async def run_held(tx: Tx) -> int:
    """What has been a test for long enough, or outlived it, is smoke. Returns how many were looked at."""
    due: list[HeldSmoke] = []

    async def do(work: Work) -> None:
        due[:] = await held_smoke.take_due(work.tx, _AT_ONCE)
        await _smoke(work, due)

    try:
        await together(tx, do)
    except (StoreDown, StoreConflict):
        raise
    except Exception as error:  # noqa: BLE001 - one of them; the others must be alarmed
        _log.error("test smoke cannot be judged together", error=f"{type(error).__name__}: {error}")
        for one in due:
            try:
                await together(tx, partial(break_off, source=one.source))
            except (StoreDown, StoreConflict):
                raise
            except Exception as worse:  # noqa: BLE001 - the others must be alarmed
                _log.critical("test smoke could not be alarmed", detector=one.part, error=str(worse))
    return len(due)


async def _smoke(work: Work, held: Sequence[HeldSmoke]) -> None:
    for one in held:
        await _end(work, one.source)
        word = await work.word(one.source)
        gone = word is not None and word.seen is Seen.ABSENT
        if gone or await work.open_alarm(*one.source) is not None:
            continue
        place = await work.home(one.part, one.event_at, one.area)
        policy = await work.policy_of(one.condition, place.area, place.grid, one.part)
        # It was told at once, and is alarmed late by rule: it comes out of no backlog.
        seen = Observed(Seen.PRESENT, SEVERITY[one.condition], work.now)
        decision = observe(None, seen, policy, work.now)
        detail = {"text": _STAYED, "walk_test": one.window}
        birth = Birth(one.condition, one.gateway, one.part, place, one.event_at, detail)
        await carry_out(work, None, decision, Cause(event=one.event, detail=detail), birth)


async def _end(work: Work, source: Source) -> None:
    await end_own(
        work, condition=Condition.TEST, gateway=source.gateway, part=source.part, reason=Reason.WALK_TEST
    )
