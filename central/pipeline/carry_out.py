"""Do what a decision wants: alarm, log, due work, messages.

Law of this file: it decides nothing. Whoever cannot be told is passed over at once, with a line in the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from central import forwarding
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
    Tell,
)
from central.engine.model import Alarm, Condition, Reason, Severity
from central.engine.policy import SEVERITY, Policy, last_resort, named
from central.engine.window import beside
from central.notifier.plan import Notice, Recipient, plan
from central.pipeline.work import Work
from central.store.alarms import Line
from central.store.due import DueRow
from central.store.sources import Place


class Cause(Struct, frozen=True):
    """What led to the decision: who, from where, by which event, and what else should be on record."""

    event: int | None = None
    who: str = "system"
    from_where: str = ""
    detail: Mapping[str, Any] | None = None


class Birth(Struct, frozen=True):
    """What a new alarm needs besides its state."""

    condition: Condition
    gateway: str | None
    part: str
    place: Place
    event_at: datetime
    detail: Mapping[str, Any] | None = None


async def carry_out(
    work: Work, before: Alarm | None, decision: Decision, cause: Cause, birth: Birth | None = None
) -> Alarm | None:
    """The alarm as it is now; None when there is none."""
    effects = decision.effects
    alarm = decision.after
    if effects and isinstance(effects[0], Open):
        assert birth is not None, "an alarm is opened by an observation"
        alarm = await _open(work, effects[0], birth, cause)
        effects = effects[1:]
    if alarm is None:
        return None
    if before is not None and alarm != before:
        work.save(alarm)
    if decision.what is not None:
        line = Line(
            alarm.id,
            decision.what,
            decision.reason,
            from_state=before.state if before else None,
            to_state=alarm.state,
            who=cause.who,
            from_where=cause.from_where,
            event=cause.event,
            detail=cause.detail or {},
        )
        work.log(line)
        work.forward(forwarding.news(before, alarm, decision.what, work.now))
    await _do(work, alarm, effects, decision.reason)
    return alarm


async def _open(work: Work, opened: Open, birth: Birth, cause: Cause) -> Alarm:
    place = birth.place
    born = Alarm(
        id=0,
        condition=birth.condition,
        severity=SEVERITY[birth.condition],
        state=opened.state,
        area=place.area,
        part=birth.part,
        opened_at=work.now,
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
        detail=birth.detail or {},
        verify_at=work.now if SEVERITY[birth.condition] is Severity.LIFE else None,
    )
    return await work.open(born)


async def _do(
    work: Work, alarm: Alarm, effects: tuple[Effect, ...], reason: Reason, *, passing: bool = False
) -> None:
    for effect in effects:
        match effect:
            case Schedule(kind, at, step, put_off):
                row = DueRow(alarm.round, step, at)
                await work.schedule(alarm.id, kind, row, only_forward=passing)
                if put_off:
                    said = {"step": step, "until": at.isoformat()}
                    held = (await work.policy(alarm)).held is not None
                    why = Reason.IN_WINDOW if held else Reason.QUIET_HOURS
                    work.log(Line(alarm.id, "postponed", why, detail=said))
            case Cancel(kind):
                work.cancel(alarm.id, kind)
            case Notify():
                await _tell(work, alarm, effect, reason, passing=passing)
            case Tell():
                await _tell_one(work, alarm, effect, reason)
            case Hasten():
                await _hasten(work, alarm, reason)
            case Open():
                raise AssertionError("an alarm is opened first of all")


async def _hasten(work: Work, alarm: Alarm, reason: Reason) -> None:
    row = await work.due_row(alarm.id, DueKind.STEP)
    if row is None:
        return
    decision = fire(alarm, DueKind.STEP, row.step, work.now, await work.policy(alarm), work.now)
    await _do(work, alarm, decision.effects, reason)


async def _tell(work: Work, alarm: Alarm, notify: Notify, reason: Reason, *, passing: bool) -> None:
    policy = await work.policy(alarm)
    if notify.purpose is Purpose.ALARM and notify.step > 0:
        work.forward(forwarding.raised(alarm))
    if notify.purpose is Purpose.ALARM and notify.step == 0:
        await _tell_beside(work, alarm)
    reached = await _reach(work, alarm, notify)
    if notify.purpose is Purpose.RAISED:  # who has it is told by name, and once
        reached = [one for one in reached if one.worker != alarm.acknowledged_by]
        if not reached:
            return
    if not _taken_care_of(reached) and (others := _others(alarm, notify, policy)):
        notify = replace(notify, targets=(*notify.targets, *others) if reached else others)
        reached = await _reach(work, alarm, notify)
    said = {"purpose": notify.purpose.value, "step": notify.step, "targets": list(notify.targets)}
    if reached:
        notice = Notice(
            alarm=alarm.id,
            purpose=notify.purpose.value,
            round=alarm.round,
            step=notify.step,
            urgent=alarm.life,
        )
        parallel = notify.purpose is Purpose.ALARM and policy.at(notify.step).parallel
        work.tell(plan(notice, reached, parallel=parallel))
        workers = [recipient.worker for recipient in reached]
        told = {**said, "workers": workers}
        work.log(Line(alarm.id, "told", reason, from_state=alarm.state, to_state=alarm.state, detail=told))
    if _taken_care_of(reached):
        return
    work.log(Line(alarm.id, "skipped", Reason.NO_RECIPIENT, detail=said))
    if notify.purpose is Purpose.ALARM:
        await _pass_over(work, alarm, notify.step, policy, from_first=passing or notify.step == 0)


def _taken_care_of(reached: Sequence[Recipient]) -> bool:
    """Somebody is told who may take the alarm."""
    return any(one.takes for one in reached)


async def _tell_beside(work: Work, alarm: Alarm) -> None:
    """Smoke where somebody works: the command centre and who is on site learn of it with the first step.

    The climb is none the slower: whether the first step reaches anybody is asked of its own people.
    """
    found: dict[str, Recipient] = {}
    for target in beside(alarm.condition, await work.windows(alarm.part), work.now):
        worker = named(target)
        if worker is None:
            found |= {one.worker: one for one in await work.recipients(alarm, target)}
        elif (person := await work.person(worker)) is not None:
            found[worker] = person
    if not found:
        return
    notice = Notice(alarm=alarm.id, purpose=Purpose.ALARM.value, round=alarm.round, step=0, urgent=alarm.life)
    work.tell(plan(notice, [*found.values()]))
    said = {"purpose": Purpose.ALARM.value, "step": 0, "workers": [*found]}
    work.log(
        Line(
            alarm.id,
            "told",
            Reason.IN_WINDOW,
            from_state=alarm.state,
            to_state=alarm.state,
            detail=said,
        )
    )


async def _tell_one(work: Work, alarm: Alarm, tell: Tell, reason: Reason) -> None:
    said = {"purpose": tell.purpose.value, "step": tell.step, "workers": [tell.worker]}
    recipient = await work.person(tell.worker)
    if recipient is None:
        work.log(Line(alarm.id, "skipped", Reason.NO_RECIPIENT, detail=said))
        return
    notice = Notice(
        alarm=alarm.id, purpose=tell.purpose.value, round=alarm.round, step=tell.step, urgent=alarm.life
    )
    work.tell(plan(notice, [recipient]))
    work.log(Line(alarm.id, "told", reason, from_state=alarm.state, to_state=alarm.state, detail=said))


def _others(alarm: Alarm, notify: Notify, policy: Policy) -> tuple[str, ...]:
    """Who is told instead of people of whom nobody can be."""
    if notify.purpose is Purpose.DISPOSITION:
        return policy.steps[-1].targets
    return last_resort(policy, notify.step) if alarm.life and notify.purpose is Purpose.ALARM else ()


async def _pass_over(work: Work, alarm: Alarm, step: int, policy: Policy, *, from_first: bool) -> None:
    following = pass_over(step, policy, work.now)
    if following:
        await _do(work, alarm, following, Reason.NO_RECIPIENT, passing=from_first)
    elif from_first or alarm.life:
        await _nobody(work, alarm)


async def _reach(work: Work, alarm: Alarm, notify: Notify) -> list[Recipient]:
    found: dict[str, Recipient] = {}
    for target in notify.targets:
        for recipient in await work.recipients(alarm, target):
            found.setdefault(recipient.worker, recipient)
    return list(found.values())


async def _nobody(work: Work, alarm: Alarm) -> None:
    """Nobody at all can be told: say it where screens and operators look, once an area."""
    work.log(Line(alarm.id, "nobody_reachable", Reason.NOBODY_REACHABLE))
    if alarm.severity in (Severity.CARE, Severity.NOTE) or alarm.condition is Condition.SYSTEM:
        return
    from central.pipeline.own import raise_own

    await raise_own(
        work,
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
