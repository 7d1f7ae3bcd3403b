"""Ticks: they go on after failures and clock steps, climb alarms by the rows, and forget what is old."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from central import jobs as jobs_module
from central import metrics, pipeline
from central.config import JobsSettings
from central.jobs import Jobs
from central.notifier.channel import Limits
from central.store import deliveries, retention
from central.store.links import LinkState, find_link, forget_links, make_link, revoke_links
from tests.harness.town import AREA, BOOT, GATEWAY, STREAM, Town, batch, event, send
from tests.harness.wait import eventually
from wire.messages import Clock, Condition, EventKind, ReadingBatch


def wall() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def ticking(town: Town, beats: list[str]) -> AsyncIterator[Jobs]:
    jobs = Jobs(town.store, JobsSettings(), wall, beats.append)
    task = asyncio.create_task(jobs.run())
    try:
        yield jobs
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def told_of_smoke(town: Town) -> set[str]:
    """Others may be told of other things: nobody plays ingest here."""
    rows = await town.rows(
        "SELECT worker FROM delivery JOIN alarm ON alarm.id = delivery.alarm WHERE condition = 'smoke'"
    )
    return {row["worker"] for row in rows}


async def test_an_alarm_climbs_by_the_ticks_alone(town: Town) -> None:
    """The rows hold the truth: time moves on, the next tick tells the backup and the community."""
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    async with ticking(town, []):
        town.time.forward(seconds=91)

        async def climbed() -> bool:
            return await told_of_smoke(town) == {"primary", "backup", "lead"}

        await eventually(climbed)


async def test_an_alarm_climbs_after_a_restart_in_between(town: Town) -> None:
    """The ticks end before the step is due; those of the next process do it."""
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    beats: list[str] = []
    async with ticking(town, beats):
        await eventually(lambda: "jobs due" in beats)
    town.time.forward(seconds=200)
    async with ticking(town, []):

        async def climbed() -> bool:
            return {"desk", "backup"} <= await told_of_smoke(town)

        await eventually(climbed)


async def test_a_tick_that_raises_is_counted_and_the_next_one_goes_on(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three failures, then work again; the loop's beat goes on all the time."""
    calls = 0

    async def shaky(_tx: object) -> int:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise RuntimeError("a bug")
        return 0

    monkeypatch.setattr(jobs_module.pipeline, "run_due", shaky)
    monkeypatch.setattr(jobs_module, "DUE_S", 0.05)
    beats: list[str] = []
    async with ticking(town, beats):
        await eventually(lambda: beats.count("jobs due") >= 4)
    assert calls >= 4
    assert 'smokewatch_loop_failures_total{loop="jobs due"}' in metrics.exposition().decode()


async def test_ticks_go_on_after_the_clock_was_set_back(town: Town) -> None:
    """Planned an hour ahead by a clock that was wrong: mended within a second."""
    beats: list[str] = []
    async with ticking(town, beats) as jobs:
        await eventually(lambda: "jobs due" in beats)
        jobs._scheduler.modify_job("due", next_run_time=wall() + timedelta(hours=1))
        beats.clear()
        await eventually(lambda: "jobs due" in beats, 5)
        planned = jobs.next_run("due")
        assert planned is not None
        assert planned < wall() + timedelta(seconds=3)


async def test_what_ingest_stores_is_rolled_up_by_the_ticks_alone(town: Town) -> None:
    """By the pipeline's own note; minutes first, then hours and days."""
    t = [10_000 + n * 1000 for n in range(90)]
    sent = ReadingBatch(
        stream=STREAM,
        first_seq=1,
        oldest_seq=1,
        boot=BOOT,
        clock=Clock(mono_ms=7, wall_ms=t[-1]),
        t=t,
        detector=["det-1"] * 60 + ["stranger"] * 30,
        smoke=[0.5] * 90,
    )
    async with town.store.transaction() as tx:
        await pipeline.take_readings(tx, [pipeline.Arrival(AREA, GATEWAY, sent, tx.now)])
    async with ticking(town, []):

        async def rolled() -> bool:
            return await town.rows("SELECT sum(n)::int AS n FROM rollup_minute") == [{"n": 60}]

        await eventually(rolled)
    async with ticking(town, []):

        async def whole() -> bool:
            found = await town.one(
                "SELECT (SELECT sum(n)::int FROM rollup_hour) AS hours,"
                " (SELECT sum(n)::int FROM rollup_day) AS days,"
                " (SELECT count(*) FROM touched) AS left, (SELECT smoke FROM last_reading) AS last"
            )
            return found == {"hours": 60, "days": 60, "left": 0, "last": 0.5}

        await eventually(whole)


