"""What a detector model is: registers, what their values mean, how to ask politely, what may be written.

Law of this file: data and the meaning of each field, no file access. `load.py` reads the files; `rules.check`
says everything that is wrong with a profile, each with its key and the mend.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from device_profiles.conditions import Condition


class Protocol(StrEnum):
    """What a device speaks."""

    MODBUS = "modbus"
    GIRA = "gira-dual-vds"
    JBF = "jbf-193k"


class Type(StrEnum):
    """How a register's value is stored."""

    BIT = "bit"
    """FC 01 and 02."""
    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    F32 = "f32"

    @property
    def words(self) -> int:
        """How many addresses the value takes."""
        return 2 if self in (Type.U32, Type.I32, Type.F32) else 1


class Order(StrEnum):
    """Order of the bytes on the wire, A the most significant of 32 bits; 16 bits: ABCD = AB, BADC = BA."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"

    @property
    def swaps_words(self) -> bool:
        """Whether the less significant 16 bits come first."""
        return self in (Order.CDAB, Order.DCBA)

    @property
    def swaps_bytes(self) -> bool:
        """Whether the two bytes of each register are exchanged."""
        return self in (Order.BADC, Order.DCBA)


class Group(StrEnum):
    """How often a register is read."""

    FAST = "fast"
    """Every lap: all that an alarm depends on."""
    SLOW = "slow"
    """Every `poll.slow_every`-th lap, a part of it each lap."""


class Role(StrEnum):
    """The column of the readings a register fills."""

    SMOKE = "smoke"
    TEMPERATURE = "temperature"
    BATTERY = "battery"
    CONTAMINATION = "contamination"
    STATUS = "status"
    IDENTITY = "identity"
    """Says which device this is; compared, never stored as a reading."""


class Register(Struct, frozen=True, forbid_unknown_fields=True):
    """One value in the device."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    function: Annotated[int, Meta(ge=1, le=255)]
    """Modbus function code that reads it; for another protocol its query (`protocols.FORMS`)."""
    address: Annotated[int, Meta(ge=0, le=65536)]
    """Counted from the profile's `address_base`."""
    type: Type = Type.U16
    order: Order = Order.ABCD
    group: Group = Group.FAST
    role: Role | None = None
    scale: float = 1.0
    """Engineering value = raw * scale + offset."""
    offset: float = 0.0
    unit: str = ""
    absent: tuple[int, ...] = ()
    """Raw values that mean "no value"."""
    minimum: float | None = None
    """Engineering values outside are not believed: the value is unknown."""
    maximum: float | None = None


class Meaning(Struct, frozen=True, forbid_unknown_fields=True):
    """When a register's raw value means a condition. Exactly one test is given.

    Raw means before scale and offset, after byte order; of several meanings of one condition any suffices.
    """

    condition: Condition
    register: str
    bit: Annotated[int, Meta(ge=0, le=31)] | None = None
    """This bit is 1 (for type `bit`: 0)."""
    bit_clear: Annotated[int, Meta(ge=0, le=31)] | None = None
    """This bit is 0."""
    values: tuple[int, ...] = ()
    """The value (under `mask`) is one of these."""
    clear_values: tuple[int, ...] = ()
    """With `values`: only these say that it is absent, any other leaves it unknown; empty: every other does.

    For registers that show one state at a time, where a fault or an isolation hides a fire.
    """
    mask: Annotated[int, Meta(ge=1, le=0xFFFFFFFF)] | None = None
    at_least: float | None = None
    """The engineering value is at least this."""
    at_most: float | None = None


class Action(StrEnum):
    """What may be written."""

    RESET = "reset"
    MUTE = "mute"
    TEST = "test"
    IDENTIFY = "identify"
    """Blink or beep, so that a person finds it; it changes nothing that is watched."""
    SOUND = "sound"
    """Sound until muted or reset: a siren, or a relay that drives one."""


class Write(Struct, frozen=True, forbid_unknown_fields=True):
    """One write action; used only where the installation allows writes."""

    action: Action
    function: Annotated[int, Meta(ge=1, le=255)]
    address: Annotated[int, Meta(ge=0, le=65536)]
    value: Annotated[int, Meta(ge=0, le=65535)]


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the facts of this profile come from."""

    title: str
    source: str
    verified: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    """What the document does not say or nobody has seen on a device."""


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """The device's line as delivered; the bus's own settings win."""

    baud: int = 9600
    parity: Annotated[str, Meta(pattern="^[NEO]$")] = "N"
    stop_bits: Annotated[int, Meta(ge=1, le=2)] = 1


class Poll(Struct, frozen=True, forbid_unknown_fields=True):
    """How to ask."""

    response_timeout_ms: Annotated[int, Meta(ge=20, le=5000)] = 300
    gap_ms: Annotated[float, Meta(ge=0, le=60_000)] = 0.0
    """Silence the device wants before a request, beyond 3.5 characters; at most 1000 for
    Modbus. For plain serial protocols the time after which the same is asked again, while the device itself
    may speak at any time."""
    max_registers: Annotated[int, Meta(ge=1, le=125)] = 16
    max_bits: Annotated[int, Meta(ge=1, le=2000)] = 64
    max_hole: Annotated[int, Meta(ge=0, le=124)] = 0
    """Unused addresses one read may bridge; 0 where unused addresses may answer with an exception."""
    slow_every: Annotated[int, Meta(ge=1, le=1000)] = 10


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """At which values a model itself calls for help; None where its document does not say."""

    smoke_alarm: float | None = None
    contaminated: float | None = None
    low_battery: float | None = None


class Points(Struct, frozen=True, forbid_unknown_fields=True):
    """A panel: one unit id, many detectors; point n's registers lie (n - first) * stride further on."""

    first: Annotated[int, Meta(ge=0, le=65535)]
    last: Annotated[int, Meta(ge=0, le=65535)]
    stride: Annotated[int, Meta(ge=1, le=1000)] = 1


class Profile(Struct, frozen=True, forbid_unknown_fields=True):
    """One detector model."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")]
    name: str
    document: Document
    address_base: Annotated[int, Meta(ge=0, le=1)]
    """1 where the document counts registers from 1, 0 where it gives wire addresses."""
    registers: Annotated[tuple[Register, ...], Meta(min_length=1)]
    conditions: Annotated[tuple[Meaning, ...], Meta(min_length=1)]
    protocol: Protocol = Protocol.MODBUS
    line: Line | None = None
    """None for devices without a serial line."""
    poll: Poll = Poll()
    writes: tuple[Write, ...] = ()
    points: Points | None = None
    limits: Limits = Limits()
    unit_register: Annotated[int, Meta(ge=0, le=65536)] | None = None
    """Holding register that keeps the device's own unit, written by function 06; None: set on the device."""
    unit_min: Annotated[int, Meta(ge=1, le=247)] = 1
    unit_max: Annotated[int, Meta(ge=1, le=247)] = 247
    fire: bool = True
    """False for equipment that only reports its own health (a panel's power supply), never a home's smoke."""
