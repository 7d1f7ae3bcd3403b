"""What edge and centre say to each other, version 1.

Law of this file: data only. Every struct is frozen; a newer peer may add fields (unknown fields are
ignored); a field's meaning never changes within a version. Times on the wire are integers: `*_ms` is
milliseconds, wall times are milliseconds since 1970-01-01T00:00:00Z, `mono_ms` counts from the boot named
by `boot`. Sizes are bounded by `codec`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

VERSION = 1

Id = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$")]
"""Area, gateway, bus or detector; also a topic level."""

ReadingId = Annotated[str, Meta(min_length=1, max_length=32)]
"""An `Id`; the codec looks at a whole column at once, which costs a tenth of one look for each row."""

Stream = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
"""A UUID as 32 lower-case hex digits: a stream, an epoch or a boot."""

Seq = Annotated[int, Meta(ge=1, le=2**53)]
Cursor = Annotated[int, Meta(ge=0, le=2**53)]
Millis = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Word = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Text = Annotated[str, Meta(max_length=500)]
Name = Annotated[str, Meta(max_length=64)]


class Lane(StrEnum):
    """A counter of its own, a window of its own."""

    EVENTS = "events"
    READINGS = "readings"


class Condition(StrEnum):
    """What may be wrong with a home, a part of the line, or us."""

    SMOKE = "smoke"
    HEAT = "heat"
    PRE_ALARM = "pre_alarm"
    TEST = "test"
    FAULT = "fault"
    CONTAMINATED = "contaminated"
    LOW_BATTERY = "low_battery"
    MAINS_LOST = "mains_lost"
    REMOVED = "removed"
    MUTED = "muted"
    ISOLATED = "isolated"
    NO_RESPONSE = "no_response"
    BUS_DOWN = "bus_down"
    BUS_STUCK = "bus_stuck"
    GATEWAY_SILENT = "gateway_silent"
    EVENTS_STUCK = "events_stuck"
    UNSTABLE = "unstable"
    DATA_GAP = "data_gap"
    STORAGE = "storage"
    CLOCK_WRONG = "clock_wrong"
    CLONE_SUSPECTED = "clone_suspected"
    TREND = "trend"
    SYSTEM = "system"


URGENT = frozenset({Condition.SMOKE, Condition.HEAT, Condition.TEST})
"""Conditions whose assert is sent before any backlog and is never debounced."""


class EventKind(StrEnum):
    """What an event says about its condition."""

    ASSERT = "assert"
    CLEAR = "clear"
    UNKNOWN = "unknown"
    """The source cannot say any more (removed from the configuration, silent); never a clear."""
    SNAPSHOT = "snapshot"
    """Every configured detector with its conditions, or null where they are unknown."""
    CANARY = "canary"
    """Proof that the lane works to its end; nothing happened."""
    FALLBACK = "fallback"
    """The centre did not answer in time: the agent sounded or called by itself. Names what burns."""
    NOTE = "note"
    """Something the record should hold: a command's result, readings evicted, configuration refused."""


class Event(Struct, frozen=True, omit_defaults=True):
    """One observation on record at the edge."""

    seq: Seq
    kind: EventKind
    at_ms: Millis
    """The agent's wall clock when it saw it (raw; the centre corrects it)."""
    mono_ms: Millis
    """The agent's monotonic clock at the same moment, within the batch's `boot`."""
    synchronised: bool = False
    """Whether the agent's wall clock was known to be right."""
    condition: Condition | None = None
    detector: Id | None = None
    bus: Id | None = None
    config_version: Cursor = 0
    """The configuration under which it was recorded; 0 before the first."""
    value: float | None = None
    """The reading that tripped it, in the profile's unit, where there is one."""
    states: dict[Id, list[Condition] | None] | None = None
    """SNAPSHOT only: detector -> conditions present by a good read; null is unknown."""
    text: Text | None = None
    """Plain words for a person; never parsed."""
    window: Id | None = None
    """ASSERT only: the walk test (`Command.window`) within which it was seen. Smoke is smoke in it too."""


