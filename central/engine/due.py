"""What is done when a due row's time has come. Law of this file: pure; rows hold the truth, not timers."""

from __future__ import annotations

from datetime import datetime

from central.engine.decide import still_active
from central.engine.effects import Cancel, Decision, DueKind, Effect, Notify, Purpose, Schedule
from central.engine.model import Alarm, AlarmState, Reason
from central.engine.policy import Policy


def fire(alarm: Alarm, kind: DueKind, step: int, due_at: datetime, policy: Policy, now: datetime) -> Decision:
    """One due row (its `step`, its time `due_at`) of one alarm."""
    at = policy.awake(now)
    if at > now and not alarm.life:
        return Decision(alarm, Reason.QUIET_HOURS, (Schedule(kind, at, step, put_off=True),))
    match kind:
        case DueKind.STEP:
            return _step(alarm, step, due_at, policy, now)
        case DueKind.DISPOSITION:
            return _disposition(alarm, step, policy, now)
        case DueKind.STILL_ACTIVE:
            return still_active(alarm, policy, now)


def pass_over(step: int, policy: Policy, now: datetime) -> tuple[Effect, ...]:
    """Step `step` reaches nobody: the next one now, and the one after it in its turn; () beyond the last.

    A `Schedule` among these never sets the climb back: a row that waits for a later step stays.
    """
    if step + 1 >= len(policy.steps):
        return ()
    return _told(step + 1, now, policy, now)


def _step(alarm: Alarm, step: int, due_at: datetime, policy: Policy, now: datetime) -> Decision:
    if alarm.state is AlarmState.CLOSED or alarm.acknowledged or not policy.steps:
        return Decision(alarm, Reason.NO_LONGER_DUE, (Cancel(DueKind.STEP),))
    return Decision(alarm, Reason.STEP_DUE, _told(step, due_at, policy, now))


def _told(step: int, due_at: datetime, policy: Policy, now: datetime) -> tuple[Effect, ...]:
    notify = Notify(Purpose.ALARM, step, policy.at(step).targets)
    gap = policy.gap_after(step)
    if gap is None:
        return Cancel(DueKind.STEP), notify
    following = due_at + gap
    if following <= now:
        # We were away. Steps that climb are caught up at once; the last one is not said twice in a row.
        following = now if step + 1 < len(policy.steps) else now + gap
    return Schedule(DueKind.STEP, following, step + 1), notify


def _disposition(alarm: Alarm, step: int, policy: Policy, now: datetime) -> Decision:
    done = alarm.state is AlarmState.CLOSED or not alarm.acknowledged or alarm.disposition is not None
    if done or policy.disposition_after is None:
        return Decision(alarm, Reason.NO_LONGER_DUE, (Cancel(DueKind.DISPOSITION),))
    effects = (
        Notify(Purpose.DISPOSITION, step, policy.disposition_targets),
        Schedule(DueKind.DISPOSITION, now + policy.disposition_after, step + 1),
    )
    return Decision(alarm, Reason.NO_DISPOSITION, effects)
