"""Tasks that are to end do end.

Law of this file: Python 3.11's `asyncio.wait_for`, and so a library that uses it, may swallow a cancellation;
whoever must be sure cancels again until the task is done. A `TaskGroup` cancels what is in it only once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_AGAIN_S = 0.3


async def end(
    tasks: Iterable[asyncio.Task[Any]], *, patience_s: float = 1.0, within_s: float | None = None
) -> set[asyncio.Task[Any]]:
    """Cancel them, wait `patience_s`, then cancel what is left again and again. Returns what would not end.

    Without `within_s` it comes back only when all have ended: a cancellation of the caller is passed on to
    them at once, and raised when they are done. What they raise is taken as seen.
    """
    listed = set(tasks)
    waiting = set(listed)
    clock = asyncio.get_running_loop().time
    began = clock()
    pause = patience_s
    hurried = False
    while waiting and (within_s is None or clock() - began < within_s):
        for task in waiting:
            task.cancel()
        try:
            await asyncio.wait(waiting, timeout=pause)
        except asyncio.CancelledError:
            hurried = True
        waiting = {task for task in waiting if not task.done()}
        pause = _AGAIN_S
    await asyncio.gather(*(listed - waiting), return_exceptions=True)
    if hurried:
        raise asyncio.CancelledError
    return waiting


async def together(*loops: Coroutine[Any, Any, None], patience_s: float = 1.0) -> None:
    """Run them side by side until one of them ends, then end the others; raises what that one raised.

    None outlives this call, however it ends; what is under way in them gets `patience_s`. One that was
    cancelled by nobody here has ended, no more: that is no reason for the caller to stop.
    """
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks, patience_s=patience_s)
    for task in done:
        if not task.cancelled():
            task.result()


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise at the end of the block the cancellation that came during it and that a library swallowed.

    Also when the library then failed, which its being interrupted may have caused.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
