"""Alarms that the centre raises of its own: silence, gaps, clones, events that fail, nobody to tell.

Law of this file: one open alarm a kind and part (further ones fold into it); its end closes it by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from central.engine.decide import Observed, Seen, observe
from central.engine.model import Alarm, Condition, Reason
from central.engine.policy import SEVERITY, policy_for
from central.pipeline.carry_out import Birth, Cause, LostRace, carry_out
from central.store import alarms, sources
from central.store.pool import Tx
from central.store.sources import Place


async def raise_own(
    tx: Tx,
    *,
    condition: Condition,
    gateway: str | None,
    part: str,
    area: str,
    reason: Reason,
    detail: Mapping[str, Any] | None = None,
    event: int | None = None,
) -> Alarm:
    """Open the alarm, or add one to the count of the open one. `detail` is what people are shown."""
    place = await sources.gateway_place(tx, gateway, area) if gateway else Place(area, known=True)
    for _ in range(3):
        before = await alarms.lock_open(tx, gateway, part, condition)
        if before is not None:
            folded = {**before.detail, **(detail or {}), "folded": int(before.detail.get("folded", 0)) + 1}
            await alarms.set_detail(tx, before.id, folded)
            return before
        seen = Observed(Seen.PRESENT, SEVERITY[condition], tx.now)
        decision = observe(None, seen, policy_for(condition), tx.now)
        birth = Birth(condition, gateway, part, place, tx.now, detail)
        try:
            cause = Cause(event=event, detail={"reason": reason.value})
            opened = await carry_out(tx, None, decision, cause, birth)
        except LostRace:
            continue
        assert opened is not None
        return opened
    raise AssertionError("an alarm that can neither be opened nor found")


async def raise_failed_event(tx: Tx, *, area: str, gateway: str, text: str, event: int | None) -> None:
    """An event that could not be read or judged: one `system` alarm a gateway; `text` is cut at 500."""
    await raise_own(
        tx,
        condition=Condition.SYSTEM,
        gateway=gateway,
        part="events",
        area=area,
        reason=Reason.EVENT_FAILED,
        detail={"text": text[:500]},
        event=event,
    )


async def end_own(
    tx: Tx, *, condition: Condition, gateway: str | None, part: str, reason: Reason
) -> Alarm | None:
    """The cause is over: close the alarm if it is open."""
    before = await alarms.lock_open(tx, gateway, part, condition)
    if before is None:
        return None
    seen = Observed(Seen.ABSENT, before.severity, tx.now)
    decision = observe(before, seen, policy_for(condition), tx.now)
    return await carry_out(tx, before, decision, Cause(detail={"reason": reason.value}))
