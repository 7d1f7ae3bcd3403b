"""What screens ask of readings: a detector over time, the last state of a place, trends.

Law of this file: every question is bounded in rows and in time; no data and no smoke are told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import tuple_row

from central.store.pool import Tx, one
from central.store.resolution import KEPT, Kept, Source, choose
from central.store.savepoint import in_one_go
from central.store.spans import Span, clipped, down_spans, holes
from central.store.sql import queries

SLOWEST = timedelta(seconds=5)
QUIET = timedelta(minutes=70)
"""A detector that answers is heard at least hourly: no reading for longer is a gap."""
MOST_STATES = 500
LONGEST_TREND = timedelta(days=3660)
_SQL = queries("questions")


@dataclass(frozen=True, slots=True)
class Gap:
    """No reading for longer than there can be quiet. `why`: what was known to be away in it, if anything."""

    begin: datetime
    end: datetime
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """Readings of the detector's gateway that can never come; when the gateway said so, and how many."""

    gateway: str
    noted_at: datetime
    rows: int


@dataclass(slots=True)  # not frozen, like Point: a screen asks for thousands, and freezing triples their cost
class Value:
    """A metric over one bucket."""

    min: float
    max: float
    avg: float


@dataclass(slots=True)
class Point:
    """One bucket with readings; a metric that none of them had is null. Empty buckets are left out."""

    at: datetime
    n: int
    smoke: Value | None
    temperature: Value | None
    battery: Value | None
    contamination: Value | None
    status_bits: int | None
    """Every bit that any status in it had."""


