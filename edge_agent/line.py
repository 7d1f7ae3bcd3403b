"""Bytes to and from one bus: a serial port, or TCP. Only importer of pyserial.

Law of this file: a line moves bytes and says when it is lost; it knows nothing of Modbus, and silence of
the far end is never a lost line. Times are seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import termios
from abc import ABC, abstractmethod
from enum import StrEnum

import serial
import structlog

from edge_agent.config import host_port
from wire.messages import BusConfig, Transport

CONNECT_TIMEOUT_S = 5.0
UNACKED_TIMEOUT_MS = 5000
"""How long the kernel keeps a TCP line whose bytes nobody acknowledges."""
ROOM_TRIES, ROOM_TRY_S = 100, 0.01
"""How often a driver without room for all bytes is offered the rest."""
INPUT_LIMIT = 4096
"""More unread bytes than any answer has: a babbling line; the older ones are dropped."""


class LineError(Exception):
    """The line is lost or cannot be opened; close it and try again later."""


class Line(ABC):
    """One open-able line. Bytes that arrive are kept until `take` fetches them."""

    _loop: asyncio.AbstractEventLoop
    """The one it was opened in."""

    def __init__(self) -> None:
        self._input = b""
        self._waiter: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self.last_byte_at = 0.0
        """`loop.time()` at which the last bytes arrived."""
        self.written_at: float | None = None
        """`loop.time()` at which the last request of `ask` went out; None while it has not."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether `open` has succeeded and `close` was not called."""

    @abstractmethod
    async def open(self) -> None:
        """Open the line. Raises LineError with the reason; bounded in time."""

    @abstractmethod
    def close(self) -> None:
        """Close it; may be called at any time, never raises."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Hand all bytes to the system. Raises LineError."""

    @abstractmethod
    def doubt(self) -> str | None:
        """Why it may be dead without having said so; to be asked when nobody on it answers any more."""

    def take(self) -> bytes:
        """All bytes that have arrived since the last call, at once. Raises LineError when lost and empty."""
        if not self._input and self._lost is not None:
            raise LineError(self._lost)
        data, self._input = self._input, b""
        return data

    async def read(self, timeout: float) -> bytes:
        """Bytes as soon as there are any; empty after `timeout`. Raises LineError."""
        if timeout > 0:
            await self._wait(self._loop.time() + timeout)
        return self.take()

    async def ask(self, data: bytes, at: float, by: float) -> bytes | None:
        """Write at loop time `at`; the first bytes after that, or nothing when `by` has come.

        None: bytes came before, and nothing was written; they are there to be taken. The loop's own timer
        writes, so that a pause on the line costs its owner no turn. Raises LineError.
        """
        self.written_at = None
        start = None
        if at > self._loop.time():
            start = self._loop.call_at(at, self._begin_to_ask, data)
        else:
            self._begin_to_ask(data)
        try:
            await self._wait(by)
        finally:
            if start is not None:
                start.cancel()
        return None if self._input and self.written_at is None else self.take()

    def _begin_to_ask(self, data: bytes) -> None:
        if self._input or self._lost is not None:
            return
        self.written_at = self._loop.time()
        try:
            self.write(data)
        except LineError as error:
            self._lose(str(error))

    async def _wait(self, by: float) -> None:
        """Until there is something to take, the line is lost, or it is `by`."""
        if self._input or self._lost is not None:
            return
        self._waiter = self._loop.create_future()
        alarm = self._loop.call_at(by, self._wake)
        try:
            await self._waiter
        finally:
            alarm.cancel()

    def _begin(self) -> None:
        self._input = b""
        self._lost = None
        self._loop = asyncio.get_running_loop()
        self.last_byte_at = self._loop.time()

    def _take_in(self, data: bytes) -> None:
        self._input = (self._input + data)[-INPUT_LIMIT:]
        self.last_byte_at = self._loop.time()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = why
        self._wake()


