"""Application data of GB/T 26875.3-2011, clause 8: a type flag, a count, and so many objects of one layout.

Law of this file: fields are what stands in the bytes; what comes is read whatever it says, or refused with
DataError. Fire is bit 1 whatever bit 0 says: makers send a burning detector as 0x0002 as well as 0x0003.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple

from gb26875.frame import TimeTag

TEXT_BYTES = 31
GENERIC, FIRE_ALARM_SYSTEM = 0, 1
"""System types (table 4)."""
SMOKE_DETECTOR, PHOTOELECTRIC_SMOKE_DETECTOR = 40, 42
"""Component types (table 5)."""
TEMPERATURE = 3
"""A quantity (table 6), in units of 0.1 °C. Smoke has none; 128-255 are the users' own."""


class Kind(IntEnum):
    """The type flag (table 3)."""

    SYSTEM_STATE = 1
    COMPONENT_STATE = 2
    ANALOGUE = 3
    OPERATION = 4
    SYSTEM_VERSION = 5
    SYSTEM_TIME = 8
    TRANSMITTER_STATE = 21
    TRANSMITTER_OPERATION = 24
    TRANSMITTER_VERSION = 25
    TRANSMITTER_TIME = 28
    READ_SYSTEM_STATE = 61
    READ_COMPONENT_STATE = 62
    READ_ANALOGUE = 63
    READ_SYSTEM_VERSION = 65
    READ_SYSTEM_TIME = 68
    READ_TRANSMITTER_STATE = 81
    READ_TRANSMITTER_VERSION = 85
    READ_TRANSMITTER_TIME = 88
    INITIALISE = 89
    SYNCHRONISE_CLOCK = 90
    ROLL_CALL = 91


class State(IntFlag):
    """Of a component (8.2.1.2)."""

    NORMAL = 1 << 0
    """Runs normally; without it, test. Many send it as 0 with a fire: see the law."""
    FIRE = 1 << 1
    FAULT = 1 << 2
    SHIELDED = 1 << 3
    SUPERVISED = 1 << 4
    STARTED = 1 << 5
    FEEDBACK = 1 << 6
    DELAYED = 1 << 7
    POWER_FAULT = 1 << 8


class Transmitter(IntFlag):
    """State of the transmitter (8.2.1.8)."""

    NORMAL = 1 << 0
    FIRE = 1 << 1
    FAULT = 1 << 2
    MAINS_FAULT = 1 << 3
    BATTERY_FAULT = 1 << 4
    CENTRE_LINK_FAULT = 1 << 5
    MONITORED_LINE_FAULT = 1 << 6


class Done(IntFlag):
    """What somebody did (8.2.1.4; bit 5 of a transmitter's operation, 8.2.1.9, answers a roll call)."""

    RESET = 1 << 0
    SILENCE = 1 << 1
    MANUAL_ALARM = 1 << 2
    ALARM_CLEARED = 1 << 3
    SELF_TEST = 1 << 4
    CONFIRM = 1 << 5
    ROLL_CALL_ANSWER = 1 << 5
    TEST = 1 << 6


class SystemState(NamedTuple):
    """State of a whole installation (8.2.1.1)."""

    system_type: int
    system: int
    state: int
    at: TimeTag


class ComponentState(NamedTuple):
    """State of one detector (8.2.1.2): `zone` and `point` are its address."""

    system_type: int
    system: int
    component_type: int
    zone: int
    point: int
    state: int
    text: bytes
    """31 bytes; see `text_bytes` and `read_text`."""
    at: TimeTag

    @property
    def fire(self) -> bool:
        """Whether it burns, whatever bit 0 says."""
        return bool(self.state & State.FIRE)


class Analogue(NamedTuple):
    """A measured value of one detector (8.2.1.3)."""

    system_type: int
    system: int
    component_type: int
    zone: int
    point: int
    quantity: int
    value: int
    """Signed, in the quantity's smallest unit."""
    at: TimeTag


class Operation(NamedTuple):
    """What somebody did at an installation (8.2.1.4); see `Done`."""

    system_type: int
    system: int
    done: int
    operator: int
    at: TimeTag


class SystemVersion(NamedTuple):
    """Version of an installation (8.2.1.5)."""

    system_type: int
    system: int
    main: int
    minor: int


class SystemTime(NamedTuple):
    """An installation's clock (8.3.1.8)."""

    system_type: int
    system: int
    at: TimeTag


class TransmitterState(NamedTuple):
    """State of the transmitter (8.2.1.8)."""

    state: int
    at: TimeTag


class TransmitterOperation(NamedTuple):
    """What somebody did at the transmitter (8.2.1.9)."""

    done: int
    operator: int
    at: TimeTag


class TransmitterVersion(NamedTuple):
    """Version of the transmitter (8.2.1.10)."""

    main: int
    minor: int


class Moment(NamedTuple):
    """The transmitter's time, or the one it is to take."""

    at: TimeTag


class ReadSystem(NamedTuple):
    """Asks for something of an installation (8.3.2.1)."""

    system_type: int
    system: int


class ReadComponent(NamedTuple):
    """Asks for something of one detector (8.3.2.2)."""

    system_type: int
    system: int
    zone: int
    point: int