@dataclass(frozen=True, slots=True)
class Series:
    """A detector over time, as a screen can show it."""

    detector: str
    source: Source
    width_s: int
    begin: datetime
    end: datetime
    points: tuple[Point, ...]
    gaps: tuple[Gap, ...]
    lost: tuple[Lost, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """Battery and contamination over one day of China's clock; null: no reading had it."""

    day: datetime
    n: int
    battery: Value | None
    battery_n: int
    contamination: Value | None
    contamination_n: int


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a detector now. Each value has its own moment, maybe before the last reading."""

    detector: str
    household: str
    building: str
    grid: str
    gateway: str
    bus: str
    state: str
    """alarm, watched or unwatched."""
    at: datetime | None
    smoke: float | None
    smoke_at: datetime | None
    temperature: float | None
    temperature_at: datetime | None
    battery: float | None
    battery_at: datetime | None
    contamination: float | None
    contamination_at: datetime | None
    status: int | None
    status_at: datetime | None
    conditions: list[str]
    unknown: list[str]
    """Conditions of which nobody can say whether they hold."""


async def limit_time(tx: Tx) -> None:
    """End any statement of this transaction that takes longer than SLOWEST."""
    await tx.conn.execute(_SQL["limit_time"], {"ms": round(SLOWEST.total_seconds() * 1000)})


async def series(
    tx: Tx, detector: str, begin: datetime, end: datetime, *, points: int = 500, kept: Kept = KEPT
) -> Series | None:
    """One detector, whichever gateways told of it; None when the registry does not know it."""
    found = await _series_of(tx, detector)
    if found is None:
        return None
    fit = choose(begin, end, points, tx.now, kept)
    asked = Span(fit.begin, fit.end)
    values = {"series": list(found), "width": fit.width, "from": fit.begin, "to": fit.end}
    gateways = {"gateways": sorted(set(found.values())), "from": fit.begin, "to": fit.end}
    async with in_one_go(tx), tx.conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_SQL[f"buckets_{fit.source}"], values)
        hung = await tx.conn.execute(_SQL["placed"], _placed(asked.begin, min(asked.end, tx.now), detector))
        gone = await tx.conn.execute(_SQL["lost"], gateways)
        buckets = tuple([_point(*row) for row in await cursor.fetchall()])
        placed, lost = await hung.fetchall(), await gone.fetchall()
    gaps = await _gaps(tx, placed, [point.at for point in buckets], fit.width, asked)
    width_s = round(fit.width.total_seconds())
    never = tuple(Lost(row["gateway"], row["noted_at"], row["to_seq"] - row["from_seq"] + 1) for row in lost)
    return Series(detector, fit.source, width_s, fit.begin, fit.end, buckets, gaps, never)


async def trend(tx: Tx, detector: str, begin: datetime, end: datetime) -> list[Day] | None:
    """Battery and contamination by day; None when the registry does not know the detector."""
    found = await _series_of(tx, detector)
    if found is None:
        return None
    values = {"series": list(found), "from": begin, "to": end}
    rows = await (await tx.conn.execute(_SQL["trend"], values)).fetchall()
    return [
        Day(
            row["day"],
            row["n"],
            _value(row, "battery"),
            row["battery_n"],
            _value(row, "contamination"),
            row["contamination_n"],
        )
        for row in rows
    ]


async def state(
    tx: Tx,
    *,
    area: str | None = None,
    community: str | None = None,
    grid: str | None = None,
    building: str | None = None,
    after: str = "",
    limit: int = 100,
) -> list[State]:
    """Detectors that hang in a place now, by id behind `after`, at most MOST_STATES."""
    await limit_time(tx)
    values = {
        "area": area,
        "community": community,
        "grid": grid,
        "building": building,
        "after": after,
        "limit": min(limit, MOST_STATES),
        "now": tx.now,
    }
    rows = await (await tx.conn.execute(_SQL["state"], values)).fetchall()
    return [State(**row) for row in rows]


async def _series_of(tx: Tx, detector: str) -> dict[int, str] | None:
    """A detector's numbers and their gateways, asked together with the limit of time; None for a stranger."""
    async with in_one_go(tx):
        await limit_time(tx)
        cursor = await tx.conn.execute(_SQL["series_of"], {"detector": detector})
    found = {row["id"]: row["gateway"] for row in await cursor.fetchall()}
    if not found:
        known = await tx.conn.execute(_SQL["known_detector"], {"detector": detector})
        if not one(await known.fetchone())["known"]:
            return None
    return found


async def _gaps(
    tx: Tx, placed: list[dict[str, Any]], starts: list[datetime], width: timedelta, asked: Span
) -> tuple[Gap, ...]:
    missing = [
        hole
        for row in placed
        for hole in holes(
            [at for at in starts if at + width > row["from"]], width, Span(row["from"], row["to"]), QUIET
        )
    ]
    if not missing:
        return ()
    away = await down_of(tx, placed, asked.begin, asked.end)
    down = [span for spans in away.values() for span in spans]
    return tuple(Gap(hole.begin, hole.end, _why(down, hole)) for hole in missing)


def _why(down: list[Span], hole: Span) -> tuple[str, ...]:
    return tuple(sorted({span.why for span in clipped(down, [hole])}))


async def rows_placed(
    tx: Tx,
    begin: datetime,
    end: datetime,
    *,
    detector: str | None = None,
    gateway: str | None = None,
    after: str = "",
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Where detectors hung in a time: rows of detector, gateway, bus, from, to; whole detectors, by id."""
    values = _placed(begin, end, detector, gateway, after, limit)
    return await (await tx.conn.execute(_SQL["placed"], values)).fetchall()


def _placed(
    begin: datetime,
    end: datetime,
    detector: str | None,
    gateway: str | None = None,
    after: str = "",
    limit: int = 100,
) -> dict[str, Any]:
    return {
        "from": begin,
        "to": end,
        "detector": detector,
        "gateway": gateway,
        "after": after,
        "limit": limit,
    }


async def down_of(
    tx: Tx, placed: list[dict[str, Any]], begin: datetime, end: datetime
) -> dict[tuple[str, str], list[Span]]:
    """When these detectors, their lines and gateways were away, by (gateway, part)."""
    asked = {
        pair
        for row in placed
        for part in (row["detector"], f"bus:{row['bus']}", "")
        for pair in [(row["gateway"], part)]
    }
    return await down_parts(tx, sorted(asked), begin, end)


async def down_parts(
    tx: Tx, parts: list[tuple[str, str]], begin: datetime, end: datetime
) -> dict[tuple[str, str], list[Span]]:
    """When parts of gateways were away."""
    values = {
        "gateways": [gateway for gateway, _ in parts],
        "parts": [part for _, part in parts],
        "from": begin,
        "to": end,
    }
    rows = await (await tx.conn.execute(_SQL["down"], values)).fetchall()
    return down_spans(rows, min(end, tx.now))


def _point(
    at: datetime,
    n: int,
    s_min: float | None, s_max: float, s_avg: float,
    t_min: float | None, t_max: float, t_avg: float,
    b_min: float | None, b_max: float, b_avg: float,
    c_min: float | None, c_max: float, c_avg: float,
    status_bits: int | None,
) -> Point:  # fmt: skip
    """From a row of a `buckets_` query, in the order of its columns."""
    return Point(
        at,
        n,
        None if s_min is None else Value(s_min, s_max, s_avg),
        None if t_min is None else Value(t_min, t_max, t_avg),
        None if b_min is None else Value(b_min, b_max, b_avg),
        None if c_min is None else Value(c_min, c_max, c_avg),
        status_bits,
    )


def _value(row: dict[str, Any], metric: str) -> Value | None:
    low, high, mean = row[f"{metric}_min"], row[f"{metric}_max"], row[f"{metric}_avg"]
    return None if low is None else Value(low, high, mean)
