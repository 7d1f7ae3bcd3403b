"""A transaction within the transaction, and many statements in one round trip.

Law of this file: what fails inside leaves the outer one whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, asynccontextmanager
from typing import LiteralString

from psycopg.sql import SQL, Identifier

from central.ending import cancellation_kept
from central.store.pool import Tx, translated


@asynccontextmanager
async def savepoint(tx: Tx) -> AsyncIterator[None]:
    """Undo what the block did when it raises; psycopg's errors come out as StoreError."""
    with translated():
        async with tx.conn.transaction():
            yield


@asynccontextmanager
async def in_one_go(tx: Tx) -> AsyncIterator[None]:
    """Send the statements of the block without waiting for each, and read the answers after it.

    A cancellation is raised as one, though the library, interrupted on its way out, may make an error of it.
    """
    with translated(), cancellation_kept(), ExitStack() as left:
        async with tx.conn.pipeline() as pipeline:
            # Interrupted there, it would ask for these when nobody waits for it any more.
            left.callback(pipeline.result_queue.clear)
            yield


async def mark(tx: Tx, name: LiteralString) -> None:
    """A point to which `undo` goes back. Within `in_one_go` it costs no round trip, and needs no end.

    `name` is of the caller's own: what lies within must not mark by the same name.
    """
    await tx.conn.execute(SQL("SAVEPOINT {}").format(Identifier(name)), prepare=False)


async def undo(tx: Tx, name: LiteralString) -> None:
    """Nothing happened since the last `mark` of this name; to be called outside of `in_one_go`."""
    if not tx.conn.closed:
        with translated():
            await tx.conn.execute(SQL("ROLLBACK TO SAVEPOINT {}").format(Identifier(name)), prepare=False)


async def at_once(*questions: Coroutine[None, None, None]) -> None:
    """Ask all within `in_one_go` before any waits for its answer, where they `ask` one statement each.

    Raises the first error, when nobody uses the connection any more.
    """
    for done in await asyncio.gather(*questions, return_exceptions=True):
        if isinstance(done, BaseException):
            raise done
