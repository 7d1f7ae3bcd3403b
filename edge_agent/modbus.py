"""One Modbus exchange at a time over a line: the true answer or a ReadError. Only importer of pymodbus.

Law of this file: an answer is believed only when unit, function, length and CRC (on TCP: the transaction
id) are those of the request just sent, and never after a request that is not ours; anything else on the line
is skipped, and a failed exchange is never a value. A timeout never closes the line, and nothing is sent to
unit 0, to which nobody answers. pymodbus serves as frame codec without any I/O; every byte
goes through our own line. Modbus over Serial Line V1.02, 2.5.1; Modbus Application Protocol V1.1b3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from struct import pack, unpack

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from device_profiles.schema import Write
from edge_agent.exchange import Kind, ReadError
from edge_agent.line import Line, LineError
from edge_agent.patience import Patience
from edge_agent.plan import ReadRequest, WriteRequest
from wire.messages import Transport

CHUNK_SLACK_S = 0.05
"""How much later than the wire needs a reply may be whole: adapters hand bytes over in 16 ms pieces."""
QUIET_S = 0.02
"""Silence after a failed exchange that counts as a line at rest; longer than an adapter's pause."""
DRAIN_LIMIT_S = 0.25
"""A line that never rests is used again after this."""
FIXED_GAP_S = 0.00175
"""Above 19200 baud 3.5 characters count as 1.75 ms."""
WRITE_TIMEOUT_S = 1.0
DEAD_AFTER = 3
"""At least so many timeouts in a row without a byte, and of all units: the line itself is doubted."""
COIL_ON = 0xFF00

_rtu = FramerRTU(DecodePDU(False))
_CRC_TABLE = FramerRTU.crc16_table


def _answer_bytes(function: int, count: int) -> int:
    """The byte count a right answer to a read announces."""
    return (count + 7) // 8 if function <= 2 else 2 * count


@lru_cache(1024)
def _rtu_frame(unit: int, body: bytes) -> bytes:
    """The same few hundred requests are sent all day."""
    return _rtu.encode(body, unit, 0)


class RtuSearch:
    """Finds the one right answer in whatever came over the line; pure.

    `head` is what the answer begins with: unit, function and, for a read, the byte count; for a write the
    whole request again. `before` are bytes that lay on the line when the request was sent. `feed` returns the
    PDU, or None while it is not there.
    """

    def __init__(self, request: bytes, head: bytes, size: int, echo: bool, before: bytes = b"") -> None:
        self._before = before
        self._request = request
        self._head = head
        self._size = size
        self._seen = b""
        self._is_write = request.startswith(head)
        self._must_skip_echo = echo and self._is_write
        self.echoed = False

    @property
    def heard(self) -> bool:
        """Whether any byte came at all, an echo of the request aside."""
        return bool(self._seen)

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes in; the answer's function code and data when it is whole."""
        self._seen += data
        self._skip_echo()
        if self._must_skip_echo and not self.echoed:
            return None
        return self._find(self._head, self._size) or self._find(self._refusal(), 5)

    def _refusal(self) -> bytes:
        return bytes((self._head[0], self._head[1] | 0x80))

    def _find(self, head: bytes, size: int) -> bytes | None:
        at = self._seen.find(head)
        while 0 <= at <= len(self._seen) - size:
            frame = self._seen[at : at + size]
            if _crc_right(frame):
                ours = not (at or self._before) or not _foreign_request(
                    self._before + self._seen[:at], self._request
                )
                return frame[1:-2] if ours else None
            at = self._seen.find(head, at + 1)
        return None

    def _skip_echo(self) -> None:
        """A half-duplex adapter gives back what it sends; a write's answer is the same bytes once more."""
        if self.echoed or not self._seen.startswith(self._request):
            return
        if self._is_write and not self._must_skip_echo:
            return
        self._seen = self._seen[len(self._request) :]
        self.echoed = True

    def judge(self) -> tuple[Kind, str]:
        """Why nothing was found, when time is up."""
        if not self._seen:
            return Kind.TIMEOUT, "no answer"
        if _foreign_request(self._before + self._seen, self._request):
            return Kind.FOREIGN, "another master asks on this line"
        unit, function = self._head[0], self._head[1]
        for at in range(len(self._seen)):
            frame = _whole_frame(self._seen[at:])
            if frame is None:
                continue
            if frame[0] != unit:
                return Kind.WRONG_UNIT, f"unit {frame[0]} answered instead"
            if frame[1] & 0x7F != function:
                return (
                    Kind.WRONG_FUNCTION,
                    f"answered function {frame[1]} to a request of function {function}",
                )
            return Kind.WRONG_LENGTH, f"its answer of {len(frame)} bytes does not fit the request"
        return Kind.GARBAGE, f"{len(self._seen)} bytes without a frame of right CRC"


