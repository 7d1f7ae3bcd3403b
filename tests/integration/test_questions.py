"""Questions through the store, and the same answers from both editions of the database."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from central.store import fleet, questions, rollups
from central.store.migrate import migrate
from central.store.pool import Store
from central.store.questions import QUIET
from simulator.parts import Postgres
from simulator.parts.child import PartError
from tests.harness.asked import answers
from tests.harness.database import new_database
from tests.harness.programs import lacking
from tests.harness.rolled import BEGAN, Row, a_batch, give_series, put, then
from tests.harness.street import opened
from tests.harness.timescale import Timescale
from tests.harness.town import found

TSL = "SMOKEWATCH_TSL_DSN"
BEGIN, END = BEGAN - timedelta(days=1), BEGAN + timedelta(days=5)


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(town, database)
    async with opened(database, clock_shift=then) as store:
        yield store


def town(dsn: str) -> None:
    """The town, since before any reading, and times that are the same in each database."""
    found(dsn)
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("UPDATE placement SET from_at = '2026-02-01'")
        db.execute("UPDATE gateway SET registered_at = '2026-02-01'")


async def fill(store: Store, seed: int) -> None:
    """Readings of three detectors at random, late ones among them; an outage, a gap that can never come."""
    chance = random.Random(seed)
    async with store.transaction() as tx:
        series = {"gw-1": await give_series(tx, "gw-1", ["det-1", "det-2"])}
        series["gw-2"] = await give_series(tx, "gw-2", ["det-1"])
    for turn in range(40):
        gateway = chance.choice(("gw-1", "gw-1", "gw-2"))
        async with store.transaction() as tx:
            await put(tx, gateway, a_batch(chance, series[gateway], 4.0), 1_772_000_000_000 + turn)
        if chance.random() < 0.3:
            await roll_all(store)
    async with store.transaction() as tx:
        for minutes in range(0, 4000, 700):
            await away(tx, "gw-1", "det-1", "no_response", minutes, minutes + chance.randrange(1, 90))
        await away(tx, "gw-1", "", "gateway_silent", 700, 760)
        await tx.conn.execute(
            "INSERT INTO data_gap (gateway, stream, lane, from_seq, to_seq, noted_at)"
            " VALUES ('gw-1', 's', 'readings', 5, 9, %s)",
            (BEGAN,),
        )
    await roll_all(store)


async def away(tx, gateway: str, part: str, condition: str, begin: int, end: int) -> None:
    """An alarm that came and went, minutes after BEGAN."""
    low, high = (BEGAN + timedelta(minutes=minutes) for minutes in (begin, end))
    made = await tx.conn.execute(
        "INSERT INTO alarm (condition, severity, area, gateway, part, state, opened_at, event_at, closed_at,"
        " disposition) VALUES (%s, 'unwatched', 'street', %s, %s, 'closed', %s, %s, %s, 'returned_to_normal')"
        " RETURNING id",
        (condition, gateway, part, low, low, high),
    )
    alarm = (await made.fetchone())["id"]
    for at, before, after in (
        (low, None, "active_unacknowledged"),
        (high, "active_unacknowledged", "closed"),
    ):
        await tx.conn.execute(
            "INSERT INTO alarm_log (alarm, at, what, from_state, to_state, who, reason)"
            " VALUES (%s, %s, 'x', %s, %s, 'system', 'x')",
            (alarm, at, before, after),
        )


async def roll_all(store: Store) -> None:
    roller = rollups.Roller(store, asyncio.get_running_loop().time)
    await roller.minutes()
    await roller.hours_and_days()


def row(series: int, at: datetime, smoke: float | None = None, battery: float | None = None) -> Row:
    return series, int(at.timestamp()) * 1000, smoke, None, battery, None, None


async def test_a_detectors_series_tells_no_data_from_no_smoke(store: Store) -> None:
    """Zeros are points; a silence is a gap with its cause; a quiet hour is neither."""
    async with store.transaction() as tx:
        (series,) = await give_series(tx, "gw-1", ["det-1"])
        minutes = [*range(0, 60, 5), 120, *range(300, 360, 5)]
        rows = [row(series, BEGAN + timedelta(minutes=m), 0.0 if m else 1.5) for m in minutes]
        await put(tx, "gw-1", rows, 1)
        await away(tx, "gw-1", "det-1", "no_response", 150, 290)
    await roll_all(store)
    async with store.transaction() as tx:
        told = await questions.series(tx, "det-1", BEGAN, BEGAN + timedelta(hours=6), points=36)
    assert told is not None
    assert (told.source, told.width_s, told.lost) == ("minute", 600, ())
    assert [(point.n, point.smoke and (point.smoke.min, point.smoke.max)) for point in told.points][:2] == [
        (2, (0.0, 1.5)),
        (2, (0.0, 0.0)),
    ]
    assert [(gap.begin, gap.end, gap.why) for gap in told.gaps] == [
        (BEGAN + timedelta(minutes=130), BEGAN + timedelta(minutes=300), ("no_response",))
    ]
    assert timedelta(minutes=60) < QUIET


@pytest.mark.parametrize(
    "span", [timedelta(minutes=30), timedelta(hours=9), timedelta(days=20), timedelta(days=800)]
)
async def test_whatever_roll_up_serves_it_the_sum_is_that_of_the_readings(
    store: Store, span: timedelta
) -> None:
    """Counts, lowest and highest over the whole are the same at every resolution."""
    await fill(store, 3)
    middle = BEGAN + timedelta(days=2)
    async with store.transaction() as tx:
        told = await questions.series(tx, "det-1", middle - span / 2, middle + span / 2, points=100)
        assert told is not None
        direct = await tx.conn.execute(
            "SELECT count(*) AS n, min(smoke) AS low, max(smoke) AS high FROM readings"
            " JOIN series ON id = series WHERE detector = 'det-1' AND at >= %s AND at < %s",
            (told.begin, told.end),
        )
        expected = await direct.fetchone()
    smoke = [point.smoke for point in told.points if point.smoke]
    assert sum(point.n for point in told.points) == expected["n"]
    assert min((value.min for value in smoke), default=None) == expected["low"]
    assert max((value.max for value in smoke), default=None) == expected["high"]


async def test_the_last_state_keeps_each_value_with_its_own_moment(store: Store) -> None:
    """A reading without a battery value does not hide the one before; late ones change nothing newer."""
    async with store.transaction() as tx:
        (series,) = await give_series(tx, "gw-1", ["det-1"])
    later = BEGAN + timedelta(minutes=9)
    for rows in (
        [row(series, BEGAN, 0.5, 9.0)],
        [row(series, later, 0.25)],
        [row(series, BEGAN - QUIET, 4, 8)],
    ):
        async with store.transaction() as tx:
            await put(tx, "gw-1", rows, 1)
        await roll_all(store)
    async with store.transaction() as tx:
        first, second = await questions.state(tx, building="b1")
        assert [one.detector for one in await questions.state(tx, grid="g1", after="det-1")] == ["det-2"]
        assert await questions.state(tx, area="elsewhere") == []
    assert (first.detector, first.at, first.smoke, first.smoke_at) == ("det-1", later, 0.25, later)
    assert (first.battery, first.battery_at, first.temperature) == (9.0, BEGAN, None)
    assert (second.detector, second.at, second.state) == ("det-2", None, "unwatched")


async def test_a_detector_is_away_with_its_gateway_and_no_moment_counts_twice(store: Store) -> None:
    """Of its own, of the gateway's, of both at once; before it was hung nothing is expected."""
    async with store.transaction() as tx:
        await away(tx, "gw-1", "det-1", "no_response", 0, 15)
        await away(tx, "gw-1", "", "gateway_silent", 10, 70)
        await tx.conn.execute("UPDATE placement SET from_at = %s WHERE detector = 'det-2'", (BEGAN,))
        begin, end = BEGAN - timedelta(hours=10), BEGAN + timedelta(hours=10)
        one, two = await fleet.detector_uptime(tx, begin, end)
        (silent, well) = await fleet.gateway_uptime(tx, begin, end)
    assert (one.id, one.expected_s, one.down_s, one.outages) == ("det-1", 72_000, 4200, 1)
    assert one.causes == {"no_response": 900, "gateway_silent": 3600}
    assert one.ratio == pytest.approx(1 - 4200 / 72_000)
    assert (two.id, two.expected_s, two.down_s) == ("det-2", 36_000, 3600)
    assert (silent.down_s, well.down_s, well.ratio) == (3600, 0, 1.0)


