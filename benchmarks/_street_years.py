"""A district on record for the benchmark of the questions: registry, readings of ninety days, alarms; all made in
the database, and rolled up by the product's own job.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta

import psycopg

from central.store.pool import Store
from central.store.rollups import Roller

AREAS, COMMUNITIES, GRIDS, BUILDINGS, GATEWAYS, DETECTORS = 4, 16, 64, 500, 100, 5_000
DAYS = 90

_REGISTRY = """
INSERT INTO area SELECT 'area-' || n, 'area ' || n FROM generate_series(0, {AREAS} - 1) n;
INSERT INTO community SELECT 'com-' || n, 'area-' || n % {AREAS}, 'community ' || n
    FROM generate_series(0, {COMMUNITIES} - 1) n;
INSERT INTO grid SELECT 'grid-' || n, 'com-' || n % {COMMUNITIES}, 'grid ' || n, 114.3, 30.6
    FROM generate_series(0, {GRIDS} - 1) n;
INSERT INTO building SELECT 'b-' || n, 'grid-' || n % {GRIDS}, 'building ' || n, '', 6, NULL, NULL
    FROM generate_series(0, {BUILDINGS} - 1) n;
INSERT INTO household SELECT 'h-' || n, 'b-' || n % {BUILDINGS}, '1', 1 + n % 6, n::text
    FROM generate_series(0, {DETECTORS} - 1) n;
INSERT INTO gateway SELECT 'gw-' || n, 'area-' || n % {AREAS}, '', 'b-' || n, now(), 'benchmark'
    FROM generate_series(0, {GATEWAYS} - 1) n;
INSERT INTO bus SELECT id, 'l-1', '{{}}' FROM gateway;
INSERT INTO detector SELECT 'd-' || n, 'smokewatch-reference' FROM generate_series(0, {DETECTORS} - 1) n;
INSERT INTO placement (detector, household, gateway, bus, unit, spot, from_at)
    SELECT 'd-' || n, 'h-' || n, 'gw-' || n % {GATEWAYS}, 'l-1', 1 + n / {GATEWAYS}, 'kitchen', now() - interval '1 year'
    FROM generate_series(0, {DETECTORS} - 1) n;
INSERT INTO series (gateway, detector) SELECT gateway, detector FROM placement ORDER BY id;
INSERT INTO lease SELECT id, now() + interval '1 day', '0', NULL, false,
    '{{"online": true, "version": "1.4.2", "outbox_depth": 0, "clock": {{"synchronised": true}}}}' FROM gateway;
INSERT INTO source SELECT gateway, detector, c, CASE WHEN hashtext(detector || c) % 50 = 0 THEN 'present' ELSE 'absent' END,
    repeat('a', 32), 1, now() FROM placement, unnest(ARRAY['no_response', 'low_battery', 'contaminated', 'fault']) c;
INSERT INTO alarm (condition, severity, area, gateway, part, state, opened_at, event_at, cleared_at, closed_at,
                   disposition)
    SELECT CASE WHEN d.part = '' THEN 'gateway_silent' ELSE 'no_response' END, 'unwatched', 'area-0', d.gateway, d.part,
        'closed', at, at, at + interval '20 minutes', at + interval '20 minutes', 'returned_to_normal'
    FROM (SELECT gateway, detector AS part FROM placement UNION ALL SELECT id, '' FROM gateway) d,
        LATERAL (SELECT now() - make_interval(hours => abs(hashtext(d.part || d.gateway || n)) % 2160) AS at
                 FROM generate_series(1, 10) n) w;
INSERT INTO alarm_log (alarm, at, what, from_state, to_state, who, reason)
    SELECT id, opened_at, 'opened', NULL, 'active_unacknowledged', 'system', 'first_assert' FROM alarm
    UNION ALL SELECT id, closed_at, 'cleared', 'active_unacknowledged', 'closed', 'system', 'cleared' FROM alarm;
"""

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
        db.execute(_REGISTRY.format(**globals()).encode())


async def fill(store: Store, dsn: str, readings: int, until: datetime) -> tuple[int, float, float]:
    """Readings, a day at a time, each rolled up before the next. How many, and the seconds of both."""
    every_s = DAYS * 86400 * DETECTORS / readings
    begin = (until - timedelta(days=DAYS)).replace(minute=0, second=0, microsecond=0)
    roller = Roller(store, time.monotonic)
    count, filling, rolling = 0, 0.0, 0.0
    with psycopg.connect(dsn, autocommit=True) as db:
        for day in range(DAYS):
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
    """This moment."""
    return datetime.fromtimestamp(time.time(), UTC)
