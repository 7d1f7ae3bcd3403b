"""The general MQTT client library, aiomqtt, stopped as it should be.

Law of this file: a stop leaves no connection behind and no traceback in the log, at whatever moment it comes;
only who is told twice to hurry leaves a broker that says nothing to the library's own time limit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def entered(client: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """`async with`, but a cancellation while it connects waits until it is in or refused, then lets it go.

    The library would leave the connection to itself. A second cancellation waits no longer: see the law.
    """
    async with AsyncExitStack() as inside:
        entering = asyncio.create_task(inside.enter_async_context(client))
        try:
            await asyncio.wait({entering})
        except asyncio.CancelledError:
            await asyncio.wait({entering})
            raise
        finally:
            entering.add_done_callback(_seen)
            entering.cancel()
        try:
            yield entering.result()
        finally:
            del entering  # an error in it would hold this frame, and so itself and the socket


def told_late(record: logging.LogRecord) -> bool:
    """Whether the library reports an answer that came when we had ceased to wait for it: no fault.

    These, and no other lines of its, come with a traceback.
    """
    return record.exc_info is not None


def _seen(entering: asyncio.Task[T]) -> None:
    if not entering.cancelled():
        entering.exception()
