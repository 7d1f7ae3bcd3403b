"""What a reading takes on disk, raw and rolled up, with indexes, on both editions.

    python -m benchmarks.storage --json
    python -m benchmarks.storage --json --readings 500000

The district of `benchmarks.queries` for one day, with about a reading a minute and a half of each detector,
rolled up by the product's own job. `compressed` is measured where the edition can compress.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import _district as district
from central.store.forecast import FRESH
from central.store.migrate import migrate
from central.store.pool import Store
from simulator.parts import Postgres
from tests.harness.timescale import Timescale

TABLES = ("readings", "rollup_minute", "rollup_hour", "rollup_day")


def main() -> None:
    """Measure both editions and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--readings", type=int, default=5_000_000, help="about so many")
    given = parser.parse_args()
    runs = {name: _edition(name, given.readings) for name in ("timescaledb", "postgresql")}
    settings = {"readings": given.readings, "detectors": district.DETECTORS, "cores": os.cpu_count()}
    print(json.dumps({"name": "storage", **runs, "expected_by_the_forecast": FRESH, "settings": settings}))


def _edition(name: str, readings: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="smokewatch-storage-"))
    folder.chmod(0o755)
    server = Timescale(folder / "db") if name == "timescaledb" else Postgres(folder / "db")
    try:
        server.start()
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as db:
            db.execute('CREATE DATABASE "smokewatch"')
        return asyncio.run(_measured(server.dsn("smokewatch"), readings))
    finally:
        server.stop()
        if isinstance(server, Timescale):
            server.remove()
        shutil.rmtree(folder, ignore_errors=True)


async def _measured(dsn: str, readings: int) -> dict[str, Any]:
    migrate(dsn)
    district.register(dsn)
    store = Store(dsn, name="benchmark", max_connections=2)
    await store.open()
    try:
        await district.fill(store, dsn, readings, district.now(), days=1)
    finally:
        await store.close()
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("VACUUM ANALYZE")
        found: dict[str, Any] = {}
        for table in TABLES:
            size, rows = _size(db, table)
            found[table] = {"rows": rows, "bytes": size, "bytes_a_row": round(size / rows, 1)}
        total = sum(found[table]["bytes"] for table in TABLES)
        found["bytes_a_reading"] = round(found["readings"]["bytes_a_row"], 1)
        found["bytes_a_reading_with_rollups"] = round(total / found["readings"]["rows"], 1)
        return {**found, **_compressed(db)}


def _size(db: psycopg.Connection, table: str) -> tuple[int, int]:
    row = db.execute(
        "SELECT pg_total_relation_size(%(table)s::regclass) + coalesce(("
        " SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
        " WHERE inhparent = %(table)s::regclass), 0)",
        {"table": table},
    ).fetchone()
    count = db.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    assert count is not None
    return int(row[0]), int(count[0])


def _compressed(db: psycopg.Connection) -> dict[str, Any]:
    try:
        db.execute(
            "ALTER TABLE readings SET (timescaledb.compress, timescaledb.compress_segmentby = 'series',"
            " timescaledb.compress_orderby = 'at DESC')"
        )
        db.execute("SELECT compress_chunk(c) FROM show_chunks('readings') c")
        size, rows = _size(db, "readings")
    except psycopg.Error as error:
        return {"compressed_bytes_a_reading": None, "compressed_why": str(error).split("\n", 1)[0]}
    return {"compressed_bytes_a_reading": round(size / rows, 1), "compressed_why": None}


if __name__ == "__main__":
    main()
