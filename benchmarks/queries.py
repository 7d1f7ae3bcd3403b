"""How long a screen waits for its answer, over a hundred million readings on TimescaleDB.

    python -m benchmarks.queries --json                          # 100 million: half an hour, 30 GB of disk
    python -m benchmarks.queries --json --readings 10000000      # six minutes
    python -m benchmarks.queries --json --cold                   # root: what is in no cache of the system

5,000 detectors on 100 gateways, ninety days of readings, made in the database, rolled up by the product's
own job. Then each question is asked through the store as the API asks it, a transaction each, one by one,
with parameters at random (the same in every run); the first tenth is not counted. With `--cold` the system
forgets what it read of the disk before each kind of question; the server keeps its own buffers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import _district as district
from central.store import fleet, questions
from central.store.migrate import migrate
from central.store.pool import Store, Tx
from tests.harness.timescale import Timescale

SETTINGS = {
    "shared_buffers": "2GB",
    "effective_cache_size": "12GB",
    "max_wal_size": "8GB",
    "synchronous_commit": "off",
}
POINTS = 1000
Ask = Callable[[Tx], Awaitable[Any]]
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def main() -> None:
    """Make the district, ask, and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--readings", type=int, default=100_500_000, help="about so many")
    parser.add_argument("--asked", type=int, default=300, help="times each question is asked and counted")
    parser.add_argument("--cold", action="store_true", help="drop the system's cache before each question")
    parser.add_argument("--dsn", help="an empty database with TimescaleDB, or one that an earlier run filled")
    given = parser.parse_args()
    if given.cold and not os.access(_DROP_CACHES, os.W_OK):
        parser.error("--cold drops the system's cache, which root alone may: run as root, or without --cold")
    if given.dsn:
        print(json.dumps(asyncio.run(_run(given, given.dsn))))
        return
    folder = Path(tempfile.mkdtemp(prefix="smokewatch-queries-"))
    server = Timescale(folder / "db", settings=SETTINGS)
    try:
        server.start()
        with psycopg.connect(server.dsn(), autocommit=True) as db:
            db.execute('CREATE DATABASE "smokewatch"')
        print(json.dumps(asyncio.run(_run(given, server.dsn("smokewatch")))))
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


async def _run(given: argparse.Namespace, dsn: str) -> dict[str, Any]:
    store = Store(dsn, name="benchmark", max_connections=2)
    migrate(dsn)
    await store.open()
    try:
        made = {}
        with psycopg.connect(dsn) as db:
            empty = db.execute("SELECT NOT EXISTS (SELECT FROM readings)").fetchone() == (True,)
        if empty:
            district.register(dsn)
            count, filling, rolling = await district.fill(store, dsn, given.readings, district.now())
            made = {
                "made_s": round(filling),
                "rolled_up_s": round(rolling),
                "rolled_up_per_s": round(count / rolling),
            }
        with psycopg.connect(dsn) as db:
            db.execute("SET statement_timeout = 0")
            (readings, last, size) = _one(
                db.execute(
                    "SELECT count(*), max(at), pg_database_size(current_database()) FROM readings"
                ).fetchone()
            )
        found = {}
        for name, ask in _questions(last).items():
            if given.cold:
                await asyncio.to_thread(_forget)
            found[name] = await _measured(store, name, ask, given.asked)
    finally:
        await store.close()
    return {
        "name": "queries",
        "readings": readings,
        "worst_p99_ms": max(one["p99_ms"] for one in found.values()),
        "questions": found,
        "settings": {
            "detectors": district.DETECTORS,
            "gateways": district.GATEWAYS,
            "days": district.DAYS,
            "points": POINTS,
            "cold": given.cold,
            "asked": given.asked,
            "database_gb": round(size / 1e9, 1),
            "server": SETTINGS,
            "cores": os.cpu_count(),
            **made,
        },
    }


