"""What the agent saw, before it is on record. Data only; the outbox gives it its sequence number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from wire.messages import URGENT, Condition, EventKind


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing worth an event. Fields as in `wire.messages.Event`."""

    kind: EventKind
    condition: Condition | None = None
    detector: str | None = None
    bus: str | None = None
    value: float | None = None
    states: Mapping[str, tuple[Condition, ...] | None] | None = None
    text: str | None = None
    window: str | None = None

    @property
    def urgent(self) -> bool:
        """Whether it is sent before any backlog and must be on record before anything else is done."""
        return self.kind is EventKind.ASSERT and self.condition in URGENT


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of one detector; None is "no value". Units as in `wire.messages.ReadingBatch`."""

    detector: str
    smoke: float | None = None
    temperature: float | None = None
    battery: float | None = None
    contamination: float | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """When and under what something was seen, by the agent's own clocks."""

    at_ms: int
    mono_ms: int
    boot: str
    synchronised: bool
    config_version: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What goes on record together: observations of one moment and the trackers' states that go with them."""

    observations: tuple[Observation, ...]
    stamp: Stamp
    tracked: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def urgent(self) -> bool:
        """Whether any of it is."""
        return any(each.urgent for each in self.observations)
