"""The second look at smoke and heat: what is around it, and what that makes of it.

Law of this file: it decides nothing, and no first message waits for it: it is a transaction of its own, after
the one that opened the alarm. When to look stands in the alarm's row.
"""

from __future__ import annotations

from collections.abc import Sequence

from central import forwarding
from central.engine.effects import DueKind
from central.engine.verify import verify as look
from central.pipeline.carry_out import Cause, carry_out
from central.pipeline.work import Work, all_or_each
from central.store import alarms, verification
from central.store.pool import Tx

AT_ONCE = 50
"""In a storm those who wait to be told come first; what is verified later climbs meanwhile."""


async def verify(tx: Tx) -> int:
    """Look at up to 50 alarms whose time has come and that nobody else works on. Returns how many."""
    return await all_or_each(tx, await verification.ready(tx, AT_ONCE), _verify, "a second look")


async def _verify(work: Work, ids: Sequence[int]) -> int:
    if not ids:
        return 0
    around = await verification.around(work.tx, ids)
    await work.learn_due(ids)
    for before in await alarms.lock_alarms(work.tx, ids):
        work.adopt(before)
        row = await work.due_row(before.id, DueKind.STEP)
        waiting = None if row is None else row.step
        decision = look(before, around[before.id], await work.policy(before), waiting, work.now)
        found = {"grounds": decision.after.detail.get("grounds", [])} if decision.after is not None else {}
        after = await carry_out(work, before, decision, Cause(detail=found))
        if after is not None and after.grade is not before.grade:
            work.forward(forwarding.raised(after))
    return len(ids)