class Clock(Struct, frozen=True, omit_defaults=True):
    """The sender's clocks at the moment of sending, so that the centre can date what it gets."""

    mono_ms: Millis
    wall_ms: Millis
    offset_ms: Millis | None = None
    """Server wall clock minus agent wall clock, from the last echo with a round trip < 5 s; null if none."""
    synchronised: bool = False


class EventBatch(Struct, frozen=True):
    """Consecutive events of one stream, all recorded in one boot. Topic `up/events`, QoS 1, <= 64 kB."""

    stream: Stream
    first_seq: Seq
    oldest_seq: Seq
    """The lowest event the edge still holds: what lies below it and was never stored can never come."""
    boot: Stream
    """The boot in which these events were recorded."""
    sent_boot: Stream
    """The boot to which `clock` belongs."""
    clock: Clock
    events: Annotated[list[Event], Meta(min_length=1, max_length=1000)]


class ReadingBatch(Struct, frozen=True, omit_defaults=True):
    """Readings as columns of equal length; row i has seq `first_seq + i`. Topic `up/readings`, <= 256 kB."""

    stream: Stream
    first_seq: Seq
    oldest_seq: Seq
    boot: Stream
    clock: Clock
    t: Annotated[list[Millis], Meta(min_length=1, max_length=5000)]
    """Agent's wall clock."""
    detector: list[ReadingId]
    smoke: list[float | None] = []
    """%/m obscuration, or ppm where the profile has no obscuration. An empty column is all null."""
    temperature: list[float | None] = []
    """Degrees Celsius."""
    battery: list[float | None] = []
    """Volts."""
    contamination: list[float | None] = []
    """Per cent of the compensation range used."""
    status: list[Word | None] = []
    """The profile's raw status word."""


class BusStatus(Struct, frozen=True, omit_defaults=True):
    """One line as the agent sees it."""

    bus: Id
    up: bool
    lap_age_s: float | None = None
    """Seconds since a lap was finished; null when none ever was."""
    last_lap_s: float | None = None
    answering: int = 0
    silent: int = 0
    errors: int = 0
    """Failed reads since the start."""
    hint: Text | None = None
    """What may be wrong with the line, from how its answers are spoilt; null when nothing looks wrong."""


class Status(Struct, frozen=True, omit_defaults=True):
    """Heartbeat every 30 s, and (with `online` false) the last will. Topic `up/status`, QoS 1.

    Retained, but for a brief one: the broker keeps the last whole heartbeat or the will.
    """

    online: bool
    boot: Stream
    version: Name = ""
    uptime_s: float = 0.0
    clock: Clock | None = None
    stream: Stream | None = None
    outbox_depth: int = 0
    """Events recorded and not yet acknowledged."""
    oldest_unacked_event_s: float | None = None
    readings_dropped: int = 0
    buses: list[BusStatus] = []
    config_epoch: Stream | None = None
    config_version: Cursor = 0
    config_hash: Annotated[str, Meta(max_length=64)] | None = None
    config_error: Text | None = None
    """Why the last pushed configuration was refused; null when it was applied."""
    storage_error: Text | None = None
    brief: bool = False
    """Only `outbox_depth` and `oldest_unacked_event_s` are said; all else is as in the last whole one."""


class Ask(StrEnum):
    """What the centre wants of the gateway, sent with an acknowledgement."""

    SNAPSHOT = "snapshot"
    NEW_STREAM = "new_stream"
    """What you call this stream differs from what is stored: start another and send all you hold again."""
    ONE_BY_ONE = "one_by_one"
    """The last envelope could not be read: send one event a message until the bad one is isolated."""


class Ack(Struct, frozen=True, omit_defaults=True):
    """Everything of the lane up to `through_seq` is committed at the centre. Topic `down/ack`, QoS 1."""

    stream: Stream
    lane: Lane
    through_seq: Cursor
    epoch: Stream
    """The centre's database; another value than before means it was restored or replaced."""
    server_ms: Millis
    echo_ms: Millis | None = None
    """`clock.mono_ms` of the batch this answers."""
    ask: list[Ask] = []
    unknown: Annotated[list[ReadingId], Meta(max_length=16)] = []
    """Detectors of this batch of readings that the centre's registry does not know (the first of them): their
    readings are not kept."""


