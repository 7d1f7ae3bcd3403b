"""Gira/Hager Dual/VdS: a home's own detector on a line of its own, asked and speaking by itself.

Law of this file: every right frame of the detector is acknowledged, a damaged one is refused so that it comes
again; our own is repeated three times until it is acknowledged. An answer may end only an alarm that answers
are known to show: for them the document says nothing of the bits that a message carries. A read's function is
the query, its address the number of a field in the answer. Both directions have a wire of their own: an
echo is not thought of. Document: selfbus/software,
Rauchmelder/Doc/RM_Protokoll.txt; times after the firmware beside it.
"""

from __future__ import annotations

from enum import Enum

from device_profiles.schema import Write
from edge_agent.exchange import Kind
from edge_agent.plan import ReadRequest
from edge_agent.protocols.dialogue import NEVER, Dialogue

STX, ETX, ACK, NAK = 0x02, 0x03, 0x06, 0x15
UNIT = 1
"""There is no address on this line."""
STATUS = 0x02
FIELDS = {
    STATUS: (1, 1, 1, 1),
    0x04: (2, 2),
    0x09: (2, 2),
    0x0B: (2, 1, 1),
    0x0C: (2, 1, 1),
    0x0D: (1, 1, 1, 1),
    0x0E: (1, 1),
}
"""Query -> bytes of each field of its answer, most significant first; a serial number is two words."""
REPEATS = 3
REPEAT_S = 0.4
"""Without an acknowledgement for so long, a frame is sent again."""
_FROM_DETECTOR, _ANSWER = 0x80, 0x40
_HEX = frozenset(b"0123456789ABCDEF")
_LONGEST = 64
"""Characters between STX and ETX; the longest message known has 12."""


class Sign(Enum):
    """What is no message."""

    ACK = "acknowledged"
    NAK = "refused"
    DAMAGED = "damaged"
    """A frame whose characters or checksum are wrong."""


def encode(message: bytes) -> bytes:
    """The frame of a message: upper-case hexadecimal, its characters' sum, between STX and ETX."""
    text = message.hex().upper().encode()
    return bytes((STX,)) + text + b"%02X" % (sum(text) & 0xFF) + bytes((ETX,))


class Decoder:
    """Bytes to messages, however they are cut. A frame without an end is forgotten when the next begins."""

    def __init__(self) -> None:
        self._text: bytearray | None = None
        self._wrong = False
        self.skipped = 0
        """Bytes that belonged to nothing."""

    def feed(self, data: bytes) -> list[bytes | Sign]:
        """Messages (without their checksum) and signs that are whole by these bytes."""
        found: list[bytes | Sign] = []
        for byte in data:
            if byte == STX:
                self.skipped += 0 if self._text is None else len(self._text) + 1
                self._text, self._wrong = bytearray(), False
            elif self._text is None:
                if byte in (ACK, NAK):
                    found.append(Sign.ACK if byte == ACK else Sign.NAK)
                elif byte:  # the detector sends a NUL between acknowledgement and answer
                    self.skipped += 1
            elif byte == ETX:
                found.append(Sign.DAMAGED if self._wrong else _open(self._text))
                self._text = None
            elif byte in _HEX and len(self._text) < _LONGEST:
                self._text.append(byte)
            else:
                self._wrong = True
        return found


def _open(text: bytes | bytearray) -> bytes | Sign:
    body, checksum = text[:-2], text[-2:]
    if len(text) % 2 or not body or int(checksum, 16) != sum(body) & 0xFF:
        return Sign.DAMAGED
    return bytes.fromhex(body.decode())


