"""Whoever is told to end while it waits for a connection to the database ends."""

from __future__ import annotations

import asyncio

from central.ending import end
from central.store.pool import Store

_STEPS = 40
"""It is handed over within a turn or two of the loop; what follows waits for the database."""


async def test_at_whatever_moment_it_is_cancelled_it_does_not_go_on(database: str) -> None:
    """The pool waits with `asyncio.wait_for`, which swallows a cancellation that meets the connection.

    The connection is given back each time: the next round gets it.
    """
    store = Store(database, max_connections=1)
    await store.open()
    begun = asyncio.Event()

    async def work() -> None:
        async with store.transaction():
            begun.set()
            await asyncio.Event().wait()

    async def one_that_waited() -> asyncio.Task[None]:
        """It was first in the queue when the connection was given back, which is now."""
        async with store.transaction():
            waiting = asyncio.create_task(work())
            await asyncio.sleep(0)
        return waiting

    for steps in range(_STEPS):
        waiting = await one_that_waited()
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()
        _, left = await asyncio.wait({waiting}, timeout=5)
        went_on = bool(left)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        assert not went_on, f"cancelled {steps} turns of the loop after the connection was given back"
        assert waiting.cancelled()
    begun.clear()
    waiting = await one_that_waited()
    async with asyncio.timeout(10):
        await begun.wait()  # so nothing but the cancellation kept it from the connection
    await end([waiting])
    await store.close()