class SerialLine(Line):
    """A serial port (also a pseudo-terminal), locked for this process alone."""

    def __init__(self, path: str, baud: int, parity: str, stop_bits: int) -> None:
        super().__init__()
        self._path = path
        self._baud = baud
        self._parity = parity
        self._stop_bits = stop_bits
        self._unsent = bytearray()
        self._port: serial.Serial | None = None
        self._fd = -1

    @property
    def is_open(self) -> bool:
        """Whether the port is open."""
        return self._port is not None

    async def open(self) -> None:
        """Open, lock and set up the port without waiting for anything. Raises LineError."""
        self.close()
        try:
            self._port = serial.Serial(
                self._path,
                baudrate=self._baud,
                parity=self._parity,
                stopbits=self._stop_bits,
                timeout=0,
                write_timeout=0,
                exclusive=True,
            )
        except (serial.SerialException, OSError, ValueError, termios.error) as error:
            self._port = None
            raise LineError(f"cannot open {self._path}: {error}") from None
        self._fd = self._port.fileno()
        os.set_blocking(self._fd, False)
        self._begin()
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def close(self) -> None:
        """Close the port; what was not sent yet is thrown away, so that closing cannot hang."""
        port, self._port = self._port, None
        if port is None:
            return
        asyncio.get_running_loop().remove_reader(self._fd)
        with contextlib.suppress(serial.SerialException, OSError, termios.error):
            port.reset_output_buffer()
        with contextlib.suppress(serial.SerialException, OSError, termios.error):
            port.close()
        self._fd = -1
        self._unsent.clear()

    def doubt(self) -> str | None:
        """Another adapter stands behind the name, or none: ours was unplugged and the driver did not say."""
        try:
            same = os.stat(self._path).st_rdev == os.fstat(self._fd).st_rdev  # noqa: PTH116 -- of an fd
        except OSError as error:
            return f"{self._path}: {error.strerror}"
        return None if same else f"{self._path} leads to another port now"

    def write(self, data: bytes) -> None:
        """Hand all bytes to the driver; it may take a second to find room for them. Raises LineError."""
        if self._port is None:
            raise LineError(f"{self._path} is not open")
        self._unsent += data
        if len(self._unsent) == len(data):
            self._push(self._port, ROOM_TRIES)
        if self._lost is not None:
            raise LineError(self._lost)

    def _push(self, port: serial.Serial, tries: int) -> None:
        if port is not self._port:
            return
        try:
            del self._unsent[: os.write(self._fd, self._unsent)]
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(f"{self._path}: {error.strerror}")
            return
        if self._unsent and tries:
            self._loop.call_later(ROOM_TRY_S, self._push, port, tries - 1)
        elif self._unsent:
            self._lose(f"{self._path} takes no bytes: its driver's buffer is full")

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, INPUT_LIMIT)
        except BlockingIOError:
            return
        except OSError as error:
            self._hang_up(f"{self._path}: {error.strerror}")
            return
        if data:
            self._take_in(data)
        else:
            self._hang_up(f"{self._path}: the port hung up")

    def _hang_up(self, why: str) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        self._lose(why)


