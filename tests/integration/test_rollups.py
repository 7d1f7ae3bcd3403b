"""Roll-ups are what the readings say, in whatever order readings come and however often the job is cut."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from central.store import retention, rollups
from central.store.pool import Store
from tests.harness.rolled import BEGAN, a_batch, differences, give_series, put, rows_of
from tests.harness.street import opened


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    async with opened(database) as store:
        yield store


async def roll_all(store: Store) -> None:
    """Everything that is touched, as the jobs do."""
    roller = rollups.Roller(store, asyncio.get_running_loop().time)
    await roller.minutes()
    await roller.hours_and_days()


class CutError(Exception):
    """The program ends here."""


@pytest.mark.parametrize("seed", range(4))
async def test_roll_ups_equal_the_readings_whatever_the_order_and_however_often_the_job_is_cut(
    store: Store, seed: int
) -> None:
    """Random rows, late ones among them, from two gateways; turns of the job in between, some rolled back."""
    chance = random.Random(seed)
    gateways = {}
    async with store.transaction() as tx:
        for gateway in ("gw-1", "gw-2"):
            gateways[gateway] = await give_series(tx, gateway, [f"{gateway}-d{n}" for n in range(3)])
    for turn in range(30):
        gateway = chance.choice(list(gateways))
        async with store.transaction() as tx:
            await put(tx, gateway, a_batch(chance, gateways[gateway]), 1_772_000_000_000 + turn)
        for roll in (rollups.roll_minutes, rollups.roll_hours, rollups.roll_days):
            if chance.random() < 0.5:
                try:
                    async with store.transaction() as tx:
                        await roll(tx, chance.randrange(1, 8))
                        if chance.random() < 0.3:
                            raise CutError
                except CutError:
                    pass
    await roll_all(store)
    async with store.transaction() as tx:
        assert await differences(tx) == []
        assert await rows_of(tx, "SELECT FROM touched UNION ALL SELECT FROM touched_hour") == []
        assert await rows_of(tx, "SELECT FROM touched_day") == []


async def test_readings_whose_transaction_commits_after_a_younger_one_are_not_missed(store: Store) -> None:
    """The older transaction was open while the job ran over the younger one's rows."""
    chance = random.Random(7)
    async with store.transaction() as tx:
        series = await give_series(tx, "gw-1", ["d1", "d2"])
        await put(tx, "gw-1", a_batch(chance, series, days=0), 0)  # makes the chunk, which locks
    async with store.transaction() as older:
        await put(older, "gw-1", a_batch(chance, series, days=0), 1)
        async with store.transaction() as younger:
            await put(younger, "gw-1", a_batch(chance, series, days=0), 2)
        await roll_all(store)
    await roll_all(store)
    async with store.transaction() as tx:
        assert await differences(tx) == []


async def test_a_second_job_stands_aside(store: Store) -> None:
    """It would overwrite what the first has seen more of."""
    async with store.transaction() as first:
        assert await rollups.roll_minutes(first, 10) == 0
        async with store.transaction() as second:
            assert await rollups.roll_minutes(second, 10) is None


_WORKER = """
import asyncio, sys, time
from central.store.pool import Store
from central.store.rollups import Roller

async def main():
    store = Store(sys.argv[1])
    await store.open()
    roller = Roller(store, time.monotonic)
    print("at work", flush=True)
    while True:
        await roller.minutes()
        await roller.hours_and_days()

asyncio.run(main())
"""


async def test_a_job_killed_in_the_middle_leaves_the_roll_ups_true(store: Store, database: str) -> None:
    """By kill -9 while readings come; the next one goes on where the rows say."""
    chance = random.Random(11)
    async with store.transaction() as tx:
        series = await give_series(tx, "gw-1", ["d1", "d2", "d3"])
    for _ in range(4):
        job = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WORKER, database, stdout=asyncio.subprocess.PIPE
        )
        assert job.stdout is not None
        await job.stdout.readline()
        for turn in range(chance.randrange(5, 25)):
            async with store.transaction() as tx:
                await put(tx, "gw-1", a_batch(chance, series), turn)
        job.kill()
        await job.wait()
    await wait_for_the_lock(store)
    await roll_all(store)
    async with store.transaction() as tx:
        assert await differences(tx) == []


async def wait_for_the_lock(store: Store) -> None:
    """The database ends a killed program's transaction a moment later."""
    async with asyncio.timeout(20):
        while True:
            async with store.transaction() as tx:
                if await rollups.roll_days(tx, 1) is not None:
                    return
            await asyncio.sleep(0.05)


async def test_what_comes_late_into_a_forgotten_time_damages_no_roll_up(store: Store) -> None:
    """Raw readings go after their time; the roll-up of their minute stays when one more comes too late."""
    old = int((BEGAN - timedelta(days=200)).timestamp()) * 1000 // 60_000 * 60_000
    async with store.transaction() as tx:
        (series,) = await give_series(tx, "gw-1", ["d1"])
        await put(tx, "gw-1", [(series, old + n * 1000, 1.0, None, None, None, 0) for n in range(10)], 1)
    await roll_all(store)
    async with store.transaction() as tx:
        assert await retention.forget_readings(tx, timedelta(days=90)) > 0
        assert await rows_of(tx, "SELECT FROM readings") == []
        await put(tx, "gw-1", [(series, old + 500, 9.0, None, None, None, 0)], 2)
    await roll_all(store)
    async with store.transaction() as tx:
        for unit in ("minute", "hour", "day"):
            (row,) = await rows_of(tx, f"SELECT n, smoke_sum FROM rollup_{unit}")
            assert (row["n"], row["smoke_sum"]) == (10, 10.0)


async def test_minutes_and_hours_are_forgotten_after_their_time_and_days_stay(store: Store) -> None:
    """On plain tables row by row, on hypertables chunk by chunk."""
    async with store.transaction() as tx:
        for unit in ("minute", "hour", "day"):
            await tx.conn.execute(
                f"INSERT INTO rollup_{unit}"
                " (series, bucket, n, smoke_n, temperature_n, battery_n, contamination_n)"
                " SELECT 1, now() - d * interval '20 days', 1, 0, 0, 0, 0"
                " FROM generate_series(0, 150) d".encode()
            )
        assert await retention.forget_minutes(tx, timedelta(days=366)) > 0
        assert await retention.forget_hours(tx, timedelta(days=1827)) > 0
        for unit, days in (("minute", 366), ("hour", 1827), ("day", 3000)):
            (row,) = await rows_of(tx, f"SELECT count(*) AS n, now() - min(bucket) AS age FROM rollup_{unit}")
            assert days // 20 <= row["n"] <= days // 20 + 6
            assert row["age"] < timedelta(days=days + 91)
