"""What an observation or a person's act does to an alarm.

Law of this file: pure; `now` is an argument; every decision says why. Nothing here ends a life alarm but an
act of a person with a disposition.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from central.engine.effects import Cancel, Decision, DueKind, Effect, Hasten, Notify, Open, Purpose, Schedule
from central.engine.model import (
    Act,
    ActKind,
    Alarm,
    AlarmState,
    Disposition,
    Grade,
    NotAllowed,
    Reason,
    Severity,
)
from central.engine.owner import hand, take
from central.engine.policy import LATE_AFTER, Policy
from central.engine.transitions import Row, Trigger, find

_HANDS = (ActKind.OFFER, ActKind.ACCEPT, ActKind.DECLINE, ActKind.TAKE_OVER)


class Seen(StrEnum):
    """What a source says of a condition; also the words of the store's `source.state`."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Observed(Struct, frozen=True):
    """One word of one source about the condition the alarm is (or would be) about."""

    seen: Seen
    severity: Severity
    at: datetime
    """When it happened (corrected)."""
    older: bool = False
    """The source has said something newer already."""
    known: Seen | None = None
    """What the source said last, before this."""
    covered: bool = False
    """For an older one: a closed alarm spans that moment."""
    same_source: bool = True
    """Who speaks is who asserted it, or the gateway that owns the detector now, in a snapshot."""


def observe(alarm: Alarm | None, observed: Observed, policy: Policy, now: datetime) -> Decision:
    """What one observation does to the open alarm of its source, or to none."""
    if alarm is None:
        return _open(observed, policy, now)
    if observed.older:
        if observed.seen is Seen.PRESENT and alarm.life:
            return Decision(alarm, Reason.OLDER_THAN_KNOWN, what="older_assert")
        return Decision(alarm, Reason.OLDER_THAN_KNOWN)
    if not observed.same_source:
        return Decision(alarm, Reason.OTHER_SOURCE)
    match observed.seen:
        case Seen.PRESENT:
            return _assert(alarm, policy, now)
        case Seen.ABSENT:
            return _clear(alarm, observed.at, now)
        case Seen.UNKNOWN:
            return _unknown(alarm, policy, now)


def act(alarm: Alarm, done: Act, who: str, policy: Policy, now: datetime) -> Decision:
    """What a person's act does. Raises NotAllowed with words for that person; then nothing is changed."""
    if done.kind is ActKind.ACKNOWLEDGE and alarm.acknowledged and alarm.state is not AlarmState.CLOSED:
        if alarm.acknowledged_by == who:
            return Decision(alarm, Reason.ALREADY_YOURS)
        raise NotAllowed("已有人接警", "somebody else has already taken this alarm", by=alarm.acknowledged_by)
    row = find(alarm, Trigger(done.kind.value))
    if row is None:
        raise _refusal(alarm, done.kind)
    if done.kind is ActKind.CLOSE:
        return _close(alarm, done, who, row, now)
    if done.kind in _HANDS:
        return hand(alarm, done, who, row, policy, now)
    after = replace(alarm, state=row.end)
    effects: tuple[Effect, ...] = ()
    if not alarm.acknowledged:
        after, effects = take(alarm, row, who, policy, now)
    if done.kind is ActKind.ON_WAY:
        after = replace(after, on_way_at=after.on_way_at or now)
        return Decision(after, Reason.BY_PERSON, effects, "on_way")
    if done.kind is ActKind.ON_SCENE:
        after = replace(after, on_scene_at=after.on_scene_at or now)
        return Decision(after, Reason.BY_PERSON, effects, "on_scene")
    return Decision(after, Reason.BY_PERSON, effects, "acknowledged")


def still_active(alarm: Alarm, policy: Policy, now: datetime) -> Decision:
    """The time in which it should have ended since the acknowledgement is over."""
    row = find(alarm, Trigger.STILL_ACTIVE)
    if row is None:
        return Decision(alarm, Reason.NO_LONGER_DUE, (Cancel(DueKind.STILL_ACTIVE),))
    after, effects = _round(alarm, row, policy, now)
    return Decision(after, Reason.STILL_ACTIVE, effects, "still_active")


def begin(policy: Policy, now: datetime, *, life: bool) -> tuple[Effect, ...]:
    """The climb from its foot; what is not life waits for the end of quiet hours."""
    if not policy.steps:
        return ()
    if not life and (at := policy.awake(now)) > now:
        return (Schedule(DueKind.STEP, at, 0, put_off=True),)
    gap = policy.gap_after(0)
    first = Notify(Purpose.ALARM, 0, policy.at(0).targets)
    return (first,) if gap is None else (Schedule(DueKind.STEP, now + gap, 1), first)


def _open(observed: Observed, policy: Policy, now: datetime) -> Decision:
    if observed.seen is not Seen.PRESENT:
        return Decision(None, Reason.NOTHING_OPEN)
    late, life = now - observed.at > LATE_AFTER, observed.severity is Severity.LIFE
    if not observed.older:
        opened = Open(AlarmState.ACTIVE_UNACKNOWLEDGED, late)
        return Decision(None, Reason.FIRST_ASSERT, (opened, *begin(policy, now, life=life)), "opened")
    if not life:
        return Decision(None, Reason.OLDER_THAN_KNOWN)
    if observed.covered:
        return Decision(None, Reason.COVERED)
    match observed.known:
        case Seen.ABSENT:
            opened = Open(AlarmState.CLEARED_UNACKNOWLEDGED, late, cleared_at=now)
        case Seen.UNKNOWN:
            opened = Open(AlarmState.ACTIVE_UNKNOWN, late)
        case _:
            opened = Open(AlarmState.ACTIVE_UNACKNOWLEDGED, late)
    return Decision(None, Reason.LATE_ASSERT, (opened, *begin(policy, now, life=life)), "opened")