def _forget() -> None:
    os.sync()
    _DROP_CACHES.write_text("3")


def _questions(last: datetime) -> dict[str, Callable[[random.Random], Ask]]:
    def series(span: timedelta, chance: random.Random) -> Ask:
        ago = timedelta(seconds=chance.random() * (timedelta(days=district.DAYS) - span).total_seconds())
        return partial(
            _series, detector=_detector(chance), begin=last - ago - span, end=last - ago, points=POINTS
        )

    def whole(chance: random.Random) -> Ask:
        return partial(
            _series, detector=_detector(chance), begin=last - timedelta(days=90), end=last, points=POINTS
        )

    def trend(chance: random.Random) -> Ask:
        return partial(_trend, detector=_detector(chance), begin=last - timedelta(days=400), end=last)

    def state(limit: int, chance: random.Random, **places: int) -> Ask:
        ((kind, count),) = places.items()
        short = {"building": "b", "grid": "grid", "area": "area"}[kind]
        chosen: dict[str, Any] = {kind: f"{short}-{chance.randrange(count)}"}
        after = _detector(chance) if kind == "area" else ""
        return partial(questions.state, **chosen, after=after, limit=limit)

    def uptime(chance: random.Random) -> Ask:
        span = {"begin": last - timedelta(days=30), "end": last}
        return partial(_uptime, gateway=f"gw-{chance.randrange(district.GATEWAYS)}", **span)

    return {
        "series_hour": partial(series, timedelta(hours=1)),
        "series_day": partial(series, timedelta(days=1)),
        "series_week": partial(series, timedelta(days=7)),
        "series_month": partial(series, timedelta(days=30)),
        "series_90_days": whole,
        "state_building": partial(state, 100, building=district.BUILDINGS),
        "state_grid": partial(state, 100, grid=district.GRIDS),
        "state_area": partial(state, 100, area=district.AREAS),
        "fleet": lambda _: fleet.fleet,
        "fleet_gateways": lambda chance: partial(
            fleet.gateways, after=f"gw-{chance.randrange(50)}", limit=100
        ),
        "uptime_detectors": uptime,
        "uptime_gateways": lambda _: partial(_gateways_uptime, begin=last - timedelta(days=30), end=last),
        "trend": trend,
    }


def _detector(chance: random.Random) -> str:
    return f"d-{chance.randrange(district.DETECTORS)}"


async def _series(tx: Tx, detector: str, begin: datetime, end: datetime, points: int) -> Any:
    return await questions.series(tx, detector, begin, end, points=points)


async def _trend(tx: Tx, detector: str, begin: datetime, end: datetime) -> Any:
    return await questions.trend(tx, detector, begin, end)


async def _uptime(tx: Tx, gateway: str, begin: datetime, end: datetime) -> Any:
    return await fleet.detector_uptime(tx, begin, end, gateway=gateway, limit=100)


async def _gateways_uptime(tx: Tx, begin: datetime, end: datetime) -> Any:
    return await fleet.gateway_uptime(tx, begin, end, limit=100)


async def _measured(
    store: Store, name: str, make: Callable[[random.Random], Ask], times: int
) -> dict[str, float]:
    chance = random.Random(name)
    took = []
    for _ in range(times + times // 10):
        ask = make(chance)
        began = time.perf_counter()
        async with store.transaction() as tx:
            answer = await ask(tx)
        took.append((time.perf_counter() - began) * 1000)
        assert answer, f"{name} found nothing"
    counted = sorted(took[times // 10 :])
    found = {"p50_ms": _at(counted, 0.5), "p99_ms": _at(counted, 0.99)}
    print(f"  {name}: {found}", file=sys.stderr)
    return found


def _at(values: list[float], share: float) -> float:
    return round(values[min(int(len(values) * share), len(values) - 1)], 2)


def _one(row: Any) -> Any:
    assert row is not None
    return row


if __name__ == "__main__":
    main()
