"""Modbus as a slave hears and says it: checksum, RTU and MBAP framing, requests and answers.

Law of this file: pure, and written for the simulator alone. The agent has a codec of another origin, so a
mistake in one cannot hide in the other. Sources: Modbus Application Protocol V1.1b3 (sections 6 and 7),
Modbus over Serial Line V1.02 (2.5.1, and appendix B for the checksum), Modbus Messaging on TCP/IP V1.0b
(3.1.3).
"""

from __future__ import annotations

from dataclasses import dataclass

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
DEVICE_FAILURE = 4
NO_ANSWER_BEHIND_GATEWAY = 11

_LONGEST = 256
"""Bytes of the longest RTU frame."""
_FIXED = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 8: 8, 11: 4, 12: 4, 17: 4, 22: 10}
"""Whole RTU request length by function."""
_COUNTED = {15: 6, 16: 6, 23: 10}
"""Where the byte count of the request stands; two bytes of checksum follow the counted ones."""


def _table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC_TABLE = _table()


def crc(data: bytes) -> bytes:
    """The two checksum bytes as they go over the line, low byte first."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return bytes((value & 0xFF, value >> 8))


@dataclass(frozen=True, slots=True)
class Request:
    """One request as framed: who is asked, and function code with data."""

    unit: int
    pdu: bytes
    transaction: int | None = None
    """The MBAP transaction id; None on RTU."""


class RtuParser:
    """Finds requests in a stream of bytes from a master, however they are cut.

    Bytes that begin no right request are skipped one at a time. What a pause of `idle_s` leaves unfinished is
    forgotten, as a slave does.
    """

    def __init__(self, idle_s: float = 0.1) -> None:
        self._idle_s = idle_s
        self._buffer = bytearray()
        self._last = float("-inf")

    def feed(self, data: bytes, now: float) -> list[Request]:
        """Take bytes that came at `now` (seconds of any clock); the requests that are whole by them."""
        if now - self._last > self._idle_s:
            self._buffer.clear()
        self._last = now
        self._buffer += data
        found: list[Request] = []
        while len(self._buffer) >= 4:
            size = self._size()
            if size is None:
                break
            if size and _right(self._buffer[:size]):
                frame = bytes(self._buffer[:size])
                found.append(Request(frame[0], frame[1:-2]))
                del self._buffer[:size]
            else:
                del self._buffer[0]
        return found

    def _size(self) -> int | None:
        """Length of the frame that would begin here: 0 = none can, None = not known or not whole yet."""
        function = self._buffer[1]
        size = _FIXED.get(function, 0)
        if function in _COUNTED:
            place = _COUNTED[function]
            if len(self._buffer) <= place:
                return None
            size = place + 1 + self._buffer[place] + 2
        if size > _LONGEST:
            return 0
        if size > len(self._buffer):
            # A later byte may begin a whole frame although this one waits for more that never comes.
            return None if not self._later() else 0
        return size

    def _later(self) -> bool:
        buffer = self._buffer
        return any(
            _FIXED.get(buffer[at + 1]) == 8 and len(buffer) - at >= 8 and _right(buffer[at : at + 8])
            for at in range(1, len(buffer) - 7)
        )


class MbapParser:
    """Finds requests in a Modbus TCP stream. `broken` once the peer speaks something else."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.broken = False

    def feed(self, data: bytes) -> list[Request]:
        """Take bytes; the requests that are whole by them."""
        self._buffer += data
        found: list[Request] = []
        while len(self._buffer) >= 7 and not self.broken:
            length = int.from_bytes(self._buffer[4:6], "big")
            if self._buffer[2:4] != b"\x00\x00" or not 2 <= length <= 254:
                self.broken = True
                break
            if len(self._buffer) < 6 + length:
                break
            frame = bytes(self._buffer[: 6 + length])
            del self._buffer[: 6 + length]
            found.append(Request(frame[6], frame[7:], int.from_bytes(frame[:2], "big")))
        return found


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """An answer for a serial line."""
    body = bytes((unit,)) + pdu
    return body + crc(body)


def mbap_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """An answer for Modbus TCP."""
    head = transaction.to_bytes(2, "big") + b"\x00\x00" + (len(pdu) + 1).to_bytes(2, "big")
    return head + bytes((unit,)) + pdu


@dataclass(frozen=True, slots=True)
class Read:
    """Functions 1 to 4."""

    function: int
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class WriteOne:
    """Functions 5 and 6."""

    function: int
    address: int
    value: int


class Refusal(Exception):  # noqa: N818 -- Modbus calls it an exception response; it is no error of ours
    """A request that is answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception code {code}")
        self.code = code


def parse(pdu: bytes) -> Read | WriteOne:
    """What is asked. Raises Refusal with the code that the protocol prescribes."""
    if not pdu or pdu[0] not in (1, 2, 3, 4, 5, 6):
        raise Refusal(ILLEGAL_FUNCTION)
    if len(pdu) != 5:
        raise Refusal(ILLEGAL_VALUE)
    function, address, number = pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
    if function == 6 or (function == 5 and number in (0x0000, 0xFF00)):
        return WriteOne(function, address, number)
    if function == 5 or not 1 <= number <= (2000 if function <= 2 else 125):
        raise Refusal(ILLEGAL_VALUE)
    if address + number > 0x10000:
        raise Refusal(ILLEGAL_ADDRESS)
    return Read(function, address, number)


def read_answer(function: int, words: list[int]) -> bytes:
    """The values read: bits packed with the first in the lowest place, registers high byte first."""
    if function <= 2:
        packed = sum((word & 1) << place for place, word in enumerate(words))
        data = packed.to_bytes((len(words) + 7) // 8, "little")
    else:
        data = b"".join(word.to_bytes(2, "big") for word in words)
    return bytes((function, len(data))) + data


def refusal_answer(function: int, code: int) -> bytes:
    """The exception response."""
    return bytes((function | 0x80, code))


def _right(frame: bytes | bytearray) -> bool:
    return len(frame) >= 4 and crc(bytes(frame[:-2])) == bytes(frame[-2:])