async def test_old_readings_and_quarantine_are_forgotten_and_younger_ones_kept(town: Town) -> None:
    """On plain tables row by row, on hypertables chunk by chunk; the young ones stay."""
    await town.do(
        "INSERT INTO readings (at, received_at, series)"
        " SELECT now() - n * interval '1 day', now(), 1 FROM generate_series(0, 199) n"
    )
    await town.do(
        "INSERT INTO quarantine (received_at, topic, reason, payload)"
        " SELECT now() - n * interval '1 day', 't', 'r', '' FROM generate_series(0, 59) n"
    )
    async with town.store.transaction() as tx:
        assert await retention.forget_readings(tx, timedelta(days=90)) > 0
        assert await retention.forget_quarantine(tx, timedelta(days=30)) == 30
    kept = await town.one("SELECT count(*) AS n, now() - min(at) AS age FROM readings")
    assert 90 <= kept["n"] <= 93
    assert kept["age"] < timedelta(days=93)


async def test_a_link_is_good_until_it_expires_or_is_taken_back(town: Town) -> None:
    """Good, expired, revoked, unknown: each is told apart; only its hash is on record."""
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    alarm = (await town.one("SELECT id FROM alarm"))["id"]
    async with town.store.transaction() as tx:
        token = await make_link(tx, [alarm], "primary", None, timedelta(hours=1))
        other = await make_link(tx, [alarm], "backup", None, timedelta(hours=1))
        assert len(token) == 16
        assert await find_link(tx, token[:-1] + ("A" if token[-1] != "A" else "B")) is None
        found = await find_link(tx, token)
        assert await revoke_links(tx, "backup") == 1
        revoked = await find_link(tx, other)
    assert found is not None
    assert (found.worker_name, found.language, found.state) == ("李网格", "zh", LinkState.GOOD)
    assert revoked is not None
    assert revoked.state is LinkState.REVOKED
    stored = await town.rows("SELECT hash FROM link")
    assert all(token.encode() not in bytes(row["hash"]) for row in stored)
    town.time.forward(hours=2)
    async with town.store.transaction() as tx:
        late = await find_link(tx, token)
        assert late is not None
        assert late.state is LinkState.EXPIRED
        assert await forget_links(tx, timedelta(days=90)) == 0
    await town.do("UPDATE worker SET active = false WHERE id = 'primary'")
    town.time.forward(hours=-2)
    async with town.store.transaction() as tx:
        gone = await find_link(tx, token)
    assert gone is not None
    assert gone.state is LinkState.REVOKED


async def test_messages_that_nobody_sends_become_overdue(town: Town) -> None:
    """Not before 30 s, and not while somebody holds them."""
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))

    async def look() -> deliveries.Backlog:
        async with town.store.transaction() as tx:
            return await deliveries.backlog(tx)

    fresh = await look()
    assert (fresh.waiting, fresh.urgent, fresh.overdue) == (1, 1, 0)
    town.time.forward(seconds=31)
    late = await look()
    assert (late.waiting, late.overdue) == (1, 1)
    assert late.oldest_s >= 31
    async with town.store.transaction() as tx:
        hold = timedelta(seconds=15)
        held = await deliveries.claim(
            tx,
            "console",
            known=["console"],
            urgent=True,
            people=5,
            limit=5,
            hold=hold,
            pace=Limits().urgent,
        )
    assert len(held) == 1
    assert (await look()).overdue == 0
    town.time.forward(seconds=16)
    assert (await look()).overdue == 1
