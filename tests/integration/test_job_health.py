"""A job that does not succeed any more is an alarm that people are told, and that ends by itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central import jobs as jobs_module
from central.config import JobsSettings
from central.ending import end
from central.job_watch import LOOKS, JobWatch
from central.jobs import Jobs
from central.store import jobs as records
from central.store.jobs import AT_LEAST, MISSED, Job, is_overdue
from tests.harness.town import Town
from tests.harness.wait import eventually

PERIODS = {"due": 1.0, "keeping": 3600.0}


@pytest.fixture
async def town(town: Town) -> Town:
    async with town.store.transaction() as tx:
        await records.expect(tx, PERIODS)
    return town


async def works(town: Town, *names: str) -> None:
    async with town.store.transaction() as tx:
        for name in names:
            await records.succeeded(tx, name)


async def looks(watch: JobWatch, count: int = LOOKS) -> list[str]:
    said: list[str] = []
    for _ in range(count):
        said = await watch.look()
    return said


async def states(town: Town) -> dict[str, str]:
    rows = await town.rows("SELECT part, state FROM alarm WHERE condition = 'system' ORDER BY id")
    return {row["part"]: row["state"] for row in rows}


async def test_a_job_that_stops_succeeding_is_told_to_people_and_its_recovery_ends_it(town: Town) -> None:
    """Told to the command centre as every alarm of our own is; another job that goes on is not in it."""
    watch = JobWatch(town.store)
    town.time.forward(minutes=5)
    await works(town, "keeping")
    assert await looks(watch) == ["due"]
    assert await states(town) == {"job:due:street": "active_unacknowledged"}
    told = await town.rows("SELECT worker, purpose FROM delivery")
    assert ("desk", "alarm") in {(row["worker"], row["purpose"]) for row in told}
    detail = (await town.one("SELECT detail FROM alarm"))["detail"]
    assert detail["job"] == "due"
    await looks(watch)
    assert len(await town.rows("SELECT FROM alarm")) == 1, "one fault, one alarm"
    await works(town, "due")
    assert await looks(watch, 1) == []
    assert await states(town) == {"job:due:street": "closed"}


async def test_a_restart_of_the_jobs_proves_nothing(town: Town) -> None:
    """A process that starts again and again and never gets through stays overdue."""
    watch = JobWatch(town.store)
    for _ in range(4):
        town.time.forward(seconds=40)
        async with town.store.transaction() as tx:
            await records.expect(tx, PERIODS)
    assert await looks(watch) == ["due"]


async def test_a_leap_of_the_clock_or_an_outage_gives_the_jobs_time_to_come_first(town: Town) -> None:
    """All are overdue at the first look; who has succeeded by the third was never stuck."""
    watch = JobWatch(town.store)
    town.time.forward(hours=30)
    assert await looks(watch, LOOKS - 1) == []
    await works(town, *PERIODS)
    assert await looks(watch) == []
    assert await states(town) == {}


async def test_two_watchers_raise_one_alarm(town: Town) -> None:
    """That of the worker's process and that of the jobs' own, at the same time."""
    watchers = [JobWatch(town.store), JobWatch(town.store)]
    town.time.forward(minutes=5)
    await works(town, "keeping")
    for _ in range(LOOKS):
        await asyncio.gather(*(watch.look() for watch in watchers))
    assert await states(town) == {"job:due:street": "active_unacknowledged"}
    assert len(await town.rows("SELECT FROM alarm")) == 1


async def test_a_job_that_a_newer_version_no_longer_has_is_not_missed(town: Town) -> None:
    """Its open alarm ends."""
    watch = JobWatch(town.store)
    town.time.forward(hours=30)
    await works(town, "due")
    assert await looks(watch) == ["keeping"]
    async with town.store.transaction() as tx:
        await records.expect(tx, {"due": 1.0})
    assert await looks(watch, 1) == []
    assert await states(town) == {"job:keeping:street": "closed"}


@pytest.mark.parametrize("ending", ["raises", "hangs"])
async def test_a_tick_that_never_gets_through_becomes_an_alarm_and_the_others_do_not(
    town: Town, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """The real scheduler with one job that fails or hangs, and then works again."""
    broken = True
    once = asyncio.Event()

    async def shaky(_tx: object) -> int:
        if broken and ending == "raises":
            raise RuntimeError("a bug")
        if broken:
            await once.wait()
        return 0

    monkeypatch.setattr(jobs_module.pipeline, "run_due", shaky)
    monkeypatch.setattr(jobs_module, "SETTLE_S", 1.0)  # it is waited for below
    jobs = Jobs(town.store, JobsSettings(), lambda: datetime.now(UTC))
    task = asyncio.create_task(jobs.run())
    watch = JobWatch(town.store)
    try:
        others = [name for name, every_s in jobs.ticks.items() if name != "due" and MISSED * every_s < 70]
        await succeeds(town, *others)
        town.time.forward(seconds=70)  # too long for these
        await succeeds(town, *others)
        assert await looks(watch) == ["due"]
        broken = False
        once.set()
        await succeeds(town, "due")
        assert await looks(watch, 1) == []
        assert (await states(town))["job:due:street"] == "closed"
    finally:
        await end([task])


async def succeeds(town: Town, *names: str) -> None:
    """Wait until each of these has succeeded at the present time."""

    async def all_have() -> bool:
        async with town.store.transaction() as tx:
            late = [job.name for job in await records.on_record(tx) if tx.now - job.succeeded_at > AT_LEAST]
            known = {job.name for job in await records.on_record(tx)}
        return set(names) <= known and not set(names) & set(late)

    await eventually(all_have, 15)


@given(every_s=st.floats(0.1, 1e6), since_s=st.floats(-1e6, 1e7))
def test_overdue_is_who_missed_three_periods_and_a_minute(every_s: float, since_s: float) -> None:
    """Never a job whose clock ran ahead, never within a minute, and never one that is no more."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    job = Job("x", timedelta(seconds=every_s), now - timedelta(seconds=since_s))
    limit = max(MISSED * timedelta(seconds=every_s), AT_LEAST)
    assert is_overdue(job, now) is (timedelta(seconds=since_s) > limit)
    assert not is_overdue(job._replace(every=None), now)
