"""Readings go in by COPY with their cursor; nothing absurd, nothing twice."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from central import pipeline
from central.store.series import SeriesIds
from tests.harness.town import AREA, BOOT, GATEWAY, STREAM, Town
from wire.messages import Ack, Clock, Lane, ReadingBatch


async def send(
    town: Town,
    first: int,
    rows: int,
    counted: Counter[str] | None = None,
    ids: SeriesIds | None = None,
    **more: Any,
) -> Ack:
    values: dict[str, Any] = {
        "oldest_seq": 1,
        "smoke": [0.1] * rows,
        "detector": ["det-1"] * rows,
        "clock": Clock(mono_ms=7, wall_ms=10_000 + rows * 1000),
        "t": [10_000 + i * 1000 for i in range(rows)],
    }
    sent = ReadingBatch(stream=STREAM, first_seq=first, boot=BOOT, **{**values, **more})
    async with town.store.transaction() as tx:
        arrival = pipeline.Arrival(AREA, GATEWAY, sent, tx.now)
        (ack,) = await pipeline.take_readings(tx, [arrival], counted, ids)
        return ack


async def test_overlapping_batches_are_cut_and_one_ahead_is_answered_not_stored(town: Town) -> None:
    """The answer always stands at the cursor."""
    assert (await send(town, 1, 10)).through_seq == 10
    ack = await send(town, 6, 10)
    assert (ack.through_seq, ack.lane, ack.echo_ms) == (15, Lane.READINGS, 7)
    assert (await send(town, 30, 5)).through_seq == 15
    assert len(await town.rows("SELECT FROM readings")) == 15


async def test_what_was_dropped_at_the_edge_is_a_gap_on_record(town: Town) -> None:
    """The cursor goes on behind it."""
    assert (await send(town, 101, 5, oldest_seq=101)).through_seq == 105
    assert await town.one("SELECT from_seq, to_seq, lane FROM data_gap") == {
        "from_seq": 1,
        "to_seq": 100,
        "lane": "readings",
    }


async def test_values_no_sensor_can_mean_are_kept_out_counted_and_put_aside(town: Town) -> None:
    """The rest of the row stays; the value can be looked up with its detector."""
    counted: Counter[str] = Counter()
    await send(
        town,
        1,
        2,
        counted,
        detector=["det-1", "det-2"],
        smoke=[1e30, 0.5],
        temperature=[21.5, -300.0],
        status=[2**40, 3],
    )
    rows = await town.rows(
        "SELECT detector, smoke, temperature, status FROM readings JOIN series ON id = series ORDER BY at"
    )
    assert rows == [
        {"detector": "det-1", "smoke": None, "temperature": 21.5, "status": None},
        {"detector": "det-2", "smoke": 0.5, "temperature": None, "status": 3},
    ]
    assert counted == {"readings": 2, "absurd": 3}
    aside = await town.one("SELECT topic, gateway, reason, payload FROM quarantine")
    assert (aside["topic"], aside["gateway"]) == (f"smokewatch/v1/{AREA}/{GATEWAY}/up/readings", GATEWAY)
    assert aside["reason"] == "no sensor can mean this: smoke 1e+30 of det-1, and 2 more"
    assert json.loads(aside["payload"]) == [
        ["det-1", 10_000, "smoke", "1e+30"],
        ["det-2", 11_000, "temperature", "-300.0"],
        ["det-1", 10_000, "status", str(2**40)],
    ]
    await send(town, 1, 2, detector=["det-1", "det-2"], smoke=[1e30, 0.5])
    assert len(await town.rows("SELECT FROM quarantine")) == 1, "a repeat is put aside once"


async def test_a_detector_nobody_registered_is_kept_out_and_named_to_the_gateway(town: Town) -> None:
    """The others' rows go in, the cursor goes on; once it is registered its readings are kept."""
    counted: Counter[str] = Counter()
    ids = SeriesIds()
    mixed = {"detector": ["det-1", "stranger", "det-2"], "smoke": [0.1, None, 0.3], "temperature": [1, 2, 3]}
    ack = await send(town, 1, 3, counted, ids=ids, **mixed)
    assert (ack.through_seq, ack.unknown) == (3, ["stranger"])
    stored = "SELECT detector, smoke, temperature AS t FROM readings JOIN series ON id = series ORDER BY at"
    assert [tuple(row.values()) for row in await town.rows(stored)] == [
        ("det-1", pytest.approx(0.1), 1.0),
        ("det-2", pytest.approx(0.3), 3.0),
    ]
    assert counted == {"readings": 2, "strangers": 1}
    await town.do("INSERT INTO detector VALUES ('stranger', 'smokewatch-reference')")
    ack = await send(town, 4, 3, counted, ids=ids, **mixed)
    assert (ack.through_seq, ack.unknown) == (6, [])
    assert counted == {"readings": 5, "strangers": 1}
    assert len(await town.rows("SELECT FROM series")) == 3


async def test_numbers_that_a_rolled_back_transaction_gave_are_not_remembered(town: Town) -> None:
    """What it wrote is gone, and so are its numbers; another epoch's numbers are another database's."""
    ids, asked = SeriesIds(), [(GATEWAY, ["det-1"])]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with town.store.transaction() as tx:
                assert (await ids.find(tx, asked))[0][0] is not None
                raise ZeroDivisionError
    async with town.store.transaction() as tx:
        first = await ids.find(tx, asked)
    async with town.store.transaction() as tx:
        assert await ids.find(tx, asked) == first
    await town.do("DELETE FROM series")
    await town.do("UPDATE epoch SET epoch = repeat('f', 32)")
    async with town.store.transaction() as tx:
        assert await ids.find(tx, asked) != first


@pytest.mark.parametrize("wild", [0, 4_102_444_800_000, -(2**53), 2**53])
async def test_times_are_the_centres_whatever_the_agents_clock_says(town: Town, wild: int) -> None:
    """By age at sending when that is sane, else the receipt."""
    await send(town, 1, 1, t=[wild], clock=Clock(mono_ms=1, wall_ms=10_000))
    row = await town.one("SELECT at <= received_at + interval '5 minutes' AS sane, at FROM readings")
    assert row["sane"]
    assert row["at"].year >= 2025