class TcpLine(Line):
    """A TCP connection, for Modbus TCP and for RTU through a serial server."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._host = host
        self._port = port
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, alive or already lost."""
        return self._transport is not None

    async def open(self) -> None:
        """Connect within CONNECT_TIMEOUT_S. Raises LineError."""
        self.close()
        loop = asyncio.get_running_loop()
        place = f"{self._host}:{self._port}"
        ear = _Ear(self, place)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                transport, _ = await loop.create_connection(lambda: ear, self._host, self._port)
        except TimeoutError:
            raise LineError(f"cannot connect to {place}: no answer in {CONNECT_TIMEOUT_S:g} s") from None
        except OSError as error:
            raise LineError(f"cannot connect to {place}: {error.strerror or error}") from None
        link: socket.socket = transport.get_extra_info("socket")
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKED_TIMEOUT_MS)
        self._begin()
        self._transport = transport
        if transport.is_closing():
            self._lose(f"{place} closed the connection at once")

    def close(self) -> None:
        """Drop the connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def doubt(self) -> str | None:
        """It may be half open, the far end gone without a word: always doubtful."""
        return "the connection is taken for dead"

    def write(self, data: bytes) -> None:
        """Hand all bytes to the kernel. Raises LineError."""
        if self._transport is None:
            raise LineError(f"{self._host}:{self._port} is not connected")
        if self._lost is not None:
            raise LineError(self._lost)
        self._transport.write(data)

    def heard(self, transport: asyncio.BaseTransport | None, data: bytes) -> None:
        """Bytes of one connection; those of an earlier one are not ours any more."""
        if transport is self._transport:
            self._take_in(data)

    def gone(self, transport: asyncio.BaseTransport | None, why: str) -> None:
        """One connection has ended."""
        if transport is self._transport:
            self._lose(why)


class _Ear(asyncio.Protocol):
    """What one connection hears, told to the line it belongs to."""

    def __init__(self, line: TcpLine, place: str) -> None:
        self._line = line
        self._place = place
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._line.heard(self._transport, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.gone(self._transport, f"{self._place}: {exc or 'the far end closed the connection'}")


class LineState(StrEnum):
    """Where a kept line stands."""

    NEW = "new"
    OPEN = "open"
    LOST = "lost"


class KeptLine:
    """Opens a line again after it was lost, after 0.2 s doubling to 5 s; logs the change, not the tries."""

    FIRST_WAIT_S = 0.2
    LONGEST_WAIT_S = 5.0

    def __init__(self, name: str, line: Line) -> None:
        self.line = line
        self.state = LineState.NEW
        self._wait_s = 0.0
        self._log = structlog.get_logger().bind(bus=name)

    async def bring_up(self) -> bool:
        """True when the line is open; otherwise wait as long as is due and try once (at most 10 s in all)."""
        if self.line.is_open:
            return True
        await asyncio.sleep(self._wait_s)
        try:
            await self.line.open()
        except LineError as error:
            self._wait_s = min(max(self._wait_s * 2, self.FIRST_WAIT_S), self.LONGEST_WAIT_S)
            self._lost(str(error))
            return False
        self._log.info("line is back" if self.state is LineState.LOST else "line is open")
        self.state = LineState.OPEN
        return True

    def proved(self) -> None:
        """A device has answered over it: the next loss is answered at once again."""
        self._wait_s = 0.0

    def lose(self, why: str) -> None:
        """Close it because it is lost."""
        self.line.close()
        self._wait_s = min(max(self._wait_s * 2, self.FIRST_WAIT_S), self.LONGEST_WAIT_S)
        self._lost(why)

    def close(self) -> None:
        """Close it for good."""
        self.line.close()

    def _lost(self, why: str) -> None:
        if self.state is not LineState.LOST:
            self._log.error("line is lost", why=why)
        self.state = LineState.LOST


def line_of(bus: BusConfig) -> Line:
    """The line a bus is reached by."""
    if bus.transport is Transport.SERIAL:
        return SerialLine(bus.address, bus.baud, bus.parity.value, bus.stop_bits)
    place = host_port(bus.address)
    if place is None:
        raise LineError(f"address {bus.address!r} is not host:port")
    return TcpLine(*place)


def character_s(bus: BusConfig) -> float:
    """Seconds one character takes on the wire: start bit, 8 data, parity, stop bits; 0 for Modbus TCP.

    A serial server sends at the bus's baud on its far side, so RTU over TCP counts like serial.
    """
    if bus.transport is Transport.TCP:
        return 0.0
    bits = 9 + (bus.parity.value != "N") + bus.stop_bits
    return bits / bus.baud
