"""What a person does to an alarm.

Law of this file: the first to take it has it, and others are told who; it is offered only to people who have
a duty towards its place and can be reached.
"""

from __future__ import annotations

from central.engine import decide
from central.engine.model import Act, ActKind, Alarm, NotAllowed
from central.engine.policy import Target
from central.pipeline.carry_out import Cause, carry_out
from central.pipeline.work import together
from central.store import alarms, people, policies
from central.store.pool import Tx


async def act(tx: Tx, alarm_id: int, act: Act, who: str, from_where: str) -> Alarm:
    """Do one act of `who` (worker id or token name) and return the alarm as it is then.

    `from_where` begins with the way it came by: `link`, `api`, or the key or text that answered a message.

    Raises NotAllowed, with words in both languages and who has the alarm; then nothing is changed. Whether
    this person may act on this alarm at all is the caller's question.
    """
    found = await alarms.lock_alarms(tx, (alarm_id,))
    if not found:
        raise NotAllowed("没有这个警情", f"there is no alarm {alarm_id}")
    before = found[0]
    said: dict[str, str] = {"act": act.kind.value}
    if act.kind is ActKind.OFFER and act.to:
        asked = (await colleagues(tx, before)).get(act.to)
        if asked is None:
            raise NotAllowed(
                "此人不负责该地点，或没有联系方式",
                f"{act.to} has no duty towards this place, or cannot be reached",
            )
        said |= {"to": act.to, "to_name": asked}
    policy = (await policies.book(tx)).policy_for(before.condition, before.area, before.grid)
    try:
        decision = decide.act(before, act, who, policy, tx.now)
    except NotAllowed as refused:
        if refused.by is None or before.closed_at is not None:
            raise
        facts = await alarms.describe(tx, alarm_id)
        name = (facts.acknowledged_name if facts else None) or refused.by
        raise NotAllowed(f"{name} 已接警", f"{name} has already taken this alarm", by=refused.by) from None
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


async def colleagues(tx: Tx, alarm: Alarm) -> dict[str, str]:
    """Who may be asked to take an alarm over, id and name: who has a duty towards its place and a contact.

    Whoever has it is not among them. An installer is asked about devices only, never about smoke or heat.
    """
    known = people.People()
    await people.learn(tx, known, [(alarm.grid, alarm.area)])
    duties = [target for target in Target if not (alarm.life and target is Target.INSTALLER)]
    found = {
        holder.worker
        for target in duties
        for holder in known.holders(people.Duty(alarm.grid, alarm.area, target))
        if holder.worker in known.reachable and holder.worker != alarm.acknowledged_by
    }
    names = await people.names(tx, sorted(found))
    return dict(sorted(names.items()))