class Bare(NamedTuple):
    """An order without anything to say."""

    reserved: int = 0
    """0; some centres write the minutes in which a roll call is to be answered."""


Thing = (
    SystemState
    | ComponentState
    | Analogue
    | Operation
    | SystemVersion
    | SystemTime
    | TransmitterState
    | TransmitterOperation
    | TransmitterVersion
    | Moment
    | ReadSystem
    | ReadComponent
    | Bare
)


class DataError(ValueError):
    """Application data that cannot be read; says why."""


class Unit(NamedTuple):
    """What a packet carries."""

    kind: Kind
    things: tuple[Thing, ...]


class _Layout(NamedTuple):
    thing: type[Any]
    body: struct.Struct
    most: int
    timed: bool


def _layout(thing: type[Any], fields: str, most: int = 1) -> _Layout:
    timed = "at" in thing._fields
    return _Layout(thing, struct.Struct(f"<{fields}{'6s' if timed else ''}"), most, timed)


_K = Kind
_LAYOUTS = {
    _K.SYSTEM_STATE: _layout(SystemState, "BBH", 102),
    _K.COMPONENT_STATE: _layout(ComponentState, "BBBHHH31s", 22),
    _K.ANALOGUE: _layout(Analogue, "BBBHHBh", 63),
    _K.OPERATION: _layout(Operation, "BBBB", 102),
    _K.SYSTEM_VERSION: _layout(SystemVersion, "BBBB"),
    _K.SYSTEM_TIME: _layout(SystemTime, "BB"),
    _K.TRANSMITTER_STATE: _layout(TransmitterState, "B"),
    _K.TRANSMITTER_OPERATION: _layout(TransmitterOperation, "BB", 127),
    _K.TRANSMITTER_VERSION: _layout(TransmitterVersion, "BB"),
    _K.TRANSMITTER_TIME: _layout(Moment, ""),
    _K.SYNCHRONISE_CLOCK: _layout(Moment, ""),
    _K.READ_SYSTEM_STATE: _layout(ReadSystem, "BB", 102),
    _K.READ_COMPONENT_STATE: _layout(ReadComponent, "BBHH", 22),
    _K.READ_ANALOGUE: _layout(ReadComponent, "BBHH", 63),
    _K.READ_SYSTEM_VERSION: _layout(ReadSystem, "BB"),
    _K.READ_SYSTEM_TIME: _layout(ReadSystem, "BB"),
    **dict.fromkeys(
        (
            _K.READ_TRANSMITTER_STATE,
            _K.READ_TRANSMITTER_VERSION,
            _K.READ_TRANSMITTER_TIME,
            _K.INITIALISE,
            _K.ROLL_CALL,
        ),
        _layout(Bare, "B"),
    ),
}


def encode_data(kind: Kind, things: Sequence[Thing]) -> bytes:
    """The application data. Raises ValueError when there are too many, none, or a field does not fit."""
    layout = _LAYOUTS[kind]
    if not 1 <= len(things) <= layout.most:
        raise ValueError(f"{len(things)} objects of type {kind.value}: 1 to {layout.most} fit")
    parts = [bytes([kind, len(things)])]
    for thing in things:
        if not isinstance(thing, layout.thing):
            raise ValueError(f"{type(thing).__name__} is no object of type {kind.value}")  # noqa: TRY004
        fields = [bytes(field) if isinstance(field, TimeTag) else field for field in thing]
        try:
            parts.append(layout.body.pack(*fields))
        except struct.error as error:
            raise ValueError(f"{thing}: {error}") from None
    return b"".join(parts)


def decode_data(data: bytes) -> Unit:
    """What the application data say. Raises DataError."""
    if len(data) < 2:
        raise DataError(f"{len(data)} bytes of application data: a type flag and a count are missing")
    try:
        kind = Kind(data[0])
        layout = _LAYOUTS[kind]
    except (ValueError, KeyError):
        raise DataError(f"type flag {data[0]} is not known") from None
    count = data[1]
    if not 1 <= count <= layout.most:
        raise DataError(f"{count} objects of type {kind.value}: there may be 1 to {layout.most}")
    if len(data) != 2 + count * layout.body.size:
        raise DataError(
            f"{len(data)} bytes for {count} objects of type {kind.value}:"
            f" {2 + count * layout.body.size} are right"
        )
    things = []
    for fields in layout.body.iter_unpack(data[2:]):
        if layout.timed:
            fields = (*fields[:-1], TimeTag(*fields[-1]))
        things.append(layout.thing(*fields))
    return Unit(kind, tuple(things))


def text_bytes(text: str) -> bytes:
    """A description in 31 bytes of GB 18030, filled up with zeros, never cut within a character."""
    coded = b""
    for character in text.replace("\0", " "):
        more = character.encode("gb18030", "replace")
        if len(coded) + len(more) > TEXT_BYTES:
            break
        coded += more
    return coded.ljust(TEXT_BYTES, b"\0")


def read_text(field: bytes) -> str:
    """The words in a description; what is no GB 18030 shows as U+FFFD."""
    return field.split(b"\0", 1)[0].decode("gb18030", "replace").strip()
