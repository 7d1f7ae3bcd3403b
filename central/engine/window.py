"""Windows in which detectors are worked on or out of service: what of them is told to whom.

Law of this file: pure; a window filters messages, never the state, and is of detectors by name. What is like
a fault is told when it ends, if it is still so. Smoke and heat are told at once as ever, and to more people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from central.engine.model import Condition, Severity
from central.engine.policy import SEVERITY, WORKER, Policy, Target


class WindowKind(StrEnum):
    """Why somebody is at detectors."""

    MAINTENANCE = "maintenance"
    """Somebody works on them, on site."""
    OUT_OF_SERVICE = "out_of_service"
    """They do not work; looked at again by its end."""
    WALK_TEST = "walk_test"
    """Somebody tries them out with test smoke: `walk_test`. It keeps no message back."""


LONGEST = {
    WindowKind.MAINTENANCE: timedelta(hours=24),
    WindowKind.OUT_OF_SERVICE: timedelta(days=92),
    WindowKind.WALK_TEST: timedelta(minutes=30),
}
_C = Condition
FAULT_LIKE = frozenset(
    {
        _C.FAULT,
        _C.CONTAMINATED,
        _C.LOW_BATTERY,
        _C.MAINS_LOST,
        _C.REMOVED,
        _C.MUTED,
        _C.ISOLATED,
        _C.NO_RESPONSE,
        _C.UNSTABLE,
        _C.TREND,
    }
)
"""What somebody who works on a detector brings about. All else is told as ever."""


class Window(Struct, frozen=True):
    """One window, as far as one of its detectors is concerned."""

    id: int
    kind: WindowKind
    begins: datetime
    ends: datetime
    """Or when somebody ended it."""
    why: str
    person: str | None = None
    """The worker on site."""

    def lasts(self, at: datetime) -> bool:
        """Whether it is open at a moment."""
        return self.begins <= at < self.ends


def holds(policy: Policy, condition: Condition, windows: Sequence[Window], now: datetime) -> Policy:
    """The climb of a condition of a detector with these windows; of what is like a fault after their end."""
    keeping = [window for window in windows if window.kind is not WindowKind.WALK_TEST]
    ends = [window.ends for window in keeping if window.lasts(now)]
    if not ends or condition not in FAULT_LIKE or SEVERITY[condition] is Severity.LIFE:
        return policy
    return replace(policy, held=max(ends))


def beside(condition: Condition, windows: Sequence[Window], now: datetime) -> tuple[str, ...]:
    """Who is told of smoke or heat besides the first step: the command centre, and who is on site."""
    lasting = [window for window in windows if window.lasts(now)]
    if not lasting or SEVERITY[condition] is not Severity.LIFE:
        return ()
    people = [f"{WORKER}{window.person}" for window in lasting if window.person is not None]
    return tuple(dict.fromkeys((Target.DISPATCHER, *people)))


def on_record(windows: Sequence[Window], now: datetime) -> dict[str, object]:
    """What an alarm keeps of the window in which it opened; {} without one."""
    lasting = [window for window in windows if window.lasts(now)]
    if not lasting:
        return {}
    last = max(lasting, key=lambda window: window.ends)
    return {"window": {"id": last.id, "kind": last.kind.value, "why": last.why}}
