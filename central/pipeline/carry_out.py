"""Do what a decision wants: rows, log, deliveries, all in the caller's transaction.

Law of this file: it decides nothing. Whoever cannot be told is passed over at once, with a line in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from central.engine.due import fire, pass_over
from central.engine.effects import (
    Cancel,
    Decision,
    DueKind,
    Effect,
    Hasten,
    Notify,
    Open,
    Purpose,
    Schedule,
)
from central.engine.model import Alarm, Condition, Reason, Severity
from central.engine.policy import SEVERITY, Policy, policy_for
from central.notifier.plan import Notice, Recipient, plan
from central.store import alarms, deliveries, due, people
from central.store.alarms import NewAlarm
from central.store.pool import Tx
from central.store.sources import Place


@dataclass(frozen=True, slots=True)
class Cause:
    """What led to the decision: who, from where, by which event, and what else should be on record."""

    event: int | None = None
    who: str = "system"
    from_where: str = ""
    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """What a new alarm needs besides its state."""

    condition: Condition
    gateway: str | None
    part: str
    place: Place
    event_at: datetime
    detail: Mapping[str, Any] | None = None


async def carry_out(
    tx: Tx, before: Alarm | None, decision: Decision, cause: Cause, birth: Birth | None = None
) -> Alarm | None:
    """The alarm as it is now; None when there is none.

    Raises LostRace when the alarm that was to be opened has been opened by another transaction meanwhile.
    """
    effects = decision.effects
    alarm = decision.after
    if effects and isinstance(effects[0], Open):
        assert birth is not None, "an alarm is opened by an observation"
        alarm = await _open(tx, effects[0], birth, cause)
        effects = effects[1:]
    if alarm is None:
        return None
    if before is not None and alarm != before:
        await alarms.save(tx, alarm)
    if decision.what is not None:
        await alarms.log(
            tx,
            alarm.id,
            decision.what,
            decision.reason,
            before=before.state if before else None,
            after=alarm.state,
            who=cause.who,
            from_where=cause.from_where,
            event=cause.event,
            detail=cause.detail,
        )
    await _do(tx, alarm, effects, decision.reason)
    return alarm


class LostRace(Exception):  # noqa: N818 - not a fault: look again
    """Another transaction opened the alarm first."""


async def _open(tx: Tx, opened: Open, birth: Birth, cause: Cause) -> Alarm:
    place = birth.place
    new = NewAlarm(
        condition=birth.condition,
        severity=SEVERITY[birth.condition],
        state=opened.state,
        area=place.area,
        part=birth.part,
        event_at=birth.event_at,
        gateway=birth.gateway,
        grid=place.grid,
        building=place.building,
        household=place.household,
        placement=place.placement,
        address_known=place.known,
        late=opened.late,
        event=cause.event,
        cleared_at=opened.cleared_at,
        detail=birth.detail,
    )
    alarm = await alarms.insert(tx, new)
    if alarm is None:
        raise LostRace
    return alarm


async def _do(
    tx: Tx, alarm: Alarm, effects: tuple[Effect, ...], reason: Reason, *, passing: bool = False
) -> None:
    for effect in effects:
        match effect:
            case Schedule(kind, at, step):
                await due.schedule(tx, alarm.id, kind, alarm.round, step, at, only_forward=passing)
            case Cancel(kind):
                await due.cancel(tx, alarm.id, kind)
            case Notify():
                await _tell(tx, alarm, effect, reason, passing=passing)
            case Hasten():
                await _hasten(tx, alarm)
            case Open():
                raise AssertionError("an alarm is opened first of all")


async def _hasten(tx: Tx, alarm: Alarm) -> None:
    row = await due.look(tx, alarm.id, DueKind.STEP)
    if row is None:
        return
    decision = fire(alarm, DueKind.STEP, row.step, tx.now, policy_for(alarm.condition), tx.now)
    await _do(tx, alarm, decision.effects, Reason.SOURCE_SILENT)


async def _tell(tx: Tx, alarm: Alarm, notify: Notify, reason: Reason, *, passing: bool) -> None:
    policy = policy_for(alarm.condition)
    reached = await _reach(tx, alarm, notify)
    if not reached and notify.purpose is Purpose.DISPOSITION:
        notify = replace(notify, targets=policy.steps[-1].targets)
        reached = await _reach(tx, alarm, notify)
    said = {"purpose": notify.purpose.value, "step": notify.step, "targets": list(notify.targets)}
    if reached:
        notice = Notice(
            alarm=alarm.id,
            purpose=notify.purpose.value,
            round=alarm.round,
            step=notify.step,
            urgent=alarm.life,
        )
        await deliveries.enqueue(tx, plan(notice, reached))
        workers = [recipient.worker for recipient in reached]
        await alarms.log(
            tx,
            alarm.id,
            "told",
            reason,
            before=alarm.state,
            after=alarm.state,
            detail={**said, "workers": workers},
        )
        return
    await alarms.log(tx, alarm.id, "skipped", Reason.NO_RECIPIENT, detail=said)
    if notify.purpose is Purpose.ALARM:
        await _pass_over(tx, alarm, notify.step, policy, from_first=passing or notify.step == 0)


async def _pass_over(tx: Tx, alarm: Alarm, step: int, policy: Policy, *, from_first: bool) -> None:
    following = pass_over(step, policy, tx.now)
    if following:
        await _do(tx, alarm, following, Reason.NO_RECIPIENT, passing=from_first)
    elif from_first or alarm.life:
        await _nobody(tx, alarm)


async def _reach(tx: Tx, alarm: Alarm, notify: Notify) -> list[Recipient]:
    found: dict[str, Recipient] = {}
    for target in notify.targets:
        for recipient in await people.recipients(tx, alarm, target):
            found.setdefault(recipient.worker, recipient)
    return list(found.values())


async def _nobody(tx: Tx, alarm: Alarm) -> None:
    """Nobody at all can be told: say it where screens and operators look, once an area."""
    await alarms.log(tx, alarm.id, "nobody_reachable", Reason.NOBODY_REACHABLE)
    if alarm.severity in (Severity.CARE, Severity.NOTE) or alarm.condition is Condition.SYSTEM:
        return
    from central.pipeline.own import raise_own

    await raise_own(
        tx,
        condition=Condition.SYSTEM,
        gateway=None,
        part=f"reach:{alarm.area}",
        area=alarm.area,
        reason=Reason.NOBODY_REACHABLE,
        detail={
            "text": f"警情 {alarm.id}：无人可通知，请登记联系人 / alarm {alarm.id}: nobody can be told; "
            f"register workers with contacts for area {alarm.area}",
            "alarm": alarm.id,
        },
    )
