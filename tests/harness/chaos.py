"""A TCP proxy that misbehaves on demand: cut, refuse, swallow, delay.

It stands between a program and its far end. `swallow` is the nasty one: the connection stays up and nothing
arrives, as behind a mobile network's NAT that has forgotten it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from simulator.parts import free_port
from simulator.parts.ports import HOST

_CHUNK = 65536


class ChaosProxy:
    """Listens on `host:port`, forwards to `far_host:far_port`. Change the attributes at any time."""

    host = HOST

    def __init__(self, far_host: str, far_port: int) -> None:
        self.port = free_port()
        self.far_host = far_host
        self.far_port = far_port
        self.refuse = False
        """New connections are closed at once."""
        self.swallow_up = False
        """What the near end sends is read and thrown away."""
        self.swallow_down = False
        """What the far end sends is read and thrown away."""
        self.delay_s = 0.0
        """Each chunk, in each direction, waits this long."""
        self.accepted = 0
        """Connections taken so far."""
        self.carried = {"up": 0, "down": 0}
        """Bytes forwarded so far."""
        self.pieces = {"up": 0, "down": 0}
        """In how many pieces; about one TCP segment each when little is sent."""
        self._links: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._take, self.host, self.port)

    async def stop(self) -> None:
        """Stop listening and cut what is open."""
        if self._server is not None:
            self._server.close()
            await self.cut()
            await self._server.wait_closed()
            self._server = None

    async def cut(self) -> int:
        """Reset every open connection; returns how many there were."""
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        return len(links)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._link(reader, writer))
        self._links.add(task)
        task.add_done_callback(self._links.discard)

    async def _link(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        self.accepted += 1
        writers = [near_out]
        try:
            if self.refuse:
                return
            far_in, far_out = await asyncio.open_connection(self.far_host, self.far_port)
            writers.append(far_out)
            both = [
                asyncio.create_task(self._pump(near_in, far_out, up=True)),
                asyncio.create_task(self._pump(far_in, near_out, up=False)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        except OSError:
            pass
        finally:
            for writer in writers:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.swallow_up if up else self.swallow_down:
                    continue
                self.carried["up" if up else "down"] += len(data)
                self.pieces["up" if up else "down"] += 1
                sink.write(data)
                await sink.drain()


@asynccontextmanager
async def chaos_proxy(far_host: str, far_port: int) -> AsyncIterator[ChaosProxy]:
    """A running proxy before `far_host:far_port`."""
    proxy = ChaosProxy(far_host, far_port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
