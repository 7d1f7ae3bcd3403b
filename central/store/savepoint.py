"""A transaction within the transaction, and many statements in one round trip.

Law of this file: what fails inside leaves the outer one whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from central.store.pool import Tx, translated


@asynccontextmanager
async def savepoint(tx: Tx) -> AsyncIterator[None]:
    """Undo what the block did when it raises; psycopg's errors come out as StoreError."""
    with translated():
        async with tx.conn.transaction():
            yield


@asynccontextmanager
async def in_one_go(tx: Tx) -> AsyncIterator[None]:
    """Send the statements of the block without waiting for each: for writes whose answers nobody reads."""
    with translated():
        async with tx.conn.pipeline():
            yield


async def at_once(*questions: Coroutine[None, None, None]) -> None:
    """Ask all within `in_one_go` before any waits for its answer, where they `ask` one statement each.

    Raises the first error, when nobody uses the connection any more.
    """
    for done in await asyncio.gather(*questions, return_exceptions=True):
        if isinstance(done, BaseException):
            raise done
