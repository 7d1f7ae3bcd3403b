"""Trends from roll-ups to alarms: one a part, kept up to date, ended with its cause."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from central import pipeline
from central.engine.model import Act, ActKind, Cause, Disposition
from central.store.rollups import CHINA
from device_profiles.load import load_profiles
from tests.harness.town import Town

PROFILES = load_profiles()


@pytest.fixture
async def town(town: Town) -> Town:
    await town.do("INSERT INTO series (gateway, detector) VALUES ('gw-1', 'det-1'), ('gw-1', 'det-2')")
    await town.do("UPDATE placement SET from_at = now() - interval '2 years'")
    return town


async def today(town: Town) -> datetime:
    """The midnight with which today begins, at least two hours ago."""
    async with town.store.transaction() as tx:
        now = tx.now.astimezone(CHINA)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    town.time.forward(seconds=(midnight + timedelta(hours=12) - now).total_seconds())
    return midnight


async def day(town: Town, midnight: datetime, ago: int, **values: float) -> None:
    """The roll-up of one day of det-1, in which a hundred readings said about the same."""
    names = ", ".join(f"{name}_min, {name}_max, {name}_sum" for name in values)
    said = ", ".join(f"{value - 0.2}, {value + 0.2}, {value * 100}" for value in values.values())
    every = ("smoke", "temperature", "battery", "contamination")
    counts = ", ".join(f"{100 if name in values else 0}" for name in every)
    async with town.store.transaction() as tx:
        await tx.conn.execute(
            f"INSERT INTO rollup_day (series, bucket, n, smoke_n, temperature_n, battery_n, contamination_n,"
            f" {names}) SELECT id, %s, 100, {counts}, {said} FROM series WHERE detector = 'det-1'".encode(),
            (midnight - timedelta(days=ago),),
        )


async def judge(town: Town) -> int:
    count = 0
    while True:
        async with town.store.transaction() as tx:
            judged = await pipeline.judge_trends(tx, PROFILES)
        if not judged:
            return count
        count += judged


async def dusty(town: Town) -> datetime:
    """Sixty days in which dust grew by half a per cent a day, to 69 %."""
    midnight = await today(town)
    for ago in range(1, 61):
        await day(town, midnight, ago, contamination=69.5 - ago * 0.5)
    return midnight


ALARMS = "SELECT id, state, part, household, severity, detail FROM alarm WHERE condition = 'trend'"


async def test_dust_that_grows_is_one_alarm_at_its_home_with_words_and_the_picture(town: Town) -> None:
    """Judged once a day: four parts the first time, none the second."""
    await dusty(town)
    assert await judge(town) == 4
    assert await judge(town) == 0
    alarm = await town.one(ALARMS)
    assert (alarm["part"], alarm["household"], alarm["severity"]) == ("det-1", "h1", "care")
    (finding,) = alarm["detail"]["findings"]
    assert finding["rule"] == "contamination"
    assert finding["per_day"] == pytest.approx(0.5, abs=0.05)
    assert len(finding["picture"]["points"]) >= 10
    assert "80" in alarm["detail"]["text"]


async def test_the_next_day_it_is_kept_up_to_date_and_cleaning_ends_it(town: Town) -> None:
    """No second alarm; the last one closes by itself, and nothing is left to remember."""
    midnight = await dusty(town)
    await judge(town)
    first = await town.one(ALARMS)
    town.time.forward(days=1)
    await day(town, midnight, 0, contamination=69.5)
    assert await judge(town) == 4
    second = await town.one(ALARMS)
    assert second["id"] == first["id"]
    assert second["detail"]["findings"][0]["level"] > first["detail"]["findings"][0]["level"]
    for later in (1, 2, 3, 4):
        town.time.forward(days=1)
        await day(town, midnight, -later, contamination=12.0)
        await judge(town)
    assert (await town.one(ALARMS))["state"] == "closed"
    assert await town.rows("SELECT FROM finding") == []


async def test_one_that_a_person_has_closed_does_not_come_back_while_nothing_is_new(town: Town) -> None:
    """It is still judged; when it becomes more urgent a new alarm is opened."""
    midnight = await dusty(town)
    await judge(town)
    first = await town.one(ALARMS)
    async with town.store.transaction() as tx:
        done = Act(ActKind.CLOSE, Disposition.DEVICE_FAULT, Cause.OTHER, "comes with the next round")
        await pipeline.act(tx, first["id"], done, "fitter", "test")
    urgency = [first["detail"]["findings"][0]["urgency"]]
    for later in range(12):
        town.time.forward(days=1)
        await day(town, midnight, -later, contamination=69.5 + later * 0.5)
        await judge(town)
        (kept,) = await town.rows("SELECT body ->> 'urgency' AS urgency FROM finding")
        urgency.append(kept["urgency"])
        if urgency[-1] == urgency[0]:
            assert len(await town.rows(ALARMS)) == 1
    assert len(set(urgency)) >= 2
    assert len(await town.rows(ALARMS)) == 2


async def test_a_detector_that_is_taken_down_takes_its_trend_with_it(town: Town) -> None:
    """Nobody is sent to a home where it does not hang."""
    await dusty(town)
    await judge(town)
    await town.do("UPDATE placement SET to_at = now() WHERE detector = 'det-1'")
    assert await judge(town) == 1
    assert (await town.one(ALARMS))["state"] == "closed"
    assert await town.rows("SELECT FROM finding") == []


async def test_a_gateways_clock_that_runs_away_is_told_before_it_is_wrong(town: Town) -> None:
    """Samples of the boot that runs; those of an earlier boot with an unknown clock count for nothing."""
    await today(town)
    async with town.store.transaction() as tx:
        await tx.conn.execute(
            "INSERT INTO clock_sample SELECT 'gw-1', date_trunc('hour', at), at, %s, false, 40 - n * 0.15"
            " FROM generate_series(1, 120) n, LATERAL (SELECT %s - n * interval '1 hour' AS at) AS of",
            ("b" * 32, tx.now),
        )
        await tx.conn.execute(
            "INSERT INTO clock_sample SELECT 'gw-1', date_trunc('hour', at), at, %s, false, 900"
            " FROM generate_series(130, 140) n, LATERAL (SELECT %s - n * interval '1 hour' AS at) AS of",
            ("a" * 32, tx.now),
        )
    await judge(town)
    alarm = await town.one(ALARMS)
    assert (alarm["part"], alarm["detail"]["findings"][0]["rule"]) == ("", "clock_drift")