class Alive(Struct, frozen=True):
    """The centre works from end to end. Topic `central/alive`, QoS 1, every 10 s."""

    epoch: Stream
    server_ms: Millis


class Transport(StrEnum):
    """How the agent reaches a bus."""

    SERIAL = "serial"
    TCP = "tcp"
    """Modbus TCP."""
    RTU_TCP = "rtu_tcp"
    """RTU frames through a serial server."""


class Parity(StrEnum):
    """Serial parity."""

    NONE = "N"
    EVEN = "E"
    ODD = "O"


class DetectorConfig(Struct, frozen=True, omit_defaults=True):
    """One detector on a bus."""

    detector: Id
    unit: Annotated[int, Meta(ge=1, le=247)]
    """Modbus unit id."""
    profile: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")]
    point: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """Which of a panel's points; null for a device that is one detector."""
    allow_writes: bool = False
    """Whether reset, mute and test may be written to it."""
    place: Annotated[str, Meta(max_length=80)] = ""
    """Where it hangs, in words for whoever the agent calls by itself: building, unit, door, room. No name."""


class BusConfig(Struct, frozen=True, omit_defaults=True):
    """One line and what hangs on it."""

    bus: Id
    transport: Transport
    address: Annotated[str, Meta(min_length=1, max_length=200)]
    """Device path (prefer `/dev/serial/by-id/...`) or host:port."""
    baud: Annotated[int, Meta(ge=300, le=921600)] = 9600
    parity: Parity = Parity.NONE
    stop_bits: Annotated[int, Meta(ge=1, le=2)] = 1
    gap_ms: Annotated[float, Meta(ge=0, le=1000)] | None = None
    """Silence before each request; null takes the larger of 3.5 characters and the profiles' wish."""
    detectors: Annotated[list[DetectorConfig], Meta(max_length=247)] = []


class Contact(Struct, frozen=True, omit_defaults=True):
    """Whom the agent calls by itself while the centre is silent."""

    phone: Annotated[str, Meta(pattern=r"^\+?[0-9]{3,20}$")]
    detectors: Annotated[list[Id], Meta(max_length=4000)] = []
    """For these only; empty: for every detector of the gateway."""


class GatewayConfig(Struct, frozen=True, omit_defaults=True):
    """All a gateway has to watch. Topic `down/config`, QoS 1, retained.

    `hash` is `codec.config_hash` of the rest; versions grow within an epoch.
    """

    epoch: Stream
    version: Seq
    hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    buses: Annotated[list[BusConfig], Meta(max_length=16)] = []
    report_s: Annotated[float, Meta(ge=1, le=3600)] = 300.0
    """A reading that does not change is reported at least this often."""
    contacts: Annotated[list[Contact], Meta(max_length=100)] = []
    """In the order in which they are called."""
    may_watch_nothing: bool = False
    """Without it a configuration that would take every detector from the watch is refused."""


class Action(StrEnum):
    """What a command asks for."""

    IDENTIFY = "identify"
    POLL_NOW = "poll_now"
    MUTE = "mute"
    RESET = "reset"
    TEST = "test"
    WALK_TEST = "walk_test"
    SCAN = "scan"


class Command(Struct, frozen=True, omit_defaults=True):
    """One order to one gateway. Topic `down/command`, QoS 1. Done at most once, never after `expires_ms`."""

    id: Stream
    action: Action
    expires_ms: Millis
    detector: Id | None = None
    bus: Id | None = None
    window: Id | None = None
    """WALK_TEST: its number, which what these detectors say bears from now on."""
    detectors: Annotated[list[Id], Meta(max_length=64)] = []
    """WALK_TEST: which are tried out, by name; a whole bus cannot be."""
    lasts_s: Annotated[float, Meta(gt=0, le=1800)] | None = None
    """WALK_TEST: so long, by the agent's steady clock."""


Up = EventBatch | ReadingBatch | Status
Down = Ack | GatewayConfig | Command | Alive
