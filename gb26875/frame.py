"""Packets of GB/T 26875.3-2011, clause 6: `@@`, control unit, application data, checksum, `##`.

Law of this file: the length field says where a packet ends; `##` is only looked at there, as both marks may
stand in the data. After what is broken one byte is passed over, not a packet: nothing good is thrown away.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from struct import Struct
from typing import NamedTuple

START, END = b"@@", b"##"
MOST_DATA = 1024
"""Bytes of application data in one packet (6.6)."""
FRAME_BYTES = 30
"""Of a packet without data."""
ADDRESSES = 1 << 48
"""An address is a number below this."""
SHANGHAI = timezone(timedelta(hours=8), "Asia/Shanghai")
"""Time tags are the clock on the wall there; it has no summer time."""
_HEAD = Struct("<2sHBB6s6s6sHB")
_VERSION = (1, 1)


class Command(IntEnum):
    """The command byte (table 2). 0 and 7-127 are reserved; 128-255 are the users' own."""

    CONTROL = 1
    SEND = 2
    CONFIRM = 3
    REQUEST = 4
    ANSWER = 5
    DENY = 6


FIRST_OWN_COMMAND = 128
_KNOWN = frozenset((*Command, *range(FIRST_OWN_COMMAND, 256)))


class Fault(StrEnum):
    """What is wrong with bytes that came (6.5.6)."""

    START = "start"
    """Bytes between packets."""
    TOO_LONG = "too_long"
    END = "end"
    """No `##` where the length field says that the packet ends."""
    CHECKSUM = "checksum"
    COMMAND = "command"
    """A reserved command; the packet itself is whole."""
    CUT_OFF = "cut_off"
    """The beginning of a packet, and nothing more comes."""


class TimeTag(NamedTuple):
    """Six bytes as they stand in a packet (8.2.2): binary, not BCD. What came may be no moment at all."""

    second: int
    minute: int
    hour: int
    day: int
    month: int
    year: int
    """Less 2000."""

    @classmethod
    def of(cls, moment: datetime) -> TimeTag:
        """The tag of an aware moment. Raises ValueError outside of 2000-2099 in Shanghai."""
        at = moment.astimezone(SHANGHAI)
        if not 2000 <= at.year <= 2099:
            raise ValueError(f"no time tag for {at.isoformat()}: the year must be 2000-2099")
        return cls(at.second, at.minute, at.hour, at.day, at.month, at.year - 2000)

    def moment(self) -> datetime | None:
        """The moment that is meant; None when there is none, as with BCD's 31st of the 8th hour 0x25."""
        if self.year > 99:
            return None
        try:
            return datetime(
                2000 + self.year, self.month, self.day, self.hour, self.minute, self.second, tzinfo=SHANGHAI
            )
        except ValueError:
            return None


class Frame(NamedTuple):
    """One packet; addresses are numbers below `ADDRESSES`."""

    serial: int
    """0-65535: +1 for each new packet of who begins, echoed in what answers it."""
    time: TimeTag
    source: int
    destination: int
    command: int
    data: bytes = b""
    version: tuple[int, int] = _VERSION
    """1, and the users' own."""

    def reply(self, command: Command, now: datetime, data: bytes = b"") -> Frame:
        """What answers this packet: its serial, the addresses the other way round."""
        return Frame(self.serial, TimeTag.of(now), self.destination, self.source, command, data, self.version)


class Broken(NamedTuple):
    """Bytes that are no packet, and as much of the packet as could be read."""

    fault: Fault
    frame: Frame | None = None
    """To be denied: its head as it came. Its data only with fault `checksum` or `command`."""


