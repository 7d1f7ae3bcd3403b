"""A connection to the broker, made again for ever. Law of this file: nothing but a cancellation ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import structlog

from central.ending import cancellation_kept

_log = structlog.get_logger()
FIRST_PAUSE_S = 0.3
LONGEST_PAUSE_S = 3.0
"""A fire may wait for us: nobody else hears it, and one connection costs the broker nothing."""
_STEADY_S = 20.0
"""One that held so long is made again after the shortest pause."""


async def keep_connected(connect: Callable[[], Coroutine[Any, Any, str]], what: str, random: Random) -> None:
    """Call `connect` again whenever it returns (with the reason) or fails, until cancelled."""
    pause = FIRST_PAUSE_S
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        with cancellation_kept():
            try:
                why = await connect()
            except OSError as error:
                why = f"{type(error).__name__}: {error}"
            except Exception as error:  # noqa: BLE001 -- whatever it is, the next connection is tried
                why = f"{type(error).__name__}: {error}"
                _log.error("a connection failed", of=what, exc_info=error)
        if clock() - began > _STEADY_S:
            pause = FIRST_PAUSE_S
        _log.warning("broker lost", of=what, why=why, pause_s=round(pause, 1))
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 2, LONGEST_PAUSE_S)
