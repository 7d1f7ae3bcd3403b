"""Tasks that are to end do end.

Law of this file: Python 3.11's `asyncio.wait_for`, and so a library that uses it, may swallow a cancellation;
whoever must be sure cancels again until the task is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_S = 0.3


async def end(
    tasks: Iterable[asyncio.Task[Any]], *, patience_s: float = 1.0, within_s: float | None = None
) -> set[asyncio.Task[Any]]:
    """Cancel them, wait `patience_s`, then cancel what is left again and again. Returns what would not end.

    Without `within_s` it comes back only when all have ended. What they raise is taken as seen.
    """
    listed = set(tasks)
    waiting = set(listed)
    clock = asyncio.get_running_loop().time
    began = clock()
    pause = patience_s
    while waiting and (within_s is None or clock() - began < within_s):
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=pause)
        pause = _AGAIN_S
    await asyncio.gather(*(listed - waiting), return_exceptions=True)
    return waiting