class Gira(Dialogue):
    """The detector of one line: its fields by query, as last answered or told."""

    def __init__(self, character_s: float = 0.0) -> None:  # noqa: ARG002 -- there is no echo to tell apart
        super().__init__()
        self._told: tuple[int, ...] = (0, 0, 0, 0)
        """The status it last told unasked."""
        self._mirrored: tuple[int, ...] = (0, 0, 0, 0)
        """The bits of the status that an answer has ever shown."""
        self._begin()

    def _begin(self) -> None:
        self._decoder = Decoder()
        self._out.clear()
        self._fields: dict[int, tuple[float, tuple[int, ...]]] = {}
        self._frame: bytes | None = None
        """What waits for its acknowledgement."""
        self._tries = 0
        self._again_at = NEVER
        self._acknowledged = self._refused = self._damaged = False

    def reopened(self) -> None:
        """What it told stays told: only the detector itself can end that."""
        self._begin()

    def hear(self, data: bytes, now: float) -> None:
        """Take bytes in and answer them at once."""
        for item in self._decoder.feed(data):
            if item is Sign.ACK:
                self._frame, self._again_at = None, NEVER
                self._acknowledged = True
            elif item is Sign.NAK:
                self._refused = True
                self._again_at = now if self._frame is not None else NEVER
            elif item is Sign.DAMAGED:
                self._damaged = True
                self._out.append(NAK)
            elif isinstance(item, bytes) and item[0] & _FROM_DETECTOR:  # else it is our own frame's echo
                self._out.append(ACK)
                self._take(item[0] & ~_FROM_DETECTOR, item[1:], now)

    def _take(self, code: int, data: bytes, now: float) -> None:
        query = code & ~_ANSWER
        sizes = FIELDS.get(query)
        if sizes is None or len(data) != sum(sizes):
            self._remark(f"message {code | _FROM_DETECTOR:02X} of {len(data)} bytes is not known: left aside")
            return
        fields, at = [], 0
        for size in sizes:
            fields.append(int.from_bytes(data[at : at + size], "big"))
            at += size
        words = tuple(fields)
        if query == STATUS and code & _ANSWER:
            self._mirrored = tuple(a | b for a, b in zip(self._mirrored, words, strict=True))
        elif query == STATUS:
            if words != self._told:
                self._fresh.add(UNIT)
            self._told = words
        self._fields[query] = now, words

    def say(self, now: float) -> bytes:
        """Acknowledgements, and our frame again when it is time."""
        if self._frame is not None and now >= self._again_at:
            if self._tries <= REPEATS:
                self._out += self._frame
                self._tries += 1
                self._again_at = now + REPEAT_S
            else:
                self._frame, self._again_at = None, NEVER
        return super().say(now)

    def wake_at(self) -> float:
        """When our frame is due again."""
        return self._again_at

    def ask(self, request: ReadRequest, now: float, every_s: float) -> None:
        """Send the query, unless its answer is younger than `every_s`."""
        at, _ = self._fields.get(request.function, (-NEVER, ()))
        if now - at >= every_s:
            self._fields.pop(request.function, None)
            self._send(bytes((request.function,)), now)

    def order(self, write: Write, address: int, now: float) -> None:
        """Function, address and value are the three bytes of the command."""
        self._send(bytes((write.function, address, write.value)), now)

    def _send(self, message: bytes, now: float) -> None:
        self._frame, self._tries, self._again_at = encode(message), 0, now
        self._acknowledged = self._refused = self._damaged = False
        self._decoder.skipped = 0

    def answer(self, request: ReadRequest, now: float) -> tuple[int, ...] | None:  # noqa: ARG002
        """The fields, once they are there."""
        if request.function not in self._fields:
            return None
        _, words = self._fields[request.function]
        if request.function == STATUS:
            shown = zip(words, self._told, self._mirrored, strict=True)
            words = tuple(asked | told & ~mirrored for asked, told, mirrored in shown)
        return words[request.address : request.address + request.count]

    def confirmed(self) -> bool:
        """An order is confirmed by its acknowledgement."""
        return self._acknowledged

    def why(self) -> tuple[Kind, str]:
        """Why there is no answer."""
        self._frame, self._again_at = None, NEVER
        if self._damaged or self._decoder.skipped:
            return Kind.GARBAGE, "bytes without a frame of right checksum"
        if self._refused and not self._acknowledged:
            return Kind.EXCEPTION, "refused (NAK) each time"
        return Kind.TIMEOUT, "acknowledged, but no answer" if self._acknowledged else "no answer"
