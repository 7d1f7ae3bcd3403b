"""Tasks that are to end do end."""

from __future__ import annotations

import asyncio
import contextlib

from central.ending import end


async def _swallow(times: int) -> None:
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def test_a_task_that_swallows_two_cancellations_ends_all_the_same() -> None:
    """It is cancelled until it is done."""
    task = asyncio.create_task(_swallow(2))
    await asyncio.sleep(0)
    assert await end([task], patience_s=0.01) == set()
    assert task.cancelled()


async def test_what_does_not_end_in_time_is_named() -> None:
    """The caller learns which task would not end, and goes on."""
    stubborn = asyncio.create_task(_swallow(1000))
    quick = asyncio.create_task(_swallow(0))
    await asyncio.sleep(0)
    assert await end([stubborn, quick], patience_s=0.01, within_s=0.02) == {stubborn}
    assert quick.cancelled()
    while not stubborn.done():
        stubborn.cancel()
        await asyncio.sleep(0)
