"""A line to a fire-brigade centre: TCP, or UDP with a packet in each datagram.

Law of this file: bytes go out at once or the line is lost; nobody waits for a centre that takes nothing.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

from gb26875.frame import FRAME_BYTES, MOST_DATA, Broken, Decoder, Frame

CONNECT_S = 10.0
_SILENCE_S = 5.0
"""The rest of a packet that does not come for so long never will."""
_MOST_WAITING = 64 * 1024
_MOST_DATAGRAMS = 200


class Line(Protocol):
    """Either kind."""

    def write(self, packet: bytes) -> None:
        """Send one packet. Raises OSError when the centre takes nothing any more."""

    async def read(self) -> list[Frame | Broken]:
        """What came, at least one. Raises OSError when the line is lost."""

    def close(self) -> None:
        """Leave."""


async def open_line(transport: str, host: str, port: int) -> Line:
    """A line that is there. Raises OSError (TimeoutError after 10 s)."""
    async with asyncio.timeout(CONNECT_S):
        if transport == "udp":
            loop = asyncio.get_running_loop()
            _, line = await loop.create_datagram_endpoint(_Datagrams, remote_addr=(host, port))
            return line
        reader, writer = await asyncio.open_connection(host, port)
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return _Stream(reader, writer)


class _Stream:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder()

    def write(self, packet: bytes) -> None:
        if self._writer.transport.get_write_buffer_size() > _MOST_WAITING:
            raise ConnectionError("the centre takes nothing any more")
        self._writer.write(packet)

    async def read(self) -> list[Frame | Broken]:
        while True:
            try:
                async with asyncio.timeout(_SILENCE_S if self._decoder.waiting else None):
                    data = await self._reader.read(4096)
            except TimeoutError:
                found = self._decoder.end()
            else:
                if not data:
                    raise ConnectionError("the centre has closed the connection")
                found = self._decoder.feed(data)
            if found:
                return found

    def close(self) -> None:
        self._writer.transport.abort()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self._came: asyncio.Queue[list[Frame | Broken] | Exception] = asyncio.Queue(_MOST_DATAGRAMS)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, _: object) -> None:
        decoder = Decoder()
        found = decoder.feed(data[: 4 * (FRAME_BYTES + MOST_DATA)]) + decoder.end()
        if found and not self._came.full():  # else it is lost, as datagrams are: the centre sends it again
            self._came.put_nowait(found)

    def error_received(self, exc: Exception) -> None:
        if not self._came.full():
            self._came.put_nowait(exc)

    def write(self, packet: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(packet)

    async def read(self) -> list[Frame | Broken]:
        came = await self._came.get()
        if isinstance(came, Exception):
            raise ConnectionError(str(came)) from came
        return came

    def close(self) -> None:
        assert self._transport is not None
        self._transport.abort()
