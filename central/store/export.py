"""Readings by the million, in pieces. Law of this file: a piece is a short transaction; nothing is held open.

A piece is a day of up to SERIES series, so whoever reads slowly holds neither a connection nor a snapshot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from central.store.pool import Store
from central.store.questions import limit_time
from central.store.sql import queries

SERIES = 50
PIECE = timedelta(days=1)
LONGEST = timedelta(days=366)
_SQL = queries("questions")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Readings from `begin` to `end` (exclusive) of one detector, gateway, building or grid."""

    begin: datetime
    end: datetime
    detector: str | None = None
    gateway: str | None = None
    building: str | None = None
    grid: str | None = None


class Reading(NamedTuple):
    """One row of an export; the units are those of `wire.messages.ReadingBatch`."""

    gateway: str
    detector: str
    at: datetime
    received_at: datetime
    smoke: float | None
    temperature: float | None
    battery: float | None
    contamination: float | None
    status: int | None


async def export(store: Store, wanted: Wanted) -> AsyncIterator[list[Reading]]:
    """Pieces, some of them empty: up to SERIES series together, day after day."""
    after = 0
    while True:
        async with store.transaction() as tx:
            await limit_time(tx)
            cursor = await tx.conn.execute(
                _SQL["export_series"],
                {
                    "after": after,
                    "limit": SERIES,
                    "detector": wanted.detector,
                    "gateway": wanted.gateway,
                    "building": wanted.building,
                    "grid": wanted.grid,
                    "from": wanted.begin,
                    "to": wanted.end,
                },
            )
            names = {row["id"]: (row["gateway"], row["detector"]) for row in await cursor.fetchall()}
        if names:
            begin = wanted.begin
            while begin < wanted.end:
                end = min(begin + PIECE, wanted.end)
                yield await _piece(store, names, begin, end)
                begin = end
            after = max(names)
        if len(names) < SERIES:
            return


async def _piece(
    store: Store, names: dict[int, tuple[str, str]], begin: datetime, end: datetime
) -> list[Reading]:
    async with store.transaction() as tx:
        await limit_time(tx)
        values = {"series": list(names), "from": begin, "to": end}
        cursor = await tx.conn.execute(_SQL["export_rows"], values)
        return [Reading(*names[row.pop("series")], **row) for row in await cursor.fetchall()]
