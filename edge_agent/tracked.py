"""What the tracker remembers of a detector and of a bus, and how much of it survives a restart.

Law of this file: data only. What is kept over a restart is what has been told (so that it is not told twice
and its end is told), never a counter or a time: a monotonic clock means nothing in the next process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from device_profiles.schema import Role
from wire.messages import Condition


@dataclass(frozen=True, slots=True)
class TrackPolicy:
    """How much proof a change needs. Times in seconds; `reads` are good reads in a row."""

    assert_reads: int = 2
    """For what is not urgent; smoke, heat and test need one."""
    clear_reads: int = 3
    urgent_clear_reads: int = 2
    urgent_clear_s: float = 10.0
    lost_laps: int = 3
    lost_s: float = 20.0
    """Silent for this long and for `lost_laps` reads: no_response."""
    chatter_changes: int = 10
    chatter_s: float = 600.0
    """More changes than that in this time: unstable, and clears wait until it has been calm for as long."""
    port_s: float = 5.0
    """A port that cannot be opened for longer: bus_down."""
    bus_silent_s: float = 10.0
    """All of a bus's detectors (two or more) silent for as long: bus_down."""
    report_s: float = 300.0
    """A reading that does not change is reported as often as this."""
    report_min_s: float = 5.0
    """One that changes is reported at most as often as this."""
    deadband: Mapping[Role, float] = field(
        default_factory=lambda: MappingProxyType(
            {Role.SMOKE: 0.2, Role.TEMPERATURE: 0.5, Role.BATTERY: 0.05, Role.CONTAMINATION: 1.0}
        )
    )
    """Smaller changes are not reported; in the reading's unit."""
    deadband_ratio: float = 0.02
    """Nor changes below this part of the last reported value."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A read of a detector to which nothing usable came back."""

    reason: str = ""
    """For people: "timeout", "checksum"."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A change that is not yet proved."""

    reads: int
    since: float


class DetectorState(Struct, frozen=True):
    """What is known of one detector; a struct, which is quickly made anew with every look."""

    detector: str
    asserted: frozenset[Condition] = frozenset()
    """Told as present and not yet told as over."""
    known: frozenset[Condition] = frozenset()
    """Conditions of which a good read has told at least once."""
    unread: frozenset[Condition] = frozenset()
    """Conditions of its profile of which nothing has been proved yet."""
    identity: int | None = None
    doubted: bool = False
    """Its identity is known and has not been read since it was last out of sight."""
    noted_at: float | None = None
    """When another identity was last told of."""
    answering: bool = False
    """The last read was answered."""
    last_answer: float | None = None
    """Monotonic seconds; None before the first answer since the start."""
    last_sight: float | None = None
    """The last answer that showed its fire conditions."""
    misses: int = 0
    """Reads in a row without a proof that its fire conditions can be seen."""
    silent_since: float | None = None
    lost: bool = False
    """Silent for long enough; told as no_response unless the whole bus is down."""
    pending: Mapping[Condition, Tally] = {}
    last_present: frozenset[Condition] = frozenset()
    """Present in the last good read that told of it, whatever was proved."""
    last_absent: frozenset[Condition] = frozenset()
    changes: Mapping[Condition, tuple[float, ...]] = {}
    last_change: float | None = None
    reported: Mapping[Role, tuple[float | None, float]] = {}
    """Role -> the value reported last, and when."""


class BusState(Struct, frozen=True):
    """What is known of one bus."""

    bus: str
    down: bool = False
    started: float | None = None
    port_lost_since: float | None = None
    down_since: float | None = None


class _KeptDetector(Struct, frozen=True, omit_defaults=True):
    detector: Annotated[str, Meta(min_length=1, max_length=32)]
    asserted: list[Condition] = []
    known: list[Condition] = []
    identity: int | None = None


class _KeptBus(Struct, frozen=True):
    bus: Annotated[str, Meta(min_length=1, max_length=32)]
    down: bool


_detectors = msgspec.json.Decoder(_KeptDetector)
_buses = msgspec.json.Decoder(_KeptBus)


def encode_state(state: DetectorState | BusState) -> bytes:
    """The part worth keeping over a restart."""
    if isinstance(state, BusState):
        return msgspec.json.encode(_KeptBus(state.bus, state.down))
    return msgspec.json.encode(
        _KeptDetector(state.detector, sorted(state.asserted), sorted(state.known), state.identity)
    )


def decode_state(kept: bytes) -> DetectorState | None:
    """A detector's state after a restart; None when the bytes are not one (then it starts afresh)."""
    try:
        found = _detectors.decode(kept)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    lost = Condition.NO_RESPONSE in found.asserted
    return DetectorState(
        found.detector,
        asserted=frozenset(found.asserted),
        known=frozenset(found.known),
        identity=found.identity,
        doubted=found.identity is not None,
        lost=lost,
    )


def decode_bus(kept: bytes) -> BusState | None:
    """A bus's state after a restart; None when the bytes are not one."""
    try:
        found = _buses.decode(kept)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return BusState(found.bus, found.down)