def encode(frame: Frame) -> bytes:
    """The packet's bytes. Raises ValueError when a field does not fit."""
    if len(frame.data) > MOST_DATA:
        raise ValueError(f"{len(frame.data)} bytes of application data: a packet holds {MOST_DATA}")
    if not (0 <= frame.serial <= 0xFFFF and 0 <= frame.command <= 0xFF):
        raise ValueError(f"serial {frame.serial} or command {frame.command} does not fit")
    if not (0 <= frame.source < ADDRESSES and 0 <= frame.destination < ADDRESSES):
        raise ValueError(f"address {frame.source} or {frame.destination} does not fit into 6 bytes")
    head = _HEAD.pack(
        START,
        frame.serial,
        *frame.version,
        bytes(frame.time),
        frame.source.to_bytes(6, "little"),
        frame.destination.to_bytes(6, "little"),
        len(frame.data),
        frame.command,
    )
    return b"".join((head, frame.data, bytes([checksum(head[2:], frame.data)]), END))


def checksum(control: bytes | bytearray, data: bytes) -> int:
    """The sum of the control unit (bytes 3-27) and the data, low 8 bits (6.6)."""
    return (sum(control) + sum(data)) & 0xFF


class Decoder:
    """Bytes as they come, in pieces of any size, to packets. Holds less than one packet."""

    __slots__ = ("_held", "_lost")

    def __init__(self) -> None:
        self._held = bytearray()
        self._lost = False

    @property
    def waiting(self) -> bool:
        """Whether the beginning of a packet is held."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[Frame | Broken]:
        """Every packet that is whole now, and what is broken, in order."""
        found: list[Frame | Broken] = []
        for at in range(0, len(data), MOST_DATA):  # whoever sends much must not make us hold much
            self._held += data[at : at + MOST_DATA]
            self._take(found)
        return found

    def end(self) -> list[Frame | Broken]:
        """Nothing more comes (the end of a datagram, or long silence): what is held is broken.

        A packet that stands inside of it is found nevertheless.
        """
        found: list[Frame | Broken] = []
        while self._held:
            if self._held.startswith(START):
                self._break(found, Fault.CUT_OFF)
            else:
                self._held.clear()
                self._garbage(found)
            self._take(found)
        return found

    def _take(self, found: list[Frame | Broken]) -> None:
        held = self._held
        while True:
            start = held.find(START)
            if start:
                gone = start if start > 0 else len(held) - held.endswith(START[:1])
                del held[:gone]
                if gone:
                    self._garbage(found)
                if start < 0:
                    return
            if len(held) < _HEAD.size:
                return
            length = int.from_bytes(held[24:26], "little")
            if length > MOST_DATA:
                self._break(found, Fault.TOO_LONG)
                continue
            size = FRAME_BYTES + length
            if len(held) < size:
                return
            if held[size - 2 : size] != END:
                self._break(found, Fault.END)
                continue
            data = bytes(held[_HEAD.size : size - 3])
            if checksum(held[2 : _HEAD.size], data) != held[size - 3]:
                self._break(found, Fault.CHECKSUM, data)
                continue
            frame = self._frame(data)
            del held[:size]
            self._lost = False
            found.append(frame if frame.command in _KNOWN else Broken(Fault.COMMAND, frame))

    def _frame(self, data: bytes) -> Frame:
        _, serial, main, own, time, source, destination, _, command = _HEAD.unpack_from(self._held)
        return Frame(
            serial,
            TimeTag(*time),
            int.from_bytes(source, "little"),
            int.from_bytes(destination, "little"),
            command,
            data,
            (main, own),
        )

    def _break(self, found: list[Frame | Broken], fault: Fault, data: bytes = b"") -> None:
        """What lies behind a broken beginning is not told of once more, unless it has a packet's shape."""
        if not self._lost or fault is Fault.CHECKSUM:
            found.append(Broken(fault, self._frame(data) if len(self._held) >= _HEAD.size else None))
        self._lost = True
        del self._held[:1]

    def _garbage(self, found: list[Frame | Broken]) -> None:
        if not self._lost:
            found.append(Broken(Fault.START))
        self._lost = True
