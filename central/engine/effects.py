"""What a decision wants done. Law of this file: values only; the pipeline does them, in order."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from central.engine.model import Alarm, AlarmState, Reason


class DueKind(StrEnum):
    """What a due row waits for; an alarm has at most one of each."""

    STEP = "step"
    DISPOSITION = "disposition"
    STILL_ACTIVE = "still_active"


class Purpose(StrEnum):
    """Why somebody is told."""

    ALARM = "alarm"
    DISPOSITION = "disposition"
    OFFER = "offer"
    """Somebody is asked to take it over."""
    OWNER = "owner"
    """For whoever had it or offered it: who has it now."""
    RAISED = "raised"
    """Somebody has it, and it is graver than it was."""


class Open(Struct, frozen=True):
    """A new alarm in `state`."""

    state: AlarmState
    late: bool = False
    cleared_at: datetime | None = None


class Notify(Struct, frozen=True):
    """Tell whoever these targets are; for purpose alarm, a step that reaches nobody is passed over."""

    purpose: Purpose
    step: int
    targets: tuple[str, ...]
    """As in `central.engine.policy.Step`."""


class Tell(Struct, frozen=True):
    """Tell one worker, whatever their hours; one who cannot be reached is passed over."""

    purpose: Purpose
    step: int
    worker: str


class Schedule(Struct, frozen=True):
    """The row of this kind is due at `at` (there is one of each kind; it replaces the former)."""

    kind: DueKind
    at: datetime
    step: int = 0
    put_off: bool = False
    """It would be done now, but for quiet hours."""


class Cancel(Struct, frozen=True):
    """Nothing of this kind is due any more."""

    kind: DueKind


class Hasten(Struct, frozen=True):
    """The step that waits is done now."""


Effect = Open | Notify | Tell | Schedule | Cancel | Hasten


class Decision(Struct, frozen=True):
    """The alarm as it is to be, what is to be done, and why."""

    after: Alarm | None
    """None when there was none; `Open` among the effects makes one."""
    reason: Reason
    effects: tuple[Effect, ...] = ()
    what: str | None = None
    """The word on the alarm's time line; None when there is nothing to write down."""
