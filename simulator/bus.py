"""Lines that a master can open: a pseudo-terminal behind a stable link, or a TCP port.

Law of this file: operating system only. A bus can be pulled out and put back under the same address while it
runs, and leaves neither link nor port behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
import typing
from collections.abc import Callable
from pathlib import Path
from typing import cast

import structlog

from device_profiles.schema import Protocol
from simulator.lines import RtuLine, TcpLine
from simulator.plain import PlainLine
from simulator.scenario import BusSpec
from simulator.site import Site

MAX_CLIENTS = 64
_READ = 4096

_log = structlog.get_logger()


class BusError(Exception):
    """A line that cannot be opened; the text names it, why, and the mend."""


class Bus(typing.Protocol):
    """A line of any kind."""

    spec: BusSpec

    @property
    def address(self) -> str:
        """What a master opens: a path or host:port."""

    async def plug(self) -> None:
        """Make it reachable; nothing happens when it is. Raises BusError."""

    async def unplug(self) -> None:
        """Pull it out: whoever has it open loses it. Nothing happens when it is out."""


def make(site: Site, spec: BusSpec) -> Bus:
    """The line of a bus, not plugged yet."""
    return PtyBus(site, spec) if spec.transport == "pty" else TcpBus(site, spec)


Line = RtuLine | TcpLine | PlainLine


def _line(site: Site, spec: BusSpec, send: Callable[[bytes], None]) -> Line:
    """What one master sees of a bus."""
    if spec.protocol is not Protocol.MODBUS:
        return PlainLine(site, spec, send)
    return TcpLine(site, spec, send) if spec.transport == "tcp" else RtuLine(site, spec, send)


class PtyBus:
    """An RTU line on a pseudo-terminal. A new one, under the same link, each time it is plugged."""

    def __init__(self, site: Site, spec: BusSpec) -> None:
        assert spec.link is not None
        self.spec = spec
        self._site = site
        self._link = Path(spec.link)
        self._line: Line | None = None
        self._master = self._slave = -1
        self._tty = ""

    @property
    def address(self) -> str:
        """The link's path."""
        return str(self._link)

    async def plug(self) -> None:
        """Open a pseudo-terminal and point the link to it. Raises BusError."""
        if self._line is not None:
            return
        # Our own end of the slave stays open, so that a master may come and go without a hang-up.
        self._master, self._slave = os.openpty()
        self._tty = os.ttyname(self._slave)
        try:
            self._point_the_link()
        except OSError as error:
            self._close()
            raise BusError(
                f"bus {self.spec.id}: link {self._link}: {error.strerror or error}; "
                "name a path in a folder that exists and may be written"
            ) from error
        except BusError:
            self._close()
            raise
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._line = _line(self._site, self.spec, self._send)
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    async def unplug(self) -> None:
        """Close it and take the link away."""
        if self._line is None:
            return
        self._line.stop()
        self._line = None
        asyncio.get_running_loop().remove_reader(self._master)
        with contextlib.suppress(OSError):
            if str(self._link.readlink()) == self._tty:
                self._link.unlink()
        self._close()

    def _point_the_link(self) -> None:
        if self._link.exists() and not self._link.is_symlink():
            raise BusError(
                f"bus {self.spec.id}: {self._link} exists and is no link; remove it, or name another path"
            )
        new = self._link.with_name(f".{self._link.name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        new.symlink_to(self._tty)
        new.replace(self._link)

    def _close(self) -> None:
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def _readable(self) -> None:
        try:
            data = os.read(self._master, _READ)
        except BlockingIOError:
            return
        if self._line is not None:
            self._line.feed(data)

    def _send(self, data: bytes) -> None:
        # Nobody reads and the terminal's buffer is full: on a wire the bytes would be gone as well.
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)


class TcpBus:
    """Modbus TCP, or what a serial line carries over TCP with the time of the line behind."""

    def __init__(self, site: Site, spec: BusSpec) -> None:
        self.spec = spec
        self._site = site
        self._port = spec.port or 0
        self._server: asyncio.Server | None = None
        self._clients: set[_Client] = set()

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self.spec.host}:{self._port}"

    async def plug(self) -> None:
        """Listen. Raises BusError."""
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Client(self._site, self.spec, self._clients), self.spec.host, self._port
            )
        except OSError as error:
            why = error.strerror or str(error)
            raise BusError(
                f"bus {self.spec.id}: cannot listen on {self.address}: {why}; "
                "stop what uses it, or give another port"
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        """Listen no more and cut every connection."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for client in list(self._clients):
            client.cut()
        await asyncio.sleep(0)


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, site: Site, spec: BusSpec, clients: set[_Client]) -> None:
        self._clients = clients
        self._transport: asyncio.Transport | None = None
        self._line = _line(site, spec, self._send)
        self._bus = spec.id

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._clients) >= MAX_CLIENTS:
            _log.warning("connection_refused", bus=self._bus, reason="too many clients", limit=MAX_CLIENTS)
            self._transport.abort()
            return
        self._clients.add(self)

    def data_received(self, data: bytes) -> None:
        self._line.feed(data)
        if isinstance(self._line, TcpLine) and self._line.broken and self._transport is not None:
            _log.warning("connection_cut", bus=self._bus, reason="the peer does not speak Modbus TCP")
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's name
        self._clients.discard(self)
        self._line.stop()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