@pytest.fixture
def both() -> AsyncIterator[list[str]]:
    """An empty database of each edition."""
    with tempfile.TemporaryDirectory(prefix="smokewatch-test-both-") as name:
        folder = Path(name)
        plain, timescale = Postgres(folder / "plain"), Timescale(folder / "timescale")
        try:
            timescale.start()
        except PartError as error:
            lacking(str(error))
        try:
            plain.start()
            yield [new_database(plain), new_database(timescale)]
        finally:
            plain.stop()
            timescale.remove()


async def test_both_editions_answer_every_question_alike(both: list[str]) -> None:
    """The same random readings, late and missing ones among them, and every question at several ranges."""
    told = []
    for dsn in both:
        await asyncio.to_thread(migrate, dsn)
        await asyncio.to_thread(town, dsn)
        async with opened(dsn, clock_shift=then) as store:
            await fill(store, 5)
            told.append(await answers(store, ["det-1", "det-2", "nobody"], BEGIN, END))
            async with store.transaction() as tx:
                is_hyper = "SELECT count(*) AS n FROM pg_extension WHERE extname = 'timescaledb'"
                told[-1]["edition"] = (await (await tx.conn.execute(is_hyper)).fetchone())["n"]
    plain, timescale = told
    assert (plain.pop("edition"), timescale.pop("edition")) == (0, 1)
    assert plain["export"]
    for question, answer in plain.items():
        assert timescale[question] == answer, question


@pytest.mark.skipif(
    TSL not in os.environ, reason=f"not run: {TSL} names no server with the Community edition"
)
async def test_answers_stay_the_same_when_old_chunks_are_in_the_columnstore() -> None:
    """The options of docs/reference/questions.md, on a database of its own on that server."""
    server = os.environ[TSL]
    name = f"smokewatch_tsl_{int(datetime.now(UTC).timestamp())}"
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f'CREATE DATABASE "{name}"'.encode())
    dsn = psycopg.conninfo.make_conninfo(server, dbname=name)
    try:
        await asyncio.to_thread(migrate, dsn)
        await asyncio.to_thread(town, dsn)
        async with opened(dsn, clock_shift=then) as store:
            await fill(store, 5)
            before = await answers(store, ["det-1", "det-2"], BEGIN, END)
            with psycopg.connect(dsn, autocommit=True) as db:
                db.execute(
                    "ALTER TABLE readings SET (timescaledb.compress,"
                    " timescaledb.compress_segmentby = 'series', timescaledb.compress_orderby = 'at DESC')"
                )
                db.execute("SELECT compress_chunk(c) FROM show_chunks('readings') c")
            assert await answers(store, ["det-1", "det-2"], BEGIN, END) == before
    finally:
        with psycopg.connect(server, autocommit=True) as db:
            db.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
