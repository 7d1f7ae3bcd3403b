"""What a decision wants done. Law of this file: values only; the pipeline does them, in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from central.engine.model import Alarm, AlarmState, Reason
from central.engine.policy import Target


class DueKind(StrEnum):
    """What a due row waits for; an alarm has at most one of each."""

    STEP = "step"
    DISPOSITION = "disposition"
    STILL_ACTIVE = "still_active"


class Purpose(StrEnum):
    """Why somebody is told."""

    ALARM = "alarm"
    DISPOSITION = "disposition"


@dataclass(frozen=True, slots=True)
class Open:
    """A new alarm in `state`."""

    state: AlarmState
    late: bool = False
    cleared_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell whoever has one of these duties; for purpose alarm, a step that reaches nobody is passed over."""

    purpose: Purpose
    step: int
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The row of this kind is due at `at` (there is one of each kind; it replaces the former)."""

    kind: DueKind
    at: datetime
    step: int = 0


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nothing of this kind is due any more."""

    kind: DueKind


@dataclass(frozen=True, slots=True)
class Hasten:
    """The step that waits is done now."""


Effect = Open | Notify | Schedule | Cancel | Hasten


@dataclass(frozen=True, slots=True)
class Decision:
    """The alarm as it is to be, what is to be done, and why."""

    after: Alarm | None
    """None when there was none; `Open` among the effects makes one."""
    reason: Reason
    effects: tuple[Effect, ...] = ()
    what: str | None = None
    """The word on the alarm's time line; None when there is nothing to write down."""
