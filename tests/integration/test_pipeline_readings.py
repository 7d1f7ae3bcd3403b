"""Readings go in by COPY with their cursor; nothing absurd, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from central import pipeline
from tests.harness.town import AREA, BOOT, GATEWAY, STREAM, Town, open_town
from wire.messages import Ack, Clock, Lane, ReadingBatch


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    made = await open_town(database)
    yield made
    await made.store.close()


async def send(town: Town, first: int, rows: int, counted: Counter[str] | None = None, **more: Any) -> Ack:
    values: dict[str, Any] = {
        "oldest_seq": 1,
        "smoke": [0.1] * rows,
        "detector": ["det-1"] * rows,
        "clock": Clock(mono_ms=7, wall_ms=10_000 + rows * 1000),
        "t": [10_000 + i * 1000 for i in range(rows)],
    }
    sent = ReadingBatch(stream=STREAM, first_seq=first, boot=BOOT, **{**values, **more})
    async with town.store.transaction() as tx:
        (ack,) = await pipeline.take_readings(tx, [pipeline.Arrival(AREA, GATEWAY, sent, tx.now)], counted)
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


async def test_values_no_sensor_can_mean_are_kept_out_and_counted(town: Town) -> None:
    """The rest of the row stays; an unknown detector's reading is a reading."""
    counted: Counter[str] = Counter()
    await send(
        town,
        1,
        2,
        counted,
        detector=["det-1", "stranger"],
        smoke=[1e30, 0.5],
        temperature=[21.5, -300.0],
        status=[2**40, 3],
    )
    rows = await town.rows("SELECT detector, smoke, temperature, status FROM readings ORDER BY at")
    assert rows == [
        {"detector": "det-1", "smoke": None, "temperature": 21.5, "status": None},
        {"detector": "stranger", "smoke": 0.5, "temperature": None, "status": 3},
    ]
    assert counted == {"readings": 2, "absurd": 3}


@pytest.mark.parametrize("wild", [0, 4_102_444_800_000, -(2**53), 2**53])
async def test_times_are_the_centres_whatever_the_agents_clock_says(town: Town, wild: int) -> None:
    """By age at sending when that is sane, else the receipt."""
    await send(town, 1, 1, t=[wild], clock=Clock(mono_ms=1, wall_ms=10_000))
    row = await town.one("SELECT at <= received_at + interval '5 minutes' AS sane, at FROM readings")
    assert row["sane"]
    assert row["at"].year >= 2025
