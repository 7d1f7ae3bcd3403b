"""Alarms that the centre raises of its own: silence, gaps, clones, events that fail, nobody to tell.

Law of this file: one open alarm a kind and part (further ones fold into it); its end closes it by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from central.engine import folding
from central.engine.decide import Observed, Seen, observe
from central.engine.model import Alarm, Condition, Reason
from central.engine.policy import SEVERITY
from central.pipeline.carry_out import Birth, Cause, carry_out
from central.pipeline.work import Work
from central.store import sources
from central.store.alarms import Line
from central.store.sources import Place


async def raise_own(
    work: Work,
    *,
    condition: Condition,
    gateway: str | None,
    part: str,
    area: str,
    reason: Reason,
    detail: Mapping[str, Any] | None = None,
    event: int | None = None,
    place: Place | None = None,
    fold: folding.Fold | None = None,
) -> Alarm:
    """Open the alarm, or add one to the count of the open one. `detail` is what people are shown.

    Without `place` it is where the gateway stands. With `fold` nobody is told of a new one for now.
    """
    before = await work.open_alarm(gateway, part, condition)
    if before is not None:
        folded = {**before.detail, **(detail or {}), "folded": int(before.detail.get("folded", 0)) + 1}
        after = replace(before, detail=folded)
        work.save(after)
        return after
    if place is None:
        place = await sources.gateway_place(work.tx, gateway, area) if gateway else Place(area, known=True)
    seen = Observed(Seen.PRESENT, SEVERITY[condition], work.now)
    decision = observe(None, seen, await work.policy_of(condition, place.area, place.grid, part), work.now)
    birth = Birth(condition, gateway, part, place, work.now, detail)
    cause = Cause(event=event, detail={"reason": reason.value})
    if fold is not None:
        decision = folding.fold(decision, fold)
    opened = await carry_out(work, None, decision, cause, birth)
    assert opened is not None
    if fold is not None:
        note_fold(work, opened, fold)
    return opened


def note_fold(work: Work, alarm: Alarm, fold: folding.Fold) -> None:
    """On the time line of a new alarm: that nobody is told, and until when."""
    said = {
        "into": fold.parent,
        "until": None if fold.until is None else fold.until.isoformat(),
    }
    work.log(Line(alarm.id, "folded", Reason.FOLDED, detail={key: one for key, one in said.items() if one}))
    if fold.parent is not None:
        work.fold(alarm.id, fold.parent)


async def raise_failed_event(work: Work, *, area: str, gateway: str, text: str, event: int | None) -> None:
    """An event that could not be read or judged: one `system` alarm a gateway; `text` is cut at 500."""
    await raise_own(
        work,
        condition=Condition.SYSTEM,
        gateway=gateway,
        part="events",
        area=area,
        reason=Reason.EVENT_FAILED,
        detail={"text": text[:500]},
        event=event,
    )


async def end_own(
    work: Work, *, condition: Condition, gateway: str | None, part: str, reason: Reason
) -> Alarm | None:
    """The cause is over: close the alarm if it is open."""
    before = await work.open_alarm(gateway, part, condition)
    if before is None:
        return None
    seen = Observed(Seen.ABSENT, before.severity, work.now)
    decision = observe(before, seen, await work.policy(before), work.now)
    return await carry_out(work, before, decision, Cause(detail={"reason": reason.value}))
