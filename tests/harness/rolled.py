"""Readings made at random for the roll-ups, put in as ingest does; and what the roll-ups then have to be."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from central.store import readings
from central.store.pool import Tx
from central.store.readings import Columns
from central.store.rollups import Touched

METRICS = ("smoke", "temperature", "battery", "contamination")
BEGAN = datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
_BINS = {"minute": "1 minute", "hour": "1 hour", "day": "1 day"}


def then() -> timedelta:
    """What a store's clock is set back by, so that the readings are ten days old whenever the test runs."""
    return BEGAN + timedelta(days=10) - datetime.now(UTC)


Row = tuple[int, int, float | None, float | None, float | None, float | None, int | None]
"""series, at (ms), the four values, status"""


def a_batch(chance: random.Random, series: Sequence[int], days: float = 3.0) -> list[Row]:
    """Up to sixty rows of one gateway around some moment, in no order, with holes and repeated moments."""
    middle = BEGAN + timedelta(days=chance.random() * days)
    rows: list[Row] = []
    for _ in range(chance.randrange(1, 60)):
        at = middle + timedelta(seconds=chance.randrange(-4000, 4000))
        smoke, temperature, battery, contamination = (_value(chance, scale) for scale in (4, 40, 9, 90))
        status = chance.choice((None, 0, 1, 2, 4))
        ms = int(at.timestamp()) * 1000
        rows.append((chance.choice(series), ms, smoke, temperature, battery, contamination, status))
    return rows


def _value(chance: random.Random, scale: int) -> float | None:
    return None if chance.random() < 0.3 else chance.randrange(scale * 64) / 64


async def put(tx: Tx, gateway: str, rows: Sequence[Row], received_ms: int) -> None:
    """Store rows of a gateway and note where they lie, as `central.pipeline.readings` does."""
    touched = Touched()
    touched.add(gateway, [row[1] for row in rows])
    columns = Columns(
        received_ms,
        [row[0] for row in rows],
        [row[1] for row in rows],
        *([row[at] for row in rows] for at in range(2, 7)),  # type: ignore[arg-type]
    )
    await readings.copy(tx, [columns])
    await touched.save(tx)


async def give_series(tx: Tx, gateway: str, detectors: Sequence[str]) -> list[int]:
    """Numbers for detectors of a gateway."""
    found = await tx.conn.execute(
        "INSERT INTO series (gateway, detector) SELECT %s, d FROM unnest(%s::text[]) d RETURNING id",
        (gateway, list(detectors)),
    )
    return [row["id"] for row in await found.fetchall()]


async def differences(tx: Tx) -> list[dict[str, Any]]:
    """What the roll-ups have and the readings do not say, or the other way round."""
    found: list[dict[str, Any]] = []
    for unit, width in _BINS.items():
        metrics = ", ".join(
            f"count({m})::int AS {m}_n, min({m}) AS {m}_min, max({m}) AS {m}_max, sum({m}::float8) AS {m}_sum"
            for m in METRICS
        )
        names = ", ".join(f"{m}_n, {m}_min, {m}_max, {m}_sum" for m in METRICS)
        direct = (
            f"SELECT series, date_bin('{width}', at, '2000-01-01 00:00+08') AS bucket, count(*)::int AS n,"
            f" {metrics}, bit_or(status) AS status_bits FROM readings GROUP BY 1, 2"
        )
        rolled = f"SELECT series, bucket, n, {names}, status_bits FROM rollup_{unit}"
        for one, other in ((direct, rolled), (rolled, direct)):
            found += await rows_of(tx, f"({one}) EXCEPT ({other})")
    last = ", ".join(
        f"(SELECT {m} FROM readings r WHERE r.series = s.id AND {m} IS NOT NULL"
        f" ORDER BY at DESC, received_at DESC, {m} DESC LIMIT 1) AS {m}"
        for m in (*METRICS, "status")
    )
    direct = (
        f"SELECT id AS series, (SELECT max(at) FROM readings WHERE series = s.id) AS at, {last} FROM series s"
    )
    stored = f"SELECT series, at, {', '.join((*METRICS, 'status'))} FROM last_reading"
    return found + await rows_of(tx, f"({direct}) EXCEPT ({stored})")


async def rows_of(tx: Tx, query: str) -> list[dict[str, Any]]:
    """The rows of a query made by a test."""
    return await (await tx.conn.execute(query.encode())).fetchall()
