"""A district on record for the benchmark of the questions: registry, ninety days of readings and alarms.

All of it is made in the database; the roll-ups are made by the product's own job.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from central.store.pool import Store
from central.store.rollups import Roller

AREAS, COMMUNITIES, GRIDS, BUILDINGS, GATEWAYS, DETECTORS = 4, 16, 64, 500, 100, 5_000
DAYS = 90

_REGISTRY = Path(__file__).with_suffix(".sql")

_DAY = """
INSERT INTO readings (at, received_at, series, smoke, temperature, battery, contamination, status)
SELECT at, at + interval '1 second', s.id, 0.05 + (s.id * 7 + k) %% 97 / 400.0, 18 + (s.id + k) %% 160 / 16.0,
    CASE WHEN k %% 8 = 0 THEN 9 - (s.id %% 50) / 100.0 - %(day)s / 500.0 END,
    CASE WHEN k %% 8 = 1 THEN s.id %% 40 + %(day)s / 10.0 END, 0
FROM generate_series(%(first)s::bigint, %(last)s::bigint) k
CROSS JOIN series s
CROSS JOIN LATERAL (SELECT to_timestamp(k * %(every_s)s::float8 + (s.id * 37) %% 300) AS at) t
WHERE (s.id + %(day)s * 13) %% 200 <> 0  -- each is away for a day now and then
ORDER BY k
"""

_TOUCHED = """
INSERT INTO touched (gateway, low, high)
SELECT id, at, least(at + interval '1 hour' - interval '1 microsecond', %(high)s)
FROM gateway, generate_series(%(low)s::timestamptz, %(high)s, interval '1 hour') at
"""


def register(dsn: str) -> None:
    """The district's registry and ninety days of its alarms, into an empty, migrated database."""
    with psycopg.connect(dsn) as db:
        db.execute(_REGISTRY.read_text("utf-8").format(**globals()).encode())


async def fill(
    store: Store, dsn: str, readings: int, until: datetime, days: int = DAYS
) -> tuple[int, float, float]:
    """Readings, a day at a time, each rolled up before the next. How many, and the seconds of both."""
    # each detector is away for a two-hundredth of the time: so many are there all the same
    every_s = 0.995 * days * 86400 * DETECTORS / readings
    begin = (until - timedelta(days=days)).replace(minute=0, second=0, microsecond=0)
    roller = Roller(store, time.monotonic)
    count, filling, rolling = 0, 0.0, 0.0
    with psycopg.connect(dsn, autocommit=True) as db:
        for day in range(days):
            low, high = begin + timedelta(days=day), begin + timedelta(days=day + 1)
            began = time.monotonic()
            first, last = int(low.timestamp() // every_s) + 1, int(high.timestamp() // every_s)
            values = {"first": first, "last": last, "every_s": every_s, "day": day}
            with db.transaction():
                count += db.execute(_DAY, values).rowcount
                # the offset within an interval reaches a little into the next hour
                db.execute(_TOUCHED, {"low": low, "high": high + timedelta(minutes=6)})
            filling += time.monotonic() - began
            began = time.monotonic()
            await roller.minutes()
            await roller.hours_and_days()
            rolling += time.monotonic() - began
            _say(day, count, filling, rolling)
        began = time.monotonic()
        for table in ("readings", "rollup_minute", "rollup_hour", "rollup_day", "last_reading"):
            db.execute(f"VACUUM ANALYZE {table}".encode())
        db.execute("ANALYZE")
        print(f"  vacuum {time.monotonic() - began:.0f} s", file=sys.stderr)
    return count, filling, rolling


def _say(day: int, count: int, filling: float, rolling: float) -> None:
    print(
        f"  day {day + 1}: {count:,} readings, made in {filling:.0f} s, rolled up in {rolling:.0f} s",
        file=sys.stderr,
    )


def now() -> datetime:
    """The moment by this machine."""
    return datetime.fromtimestamp(time.time(), UTC)
