"""A transaction within the transaction. Law of this file: what fails inside leaves the outer one whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
