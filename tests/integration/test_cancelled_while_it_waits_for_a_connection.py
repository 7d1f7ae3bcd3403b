"""Whoever is told to end while it waits for a connection to the database ends."""

from __future__ import annotations

import asyncio

from central.store.pool import Store

_STEPS = 40
"""So many turns of the loop after a connection was given back, whoever waited for it has it."""


async def test_at_whatever_moment_it_is_cancelled_it_does_not_go_on(database: str) -> None:
    """The pool waits with `asyncio.wait_for`, which swallows a cancellation that meets the connection.

    The connection is given back each time: the next round gets it.
    """
    store = Store(database, max_connections=1)
    await store.open()
    began = 0

    async def work() -> None:
        nonlocal began
        async with store.transaction():
            began += 1
            await asyncio.Event().wait()

    for steps in range(_STEPS):
        async with store.transaction():
            waiting = asyncio.create_task(work())
            await asyncio.sleep(0)
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
    assert 0 < began < _STEPS, "the moment at which it gets the connection is among those tried"
    await store.close()