def _assert(alarm: Alarm, policy: Policy, now: datetime) -> Decision:
    row = _must(alarm, Trigger.ASSERT)
    if row.new_round:
        reason = (
            Reason.RETURNED_AFTER_UNKNOWN
            if alarm.state is AlarmState.ACTIVE_UNKNOWN
            else Reason.RETURNED_AFTER_CLEAR
        )
        after, effects = _round(alarm, row, policy, now)
        return Decision(after, reason, effects, "re_asserted")
    if row.end is alarm.state:
        return Decision(alarm, Reason.ALREADY_ACTIVE)
    return Decision(replace(alarm, state=row.end), Reason.RETURNED_AFTER_UNKNOWN, (), "re_asserted")


def _clear(alarm: Alarm, at: datetime, now: datetime) -> Decision:
    row = _must(alarm, Trigger.CLEAR)
    if row.end is alarm.state:
        return Decision(alarm, Reason.ALREADY_CLEARED)
    after = replace(alarm, state=row.end, cleared_at=min(at, now))
    if row.end is AlarmState.CLOSED:
        after = replace(
            after,
            closed_at=now,
            closed_by=alarm.closed_by if alarm.disposition else "system",
            disposition=alarm.disposition or Disposition.RETURNED_TO_NORMAL,
        )
        return Decision(after, Reason.SOURCE_CLEARED, _END, "closed")
    return Decision(after, Reason.SOURCE_CLEARED, (Cancel(DueKind.STILL_ACTIVE),), "cleared")


def _unknown(alarm: Alarm, policy: Policy, now: datetime) -> Decision:
    row = _must(alarm, Trigger.SOURCE_UNKNOWN)
    if row.end is alarm.state:
        return Decision(alarm, Reason.ALREADY_UNKNOWN)
    if row.new_round:
        after, effects = _round(alarm, row, policy, now)
    else:
        after = replace(alarm, state=row.end, verify_at=now if alarm.life else None)
        # A detector that falls silent while it smells smoke may be burning: the next ones are called now.
        effects = (Hasten(),) if alarm.life else ()
    return Decision(after, Reason.SOURCE_SILENT, effects, "source_unknown")


def _round(alarm: Alarm, row: Row, policy: Policy, now: datetime) -> tuple[Alarm, tuple[Effect, ...]]:
    after = replace(
        alarm,
        state=row.end,
        round=alarm.round + 1,
        cleared_at=None,
        acknowledged_at=None,
        acknowledged_by=None,
        on_way_at=None,
        closed_by=None,
        on_scene_at=None,
        offered_to=None,
        offered_by=None,
        offered_at=None,
        disposition=None,
        cause=None,
        verify_at=now if alarm.life else None,
    )
    if not alarm.acknowledged:
        # They are still being called: tell the first again, and let the climb go on where it is. Starting
        # it anew would let smoke that comes and goes keep it at its foot for ever.
        if not alarm.life and (at := policy.awake(now)) > now:  # nothing climbs before then
            return after, (Schedule(DueKind.STEP, at, 0, put_off=True),)
        return after, (Notify(Purpose.ALARM, 0, policy.at(0).targets),)
    over = (Cancel(DueKind.DISPOSITION), Cancel(DueKind.STILL_ACTIVE))
    # The climb begins at its foot again: what raised it is looked for anew, and widens it anew.
    kept = {name: value for name, value in alarm.detail.items() if name != "grounds"}
    after = replace(after, grade=Grade.USUAL, detail=kept)
    return after, (*over, *begin(policy, now, life=alarm.life))


def _close(alarm: Alarm, done: Act, who: str, row: Row, now: datetime) -> Decision:
    if done.disposition is None or done.disposition is Disposition.RETURNED_TO_NORMAL:
        raise NotAllowed("请选择处置结果", "say what it was: choose a disposition")
    if alarm.life and alarm.state is AlarmState.ACTIVE_UNKNOWN and not done.remark.strip():
        raise NotAllowed(
            "探测器已失联，结束前请写明理由",
            "the detector cannot answer any more: give the reason for closing in the remark",
        )
    cause = done.cause if done.disposition is Disposition.FALSE_ALARM else None
    after = replace(
        alarm, state=row.end, disposition=done.disposition, cause=cause, remark=done.remark.strip()
    )
    if row.end is not AlarmState.CLOSED:
        after = replace(after, closed_by=who)  # whoever says what it was, not whoever took it
        return Decision(after, Reason.DISPOSED, (Cancel(DueKind.DISPOSITION),), "disposed")
    if not alarm.acknowledged:
        after = replace(after, acknowledged_at=now, acknowledged_by=who)
    return Decision(replace(after, closed_at=now, closed_by=who), Reason.BY_PERSON, _END, "closed")


def _refusal(alarm: Alarm, kind: ActKind) -> NotAllowed:
    if alarm.state is AlarmState.CLOSED:
        return NotAllowed("该警情已结束", "this alarm is closed", by=alarm.closed_by)
    if kind is ActKind.CLOSE:
        return NotAllowed("请先接警，再填写处置结果", "take the alarm first, then say what it was")
    return NotAllowed("当前状态不能这样操作", f"not possible while the alarm is {alarm.state.value}")


def _must(alarm: Alarm, trigger: Trigger) -> Row:
    row = find(alarm, trigger)
    if row is None:
        raise NotAllowed(
            "该警情已结束", f"{trigger.value} is not possible while the alarm is {alarm.state.value}"
        )
    return row


_END: tuple[Effect, ...] = (
    Cancel(DueKind.STEP),
    Cancel(DueKind.DISPOSITION),
    Cancel(DueKind.STILL_ACTIVE),
)
