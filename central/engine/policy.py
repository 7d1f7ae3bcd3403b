"""Who is called, and when, for each severity. Law of this file: data; `decide` and `due` act on it.

Times are `timedelta`s counted from the start of a round (an alarm opens, or becomes unacknowledged again).
The climb of a life alarm never ends by itself: the last step repeats until a person takes the alarm.
What stands here holds wherever nobody has saved a policy of their own: `policy_body`, `book`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from enum import StrEnum

from central.engine.model import Condition, Severity


class Target(StrEnum):
    """A duty, not a person; the registry says who has it."""

    GRID_PRIMARY = "grid_primary"
    GRID_BACKUP = "grid_backup"
    COMMUNITY_LEAD = "community_lead"
    DISPATCHER = "dispatcher"
    INSTALLER = "installer"


CHINA = timezone(timedelta(hours=8))
"""Asia/Shanghai: the clock of quiet hours and rosters. It has had no summer time since 1991."""
WORKER = "worker:"
"""A target that is a person and not a duty: this and the worker's id."""


FAMILY = "family:"
"""A target that is the resident's family: this and the channels for their number, in order, by commas."""


def family_channels(target: str) -> tuple[str, ...]:
    """The channels by which a target's family is told; none for a duty or a person."""
    return tuple(target.removeprefix(FAMILY).split(",")) if target.startswith(FAMILY) else ()


def named(target: str) -> str | None:
    """The id of the worker that a target names; None for a duty."""
    return target.removeprefix(WORKER) if target.startswith(WORKER) else None


