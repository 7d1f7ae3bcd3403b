"""Roll-ups of readings by minute, hour and day, and the last reading of each series.

Laws of this file: a bucket is always made anew from what is stored below it, so doing it again changes
nothing; it never loses readings, because what is below it may be forgotten already; one job at a time. What
is to be done stands in rows that were committed with the readings (`touched`), so no order of commits and no
kill can hide a reading from its roll-up, however late it came.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import groupby
from typing import Any

from central.store.edition import COSTLY_LOOKUPS
from central.store.pool import Store, Tx, one
from central.store.sql import queries

CHINA = timezone(timedelta(hours=8))
"""The clock by which days are counted: one for all of China, the whole year."""
_SQL = queries("rollups")
_LOCK = 0x726F6C6C75
_HOUR_US = 3_600_000_000
_SMALLEST, _FIRST, _LARGEST = 1, 200, 5_000
_SHORT_S, _LONG_S = 1.0, 4.0
_ROWS = 20_000
"""Of `touched`, about a message each, and no more gateways when they have left so many."""
Clock = Callable[[], float]


@dataclass(slots=True)
class Touched:
    """Where one transaction puts readings: by gateway and hour, from when to when, in µs since 2000."""

    _spans: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def add(self, gateway: str, at_us: Sequence[int]) -> None:
        """Readings of a gateway at these moments; at least one."""
        low, high = min(at_us), max(at_us)
        if low // _HOUR_US == high // _HOUR_US:
            self._widen(gateway, low, high)
        else:
            for _, moments in groupby(sorted(at_us), lambda at: at // _HOUR_US):
                within = list(moments)
                self._widen(gateway, within[0], within[-1])

    def _widen(self, gateway: str, low: int, high: int) -> None:
        key = gateway, low // _HOUR_US
        before = self._spans.get(key)
        self._spans[key] = (low, high) if before is None else (min(low, before[0]), max(high, before[1]))

    async def save(self, tx: Tx) -> None:
        """Put it on record, in the transaction that stores the readings: one statement."""
        if self._spans:
            values = {
                "gateways": [gateway for gateway, _ in self._spans],
                "lows": [low for low, _ in self._spans.values()],
                "highs": [high for _, high in self._spans.values()],
            }
            await tx.conn.execute(_SQL["note"], values)


async def roll_minutes(tx: Tx, piece: int) -> int | None:
    """Bring minutes and last readings of up to `piece` gateways up to date, the longest touched first.

    How many: none when none were left. None when another job is at it.
    """
    if not await _alone(tx):
        return None
    limits = {"piece": piece, "rows": _ROWS}
    spans = await (await tx.conn.execute(_SQL["take_touched"], limits)).fetchall()
    for part in _by_day(spans, "hour"):
        values = _columns(part, "gateway", "low", "high")
        values |= {"low": min(values["lows"]), "high": max(values["highs"])}
        await tx.conn.execute(_SQL["roll_minutes"], values)
    if spans:
        await tx.conn.execute(_SQL["note_hours"], _columns(spans, "gateway", "hour"))
    return len({span["gateway"] for span in spans})


async def roll_hours(tx: Tx, piece: int) -> int | None:
    """Make up to `piece` hours of gateways anew from their minutes; as `roll_minutes`."""
    if not await _alone(tx):
        return None
    hours = await (await tx.conn.execute(_SQL["take_hours"], {"piece": piece})).fetchall()
    for part in _by_day(hours, "low"):
        await tx.conn.execute(_SQL["roll_hours"], _with_bounds(part, timedelta(hours=1)))
    if hours:
        values = _columns(hours, "gateway", "low")
        await tx.conn.execute(_SQL["note_days"], {"gateways": values["gateways"], "hours": values["lows"]})
    return len(hours)


async def roll_days(tx: Tx, piece: int) -> int | None:
    """Make up to `piece` days of gateways anew from their hours; as `roll_minutes`."""
    if not await _alone(tx):
        return None
    days = await (await tx.conn.execute(_SQL["take_days"], {"piece": piece})).fetchall()
    for part in _by_day(days, "low"):
        await tx.conn.execute(_SQL["roll_days"], _with_bounds(part, timedelta(days=1)))
    return len(days)


class Roller:
    """Works off what is to be rolled up, in transactions of one to four seconds."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """`clock` counts seconds from anywhere."""
        self._store = store
        self._clock = clock
        self._pieces: dict[str, int] = {}
        self._turn = asyncio.Lock()

    async def minutes(self) -> int:
        """All gateways that are touched now, each once; how many. What comes meanwhile waits."""
        async with self._store.transaction() as tx:
            row = one(await (await tx.conn.execute(_SQL["count_touched"])).fetchone())
        return await self._all("minutes", roll_minutes, most=int(row["n"]))

    async def hours_and_days(self) -> int:
        """All hours and days whose minutes have changed; how many hours and days of gateways."""
        return await self._all("hours", roll_hours) + await self._all("days", roll_days)

    async def _all(
        self, name: str, roll: Callable[[Tx, int], Awaitable[int | None]], most: float = math.inf
    ) -> int:
        total = 0
        while total < most:
            piece = self._pieces.get(name, _FIRST)
            async with self._turn:  # minutes and hours of one program wait for each other
                began = self._clock()
                try:
                    async with self._store.transaction() as tx:
                        taken = await roll(tx, piece)
                except BaseException:
                    self._pieces[name] = max(piece // 4, _SMALLEST)  # it may have been too much at once
                    raise
                took = self._clock() - began
            if took > _LONG_S:
                self._pieces[name] = max(piece // 2, _SMALLEST)
            elif taken == piece and took < _SHORT_S:
                self._pieces[name] = min(piece * 2, _LARGEST)
            total += taken or 0
            if not taken:
                break
        return total


async def _alone(tx: Tx) -> bool:
    values = {"key": _LOCK, "option": COSTLY_LOOKUPS}
    return bool(one(await (await tx.conn.execute(_SQL["alone"], values)).fetchone())["held"])


def _by_day(spans: Sequence[Mapping[str, Any]], moment: str) -> Iterator[list[Mapping[str, Any]]]:
    """Spans of one day together: a statement then looks into one chunk, maybe two."""

    def day(span: Mapping[str, Any]) -> datetime:
        at: datetime = span[moment]
        return at.replace(hour=0, minute=0, second=0, microsecond=0)

    for _, part in groupby(sorted(spans, key=lambda span: (day(span), span["gateway"])), day):
        yield list(part)


def _columns(spans: Sequence[Mapping[str, Any]], *names: str) -> dict[str, Any]:
    return {f"{name}s": [span[name] for span in spans] for name in names}


def _with_bounds(spans: Sequence[Mapping[str, Any]], width: timedelta) -> dict[str, Any]:
    values = _columns(spans, "gateway", "low")
    return {**values, "low": min(values["lows"]), "high": max(values["lows"]) + width}
