"""Who has an alarm: taken, offered to somebody, handed over.

Law of this file: pure; whoever has it has it until another has said yes, and handing it over puts nothing
off: the question what it was and the second look come when they would have come.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from central.engine.effects import Cancel, Decision, DueKind, Effect, Purpose, Schedule, Tell
from central.engine.model import Act, ActKind, Alarm, AlarmState, NotAllowed, Reason
from central.engine.policy import Policy
from central.engine.transitions import Row

_ACTIVE = (AlarmState.ACTIVE_UNACKNOWLEDGED, AlarmState.ACTIVE_ACKNOWLEDGED)


def take(alarm: Alarm, row: Row, who: str, policy: Policy, now: datetime) -> tuple[Alarm, tuple[Effect, ...]]:
    """Nobody had it: `who` has it now, and what is due from then on."""
    after = replace(
        alarm,
        state=row.end,
        acknowledged_at=now,
        acknowledged_by=who,
        offered_to=None,
        offered_by=None,
        offered_at=None,
    )
    effects: list[Effect] = [Cancel(DueKind.STEP)]
    if policy.disposition_after is not None:
        effects.append(Schedule(DueKind.DISPOSITION, now + policy.disposition_after))
    if policy.still_active_after is not None and after.state in _ACTIVE:
        effects.append(Schedule(DueKind.STILL_ACTIVE, now + policy.still_active_after))
    return after, tuple(effects)


def hand(alarm: Alarm, done: Act, who: str, row: Row, policy: Policy, now: datetime) -> Decision:
    """An act of `OFFER`, `ACCEPT`, `DECLINE` or `TAKE_OVER` that the table allows. Raises NotAllowed."""
    match done.kind:
        case ActKind.OFFER:
            return _offer(alarm, done, who, now)
        case ActKind.DECLINE:
            return _decline(alarm, who)
        case ActKind.ACCEPT if alarm.offered_to != who:
            if alarm.acknowledged_by == who:
                return Decision(alarm, Reason.ALREADY_YOURS)
            raise NotAllowed("现在没有请您接手", "you are not asked to take this alarm over (any more)")
        case _:
            return _take_over(alarm, done, who, row, policy, now)


def _offer(alarm: Alarm, done: Act, who: str, now: datetime) -> Decision:
    if not done.to:
        raise NotAllowed("请选择接手人", "say who is to take it over")
    if done.to == alarm.acknowledged_by:
        raise NotAllowed("该警情已由此人处理", "this person has it already", by=None)
    if done.to == who:
        raise NotAllowed("请直接接手", "take it over yourself: no offer is needed")
    if (done.to, who) == (alarm.offered_to, alarm.offered_by):
        return Decision(alarm, Reason.OFFERED)
    after = replace(alarm, offered_to=done.to, offered_by=who, offered_at=now, handovers=alarm.handovers + 1)
    told = Tell(Purpose.OFFER, after.handovers, done.to)
    return Decision(after, Reason.OFFERED, (told,), "offered")


def _decline(alarm: Alarm, who: str) -> Decision:
    if alarm.offered_to != who:
        raise NotAllowed("现在没有请您接手", "you are not asked to take this alarm over (any more)")
    after = replace(alarm, offered_to=None, offered_by=None, offered_at=None)
    told = _tell(after, alarm.offered_by)
    return Decision(after, Reason.DECLINED, told, "declined")


def _take_over(alarm: Alarm, done: Act, who: str, row: Row, policy: Policy, now: datetime) -> Decision:
    accepted = done.kind is ActKind.ACCEPT
    what = "accepted" if accepted else "taken_over"
    asked_by = alarm.offered_by if accepted else None
    if not alarm.acknowledged:
        after, effects = take(alarm, row, who, policy, now)
        told = _tell(after, asked_by) if asked_by != who else ()
        return Decision(after, Reason.BY_PERSON, (*effects, *told), what)
    if alarm.acknowledged_by == who:
        return Decision(alarm, Reason.ALREADY_YOURS)
    after = replace(
        alarm,
        state=row.end,
        acknowledged_by=who,
        on_way_at=None,  # that was the other's way; who was there first is kept
        offered_to=None,
        offered_by=None,
        offered_at=None,
        handovers=alarm.handovers + (0 if accepted else 1),
    )
    others = dict.fromkeys(one for one in (alarm.acknowledged_by, asked_by) if one not in (None, who))
    told = tuple(effect for one in others for effect in _tell(after, one))
    return Decision(after, Reason.TAKEN_OVER, told, what)


def _tell(alarm: Alarm, worker: str | None) -> tuple[Effect, ...]:
    return () if worker is None else (Tell(Purpose.OWNER, alarm.handovers, worker),)
