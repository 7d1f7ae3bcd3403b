"""Whoever is cancelled within a transaction leaves the next one a connection that can do everything."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import psycopg.waiting
import pytest

from central.store.pool import Store, Tx, ask
from central.store.savepoint import at_once, in_one_go, mark

_TURNS = 45
"""Of the loop. The database has its own pace, so how far the work is by then is not said."""


async def _many(tx: Tx) -> None:
    async with in_one_go(tx):
        for number in range(3):
            await tx.conn.execute("INSERT INTO filled VALUES (%s)", (number,))
    await tx.conn.execute("SELECT 1")


async def _questions(tx: Tx) -> None:
    async def question(number: int) -> None:
        assert await ask(tx, "INSERT INTO filled VALUES (%(n)s) RETURNING number AS n", {"n": number}) == [
            {"n": number}
        ]

    async with in_one_go(tx):
        await mark(tx, "asked")
        await at_once(*(question(number) for number in range(3)))


async def _copied(tx: Tx) -> None:
    async with tx.conn.cursor() as cursor, cursor.copy("COPY filled FROM STDIN") as copy_in:
        for number in range(3):
            await copy_in.write_row((number,))


@pytest.mark.parametrize("work", [_many, _questions, _copied])
async def test_at_whatever_moment_it_is_cancelled_the_next_one_can_copy(
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    work: Callable[[Tx], Awaitable[None]],
) -> None:
    """The library gives way to others when it kept the loop for 5 ms: here at each chance, as under load.

    What was cancelled is there whole or not at all, and the library has nothing to complain of.
    """
    monkeypatch.setattr(psycopg.waiting, "MAX_BUSY_TIME", 0.0)
    store = Store(database, max_connections=1)
    await store.open()
    async with store.transaction() as tx:
        await tx.conn.execute("CREATE TABLE filled (number int)")

    async def one() -> None:
        async with store.transaction() as tx:
            await work(tx)

    for turns in range(_TURNS):
        task = asyncio.create_task(one())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        async with store.transaction() as tx:
            cursor = await tx.conn.execute("SELECT count(*) AS n FROM filled")
            assert await cursor.fetchone() in ({"n": 0}, {"n": 3}), f"cancelled after {turns} turns"
            await _copied(tx)
            await tx.conn.execute("TRUNCATE filled")
    await store.close()
    gc.collect()
    await asyncio.sleep(0)  # what the collector found has its turn
    assert [record.getMessage() for record in caplog.records if record.name == "psycopg"] == []
