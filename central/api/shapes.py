"""What the API answers, where no row or record already says it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from central.registry.errors import Problem
from central.registry.kinds import Placement
from central.store.alarms import AlarmFacts, LogEntry
from central.store.overview import LogLine


@dataclass(frozen=True, slots=True)
class Saved:
    """Something is on record."""

    id: str
    reconfigured: tuple[str, ...]
    """Gateways that were given a new configuration by it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request was not done: the first thing that is wrong, the same in Chinese, and the mend."""

    error: str
    zh: str
    mend: str
    problems: list[Problem] | None = None
    """All that is wrong, where there may be several things."""
    by: str | None = None
    """Who was first, where somebody was."""


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """An alarm in a list; nothing personal."""

    id: int
    condition: str
    severity: str
    state: str
    round: int
    late: bool
    area: str
    grid: str | None
    building: str | None
    gateway: str | None
    part: str
    address_known: bool
    opened_at: datetime
    event_at: datetime
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    on_way_at: datetime | None
    closed_at: datetime | None
    closed_by: str | None
    disposition: str | None
    cause: str | None
    on_scene_at: datetime | None
    offered_to: str | None
    """Who was asked to take it over and has not answered."""
    grade: str
    """usual, raised or grave: how much more speaks for a fire than the detector that called."""


@dataclass(frozen=True, slots=True)
class AlarmList:
    """A page of alarms, the newest first; `next_before` asks for the next, null at the end."""

    alarms: list[AlarmLine]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class AlarmDetail:
    """One alarm and all that happened to it. `alarm.residents` is empty for who may not see them."""

    alarm: AlarmFacts
    timeline: list[LogEntry]
    residents_hidden: bool


@dataclass(frozen=True, slots=True)
class CloseBody:
    """What it was."""

    disposition: str
    """real_fire, false_alarm, test, maintenance or device_fault."""
    cause: str | None = None
    """Of a false alarm: cooking, steam, dust, insects, construction, smoking or other."""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class OfferBody:
    """Who is asked to take an alarm over, and why."""

    to: str
    """A worker: see GET /api/alarms/{alarm}/colleagues."""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody with a duty towards the alarm's place who can be reached."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class EventList:
    """Changes behind `after`, the oldest first; ask again with `last`. Ids are those of the stream."""

    events: list[LogLine]
    last: int


@dataclass(frozen=True, slots=True)
class ImportAnswer:
    """What an import did, or would do."""

    saved: dict[str, int]
    reconfigured: tuple[str, ...]
    notes: tuple[str, ...]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of rows by id; `next_after` asks for the next, null at the end."""

    rows: list[dict[str, Any]]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class PlacementBody:
    """Where a detector hangs from now on; null takes it off the wall."""

    placement: Placement | None
