"""The forecast of the database's size: from yesterday's counts and the tables' own sizes, nothing scanned."""

from __future__ import annotations

from pathlib import Path

import pytest

from central.__main__ import main
from central.store.forecast import FRESH, TEN_YEARS, forecast
from tests.harness.town import Town


async def test_what_a_day_brings_times_what_is_kept(town: Town) -> None:
    """Two detectors: one told 2,000 readings yesterday (no more minutes than a day has), one ten."""
    async with town.store.transaction() as tx:
        await tx.conn.execute(
            "INSERT INTO rollup_day (series, bucket, n, smoke_n, temperature_n, battery_n, contamination_n)"
            " SELECT s, date_bin('1 day', %s - interval '1 day', '2000-01-01 00:00+08'), n, 0, 0, 0, 0"
            " FROM (VALUES (1, 2000), (2, 10)) AS of (s, n)",
            (tx.now,),
        )
        told = await forecast(tx, {"readings": 90, "rollup_minute": 365, "rollup_hour": 1825})
    tables = {table.table: table for table in told.tables}
    assert {name: table.rows_a_day for name, table in tables.items()} == {
        "readings": 2010,
        "rollup_minute": 1450,
        "rollup_hour": 34,
        "rollup_day": 2,
        "event": 0,
    }
    readings = tables["readings"]
    assert readings.final_bytes == max(readings.bytes, 2010 * FRESH["readings"] * 90)
    assert tables["event"].kept_days == tables["rollup_day"].kept_days == TEN_YEARS
    assert told.final_bytes == sum(table.final_bytes for table in told.tables)


async def test_a_table_with_many_rows_tells_by_its_own_size(town: Town) -> None:
    """Also as a hypertable: the bytes of its chunks count."""
    async with town.store.transaction() as tx:
        await tx.conn.execute(
            "INSERT INTO readings (at, received_at, series, smoke)"
            " SELECT %s - n * interval '1 minute', %s, 1, 0.1 FROM generate_series(1, 40000) n",
            (tx.now, tx.now),
        )
    await town.do("ANALYZE readings")
    async with town.store.transaction() as tx:
        told = await forecast(tx, {"readings": 90})
    (readings,) = (table for table in told.tables if table.table == "readings")
    assert readings.rows == pytest.approx(40_000, rel=0.05)
    assert 60 < readings.bytes_a_row < 200
    assert readings.bytes > 40_000 * 60


def test_the_command_prints_each_table(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when there is no day yet."""
    config = tmp_path / "central.toml"
    config.write_text(
        f'[database]\ndsn = "{database}"\n[broker]\nhost = "127.0.0.1"\nport = 1\n[channels.console]\n'
    )
    assert main(["forecast", str(config)]) == 0
    said = capsys.readouterr().out
    for name in FRESH:
        assert name in said
    assert "no whole day" in said
