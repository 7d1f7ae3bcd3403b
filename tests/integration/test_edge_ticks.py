"""The agent's event loop keeps short times, which asyncio's own rounds up to whole milliseconds."""

from __future__ import annotations

import asyncio
import socket
import time

from edge_agent.ticks import fine_loop


def test_a_short_wait_ends_within_a_fraction_of_a_millisecond() -> None:
    """2.1 ms become 3 and more when milliseconds are counted."""

    async def late() -> list[float]:
        found = []
        for _ in range(50):
            began = time.monotonic()
            await asyncio.sleep(0.0021)
            found.append(time.monotonic() - began - 0.0021)
        return found

    with asyncio.Runner(loop_factory=fine_loop) as runner:
        found = runner.run(late())
    assert 0 <= min(found) < 0.0009


def test_bytes_end_a_short_wait() -> None:
    """What is ready is told at once, while a timer of the loop is near."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def took() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(0.001, theirs.send, b"x")
        near = loop.call_later(0.009, lambda: None)
        began = time.monotonic()
        assert await loop.sock_recv(ours, 1) == b"x"
        near.cancel()
        return time.monotonic() - began

    async def shortest() -> float:
        return min([await took() for _ in range(20)])  # a busy machine may hold up some of them

    with ours, theirs, asyncio.Runner(loop_factory=fine_loop) as runner:
        assert runner.run(shortest()) < 0.009
