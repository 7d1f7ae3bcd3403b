"""What a person does to an alarm. Law of this file: the first to take it has it; others are told who."""

from __future__ import annotations

from central.engine import decide
from central.engine.model import Act, Alarm, NotAllowed
from central.pipeline.carry_out import Cause, carry_out
from central.pipeline.work import together
from central.store import alarms, policies
from central.store.pool import Tx


async def act(tx: Tx, alarm_id: int, act: Act, who: str, from_where: str) -> Alarm:
    """Do one act of `who` (worker id or token name) and return the alarm as it is then.

    Raises NotAllowed, with words in both languages and who has the alarm; then nothing is changed. Whether
    this person may act on this alarm at all is the caller's question.
    """
    found = await alarms.lock_alarms(tx, (alarm_id,))
    if not found:
        raise NotAllowed("没有这个警情", f"there is no alarm {alarm_id}")
    before = found[0]
    policy = (await policies.book(tx)).policy_for(before.condition, before.area, before.grid)
    try:
        decision = decide.act(before, act, who, policy, tx.now)
    except NotAllowed as refused:
        if refused.by is None or before.closed_at is not None:
            raise
        facts = await alarms.describe(tx, alarm_id)
        name = (facts.acknowledged_name if facts else None) or refused.by
        raise NotAllowed(f"{name} 已接警", f"{name} has already taken this alarm", by=refused.by) from None
    said = {"act": act.kind.value}
    if act.disposition is not None:
        said["disposition"] = act.disposition.value
    if act.cause is not None:
        said["cause"] = act.cause.value
    if act.remark.strip():
        said["remark"] = act.remark.strip()
    cause = Cause(who=who, from_where=from_where, detail=said)
    after = await together(tx, lambda work: carry_out(work, before, decision, cause))
    assert after is not None
    return after
