"""The server's clock is set back by an hour: who was to be called in a minute is called in a minute."""

from __future__ import annotations

from datetime import timedelta

from central import pipeline
from central.store import clock, leases
from tests.harness.town import Town, batch, event, send
from wire.messages import Condition, EventKind


async def tick(town: Town) -> timedelta:
    """As the job that does what is due."""
    async with town.store.transaction() as tx:
        by = await clock.mend(tx)
    async with town.store.transaction() as tx:
        await pipeline.run_due(tx)
        await pipeline.sweep(tx)
    return by


async def pass_by(town: Town, tens: int) -> None:
    """So many times ten seconds, in which we listen."""
    for _ in range(tens):
        town.time.forward(seconds=10)
        async with town.store.transaction() as tx:
            await leases.beat(tx, "street")
        assert await tick(town) == timedelta(0)


async def test_a_clock_that_was_set_back_delays_no_step_by_more_than_ten_seconds(town: Town) -> None:
    """The backup is called 90 s after the smoke, the gateways' silence noticed when their leases end."""
    async with town.store.transaction() as tx:
        await leases.beat(tx, "street")
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    assert await tick(town) == timedelta(0)
    await pass_by(town, 3)
    town.time.forward(hours=-1)
    by = await tick(town)
    assert timedelta(seconds=3590) < by < timedelta(seconds=3610)
    await pass_by(town, 5)
    assert len(await town.told()) == 1
    await pass_by(town, 2)
    assert {worker for worker, *_ in await town.told()} >= {"primary", "backup", "lead"}
    silent = await town.rows("SELECT gateway FROM lease WHERE silent_since IS NOT NULL ORDER BY gateway")
    assert [row["gateway"] for row in silent] == ["gw-1", "gw-2"]


async def test_a_clock_that_was_far_ahead_and_is_right_again_keeps_nothing_a_year_back(town: Town) -> None:
    """What was scheduled meanwhile comes back with it; small corrections and the usual tick shift nothing."""
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    await tick(town)
    town.time.forward(days=365)
    await tick(town)
    town.time.forward(days=-365)
    assert await tick(town) > timedelta(days=364)
    row = await town.one("SELECT due_at - clock_timestamp() < interval '4 minutes' AS soon FROM due")
    assert row["soon"]
    town.time.forward(seconds=-0.5)
    assert await tick(town) == timedelta(0)