@dataclass(frozen=True, slots=True)
class Step:
    """After `delay` from the start of the round these are told."""

    delay: timedelta
    targets: tuple[str, ...]
    """Duties (`Target`), persons (`worker:<id>`) and the resident's family (`family:<channel>,...`)."""
    parallel: bool = False
    """Each person by all of their contacts at once; else by the first, and by the next when that fails."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of China's clock in which nobody is told; `ends` before `begins` lies on the next day."""

    begins: time
    ends: time

    def over(self, at: datetime) -> datetime:
        """The moment itself, or the end of the quiet hours that it falls into."""
        local = at.astimezone(CHINA)
        clock = local.time()
        if self.begins < self.ends:
            inside = self.begins <= clock < self.ends
        else:
            inside = clock >= self.begins or clock < self.ends
        if not inside:
            return at
        end = datetime.combine(local.date(), self.ends, CHINA)
        return (end if end > local else end + timedelta(days=1)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Policy:
    """The climb of one severity."""

    steps: tuple[Step, ...]
    repeat: timedelta | None = None
    """How often the last step is done again; None: the climb ends with it."""
    disposition_after: timedelta | None = None
    """After the acknowledgement, without a disposition: `disposition_targets` are told, again and again."""
    disposition_targets: tuple[str, ...] = ()
    still_active_after: timedelta | None = None
    """Still active so long after the acknowledgement: a new round."""
    quiet: Quiet | None = None
    """What would be told in these hours is told at their end. Never of a life alarm."""
    held: datetime | None = None
    """Nobody is told before (`window`). Never of a life alarm."""

    def awake(self, at: datetime) -> datetime:
        """The moment itself, or the end of what keeps it quiet then."""
        at = at if self.held is None else max(at, self.held)
        return at if self.quiet is None else self.quiet.over(at)

    def at(self, step: int) -> Step:
        """Step number `step` (0-based); beyond the last one it is the last."""
        return self.steps[min(step, len(self.steps) - 1)]

    def gap_after(self, step: int) -> timedelta | None:
        """From step number `step` to the next; None when there is no next one."""
        if step + 1 < len(self.steps):
            return self.steps[step + 1].delay - self.steps[step].delay
        return self.repeat


SEES_RESIDENTS = frozenset({"grid_worker", "community_lead", "dispatcher"})
"""Roles of workers who are shown who lives behind an alarm: those who go there or send somebody. An installer
repairs a device and needs the door, not the person."""

ONLOOKERS = frozenset({"outside", "family"})
"""Roles of people who are told and cannot take an alarm: a property office, the brigade's liaison, family.
Who takes it ends the climb, and must be somebody who goes there or sends somebody. They see no residents."""

LATE_AFTER = timedelta(seconds=60)
"""An alarm told later than this after it happened is marked late."""

_T = Target
_ALL = (_T.DISPATCHER, _T.GRID_PRIMARY, _T.GRID_BACKUP, _T.COMMUNITY_LEAD)

LIFE = Policy(
    steps=(
        Step(timedelta(0), (_T.GRID_PRIMARY,)),
        Step(timedelta(seconds=90), (_T.GRID_BACKUP, _T.COMMUNITY_LEAD)),
        Step(timedelta(seconds=180), (_T.DISPATCHER,)),
        Step(timedelta(seconds=360), _ALL),
    ),
    repeat=timedelta(seconds=180),
    disposition_after=timedelta(minutes=30),
    disposition_targets=(_T.DISPATCHER,),
    still_active_after=timedelta(minutes=20),
)


def last_resort(policy: Policy, step: int) -> tuple[str, ...]:
    """Whom a life alarm calls when its last step reaches nobody: people change after a policy was saved."""
    return LIFE.steps[-1].targets if step + 1 >= len(policy.steps) else ()


_LATER = Step(timedelta(minutes=30), (_T.DISPATCHER,))
UNWATCHED = Policy(steps=(Step(timedelta(0), (_T.COMMUNITY_LEAD,)), _LATER))
UNWATCHED_HARDWARE = Policy(steps=(Step(timedelta(0), (_T.COMMUNITY_LEAD, _T.INSTALLER)), _LATER))
CARE = Policy(steps=(Step(timedelta(0), (_T.COMMUNITY_LEAD,)),))
NOTE = Policy(steps=())

_C = Condition
SEVERITY: dict[Condition, Severity] = (
    dict.fromkeys((_C.SMOKE, _C.HEAT), Severity.LIFE)
    | dict.fromkeys(
        (
            _C.GATEWAY_SILENT,
            _C.BUS_DOWN,
            _C.BUS_STUCK,
            _C.EVENTS_STUCK,
            _C.NO_RESPONSE,
            _C.REMOVED,
            _C.STORAGE,
            _C.DATA_GAP,
            _C.CLONE_SUSPECTED,
            _C.SYSTEM,
            _C.CLOCK_WRONG,
        ),
        Severity.UNWATCHED,
    )
    | dict.fromkeys(
        (
            _C.FAULT,
            _C.CONTAMINATED,
            _C.LOW_BATTERY,
            _C.MAINS_LOST,
            _C.MUTED,
            _C.ISOLATED,
            _C.UNSTABLE,
            _C.TREND,
        ),
        Severity.CARE,
    )
    | dict.fromkeys((_C.TEST, _C.PRE_ALARM), Severity.NOTE)
)
"""Every condition has one; a test compares."""

_HARDWARE = frozenset(
    {
        _C.GATEWAY_SILENT,
        _C.BUS_DOWN,
        _C.BUS_STUCK,
        _C.EVENTS_STUCK,
        _C.NO_RESPONSE,
        _C.REMOVED,
        _C.STORAGE,
        _C.CLOCK_WRONG,
        _C.CLONE_SUSPECTED,
    }
)


def policy_for(condition: Condition) -> Policy:
    """The climb of a condition where no policy is on record."""
    match SEVERITY[condition]:
        case Severity.LIFE:
            return LIFE
        case Severity.UNWATCHED:
            return UNWATCHED_HARDWARE if condition in _HARDWARE else UNWATCHED
        case Severity.CARE:
            return CARE
        case Severity.NOTE:
            return NOTE