def _crc_right(frame: bytes) -> bool:
    """Whether nothing remains: the checksum of data and its own checksum is 0."""
    remainder = 0xFFFF
    for byte in frame:
        remainder = remainder >> 8 ^ _CRC_TABLE[(remainder ^ byte) & 0xFF]
    return not remainder


def _whole_frame(data: bytes) -> bytes | None:
    """A frame of any read, write or exception at the very start of `data`."""
    if len(data) < 5:
        return None
    function = data[1]
    if function & 0x80:
        size = 5
    elif 1 <= function <= 4:
        size = data[2] + 5
    elif function in (5, 6):
        size = 8
    else:
        return None
    frame = data[:size]
    return frame if len(frame) == size and _crc_right(frame) else None


def _foreign_request(data: bytes, own: bytes) -> bool:
    """Whether a whole request other than `own` lies in it. An answer of 17 to 24 bits looks like one."""
    return any(
        1 <= data[at + 1] <= 6
        and not (data[at + 1] <= 2 and data[at + 2] == 3)
        and data[at : at + 8] != own
        and _crc_right(data[at : at + 8])
        for at in range(len(data) - 7)
    )


class Modbus:
    """The master of one bus. One call at a time: the poller owns it."""

    def __init__(
        self, line: Line, transport: Transport, *, character_s: float = 0.0, gap_s: float | None = None
    ) -> None:
        self._line = line
        self._tcp = transport is Transport.TCP
        self._character_s = character_s
        self._min_gap_s = 0.0 if self._tcp else frame_gap_s(character_s)
        self._bus_gap_s = gap_s
        self._socket = FramerSocket(DecodePDU(False))
        self._transaction = 0
        self._rest = b""
        self._echo = self._echo_known = False
        self._late_until: dict[int, float] = {}
        self._ready_at = 0.0
        self._units: set[int] = set()
        self._patience = Patience()
        self._expected: int | None = None
        self._deaf = 0

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """The registers, or the bits as 0 and 1; exactly `request.count` of them. Raises ReadError."""
        unit, function, count = request.unit, request.function, request.count
        due = _answer_bytes(function, count)
        head = bytes((unit, function, due))
        body = pack(">BHH", function, request.address, count)
        answer = await self._exchange(unit, body, head, due + 5, request.timeout_s, request.gap_s)
        self._echo_known = True
        data = answer[2:]
        if function > 2:
            return unpack(f">{count}H", data)
        return tuple(data[at // 8] >> at % 8 & 1 for at in range(count))

    async def ask(self, request: ReadRequest | WriteRequest) -> tuple[int, ...]:
        """What is read; nothing for a write that is confirmed. Raises ReadError."""
        if isinstance(request, ReadRequest):
            return await self.read(request)
        await self.write(request.unit, request, request.address)
        return ()

    async def write(self, unit: int, write: Write | WriteRequest, address: int) -> None:
        """Write one coil or register at the wire address. Raises ReadError when it is not confirmed.

        On a line that may echo, a read must have succeeded before: only then is an echo told from the answer.
        """
        if not (self._tcp or self._echo_known):
            why = "nothing has been read on this line yet, its echo could pass for the answer: order it again"
            raise ReadError(Kind.NOT_SENT, unit, why)
        value = write.value if write.function == 6 else COIL_ON * bool(write.value)
        body = pack(">BHH", write.function, address, value)
        head = bytes((unit,)) + body
        await self._exchange(unit, body, head, len(head) + 2, WRITE_TIMEOUT_S, 0.0)

    async def attend(self, seconds: float) -> frozenset[int]:
        """Nobody speaks unasked on Modbus: the line rests."""
        await asyncio.sleep(seconds)
        return frozenset()

    def expect(self, requests: Sequence[ReadRequest]) -> None:
        """How many units hang on the bus is known by them; with none there is nobody to be missed."""
        self._expected = len({request.unit for request in requests})

    def reopened(self) -> None:
        """The line is a new one: what was under way on the old one cannot come any more."""
        self._rest = b""
        self._echo = self._echo_known = False
        self._units.clear()
        self._late_until.clear()
        self._ready_at = 0.0
        self._deaf = 0
        self._patience.forget()

    def may_ask(self, unit: int) -> bool:
        """Whether a request to this unit would go out without waiting for a late answer of it."""
        return self._late_until.get(unit, 0.0) <= asyncio.get_running_loop().time()

    async def _exchange(
        self, unit: int, body: bytes, head: bytes, size: int, timeout_s: float, gap_s: float
    ) -> bytes:
        """Function code and data of the answer to the request of function code and data `body`."""
        if not 1 <= unit <= 247:
            raise ValueError(f"unit {unit}: only units 1 to 247 answer")
        self._units.add(unit)
        wait_s = self._patience.wait_s(unit, timeout_s)
        try:
            if self._tcp:
                answer, took_s = await self._over_tcp(unit, body, head, wait_s, timeout_s, gap_s)
            else:
                answer, took_s = await self._over_rtu(unit, body, head, size, wait_s, gap_s)
        except LineError as error:
            raise ReadError(Kind.LINE_LOST, unit, str(error)) from None
        except ReadError as error:
            await self._after_failure(error, timeout_s)
            raise
        self._deaf = 0
        self._late_until.pop(unit, None)
        self._patience.answered(unit, took_s)
        if answer[0] & 0x80:
            code = answer[1]
            raise ReadError(Kind.EXCEPTION, unit, f"refused with exception code {code}", code)
        return answer

    def _earliest(self, unit: int) -> float:
        """From when on no late answer of this unit can pass for the next one; now or later."""
        now = asyncio.get_running_loop().time()
        return max(now, self._ready_at, self._late_until.get(unit, 0.0))

    def _start_at(self, earliest: float, gap_s: float) -> float:
        """When the line will also have rested, for as long as the device wants, if nothing more comes."""
        gap = max(gap_s if self._bus_gap_s is None else self._bus_gap_s, self._min_gap_s)
        return max(earliest, min(self._line.last_byte_at + gap, earliest + DRAIN_LIMIT_S))

    async def _over_rtu(
        self, unit: int, body: bytes, head: bytes, size: int, wait_s: float, gap_s: float
    ) -> tuple[bytes, float]:
        """Function code and data, and how long the unit took, the answer's own time on the wire aside."""
        loop = asyncio.get_running_loop()
        frame = _rtu_frame(unit, body)
        # Adapters and serial servers may hand an answer over when all of it is there.
        wire_s = (len(frame) + size) * self._character_s
        earliest = self._earliest(unit)
        before, data = b"", None
        while data is None:  # bytes that still come put the start off
            before += self._line.take()
            at = self._start_at(earliest, gap_s)
            data = await self._line.ask(frame, at, at + wire_s + wait_s)
        assert self._line.written_at is not None
        wire_end = self._line.written_at + wire_s
        search = RtuSearch(frame, head, size, self._echo, before)
        while True:
            if answer := search.feed(data):
                self._echo = self._echo or search.echoed
                return answer, max(loop.time() - wire_end, 0.0)
            left = wire_end + wait_s + (CHUNK_SLACK_S if search.heard else 0.0) - loop.time()
            if not data and left <= 0:
                kind, detail = search.judge()
                raise ReadError(kind, unit, detail)
            data = await self._line.read(left)

    async def _over_tcp(
        self, unit: int, body: bytes, head: bytes, wait_s: float, whole_s: float, gap_s: float
    ) -> tuple[bytes, float]:
        """Function code and data, and how long they took; an answer that has begun may take `whole_s`."""
        loop = asyncio.get_running_loop()
        earliest, now = self._earliest(unit), loop.time()
        while (pause := self._start_at(earliest, gap_s) - now) > 0:
            await asyncio.sleep(pause)
            now = loop.time()
        self._transaction = self._transaction % 0xFFFF + 1
        self._rest += self._line.take()
        self._line.write(self._socket.encode(body, unit, self._transaction))
        sent_at = loop.time()
        why = (Kind.TIMEOUT, "no answer")
        while True:
            for sender, transaction, answer in self._frames():
                if transaction != self._transaction:
                    continue
                if sender != unit:
                    why = (Kind.WRONG_UNIT, f"unit {sender} answered instead")
                elif answer[0] & 0x7F != body[0]:
                    why = (Kind.WRONG_FUNCTION, f"answered function {answer[0]}")
                elif _fits(answer, head):
                    return answer, loop.time() - sent_at
                else:
                    why = (Kind.WRONG_LENGTH, f"its answer of {len(answer)} bytes does not fit the request")
            left = sent_at + (whole_s if self._rest else wait_s) - loop.time()
            if left <= 0:
                raise ReadError(why[0], unit, why[1])
            self._rest += await self._line.read(left)

    def _frames(self) -> list[tuple[int, int, bytes]]:
        """Whole frames received: unit, transaction id, function code and data."""
        frames = []
        while len(self._rest) >= FramerSocket.MIN_SIZE:
            length = int.from_bytes(self._rest[4:6], "big")
            if self._rest[2:4] != b"\0\0" or not 3 <= length <= 254:
                raise LineError("the far end does not speak Modbus TCP any more")
            if len(self._rest) < length + 6:
                break
            frame, self._rest = self._rest[: length + 6], self._rest[length + 6 :]
            _, unit, transaction, body = self._socket.decode(frame)
            frames.append((unit, transaction, body))
        return frames

    async def _after_failure(self, error: ReadError, timeout_s: float) -> None:
        """Let the line come to rest, and keep away from a unit that may still answer."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._patience.missed(error.unit)
        self._deaf = self._deaf + 1 if error.kind is Kind.TIMEOUT else 0
        everybody = max(DEAD_AFTER, len(self._units), self._expected or 0)
        if self._expected != 0 and self._deaf >= everybody and (why := self._line.doubt()) is not None:
            raise ReadError(Kind.LINE_LOST, error.unit, f"nobody answers any more, and {why}") from None
        if self._tcp:
            return
        self._late_until[error.unit] = now + timeout_s
        until = now + DRAIN_LIMIT_S
        while (wait := min(self._line.last_byte_at + QUIET_S, until) - loop.time()) > 0:
            await self._line.read(wait)
        self._ready_at = loop.time()


def frame_gap_s(character_s: float) -> float:
    """Silence between frames: 3.5 characters, and at least the 1.75 ms that hold above 19200 baud."""
    return max(3.5 * character_s, FIXED_GAP_S)


def _fits(body: bytes, head: bytes) -> bool:
    """Whether function code and data are an exception, or as long and begin as announced by `head`."""
    if body[0] & 0x80:
        return len(body) == 2
    size = head[2] + 2 if len(head) == 3 else len(head) - 1
    return len(body) == size and body.startswith(head[1:])
