"""The misbehaving proxy misbehaves as told, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.harness.chaos import ChaosProxy, chaos_proxy


@asynccontextmanager
async def _echo() -> AsyncIterator[ChaosProxy]:
    """A proxy before a server that says everything back."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, chaos_proxy(*server.sockets[0].getsockname()[:2]) as proxy:
        yield proxy


async def test_what_goes_in_comes_out() -> None:
    """Without faults it is a wire."""
    async with _echo() as proxy:
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(b"x" * 500_000)
        assert await reader.readexactly(500_000) == b"x" * 500_000
        writer.close()
        await writer.wait_closed()


async def test_a_cut_is_seen_at_once_and_a_new_connection_works() -> None:
    """Both ends learn of it."""
    async with _echo() as proxy:
        for _ in range(2):
            reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"ping"
            assert await proxy.cut() == 1
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()
        assert proxy.accepted == 2


async def test_a_swallowed_answer_leaves_the_connection_up() -> None:
    """Nothing arrives, nobody is told."""
    async with _echo() as proxy:
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        proxy.swallow_down = True
        writer.write(b"lost")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        proxy.swallow_down = False
        writer.write(b"kept")
        assert await reader.readexactly(4) == b"kept"
        writer.close()
        await writer.wait_closed()


async def test_refused_connections_end_at_once() -> None:
    """As a server does that is going down."""
    async with _echo() as proxy:
        proxy.refuse = True
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
