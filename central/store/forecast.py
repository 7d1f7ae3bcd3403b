"""How large the database will become. Law of this file: sizes and yesterday's counts tell; no scans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from central.store.pool import Tx, one
from central.store.sql import queries

_SQL = queries("forecast")
FRESH = {"readings": 115.0, "rollup_minute": 150.0, "rollup_hour": 190.0, "rollup_day": 215.0, "event": 700.0}
"""Bytes a row with its indexes while a table is too small to tell (`benchmarks.storage` measures them)."""
_TELLS = 10_000
"""From so many rows on a table's own size tells."""
TEN_YEARS = 3650


@dataclass(frozen=True, slots=True)
class Growth:
    """One table: now, each day, and when all that is kept has come together."""

    table: str
    bytes: int
    rows: int
    rows_a_day: int
    bytes_a_row: float
    kept_days: int
    """Events are kept for ever: ten years of them are counted."""

    @property
    def bytes_a_day(self) -> float:
        """What one more day like the last brings."""
        return self.rows_a_day * self.bytes_a_row

    @property
    def final_bytes(self) -> float:
        """When as much is forgotten as comes."""
        return max(float(self.bytes), self.bytes_a_day * self.kept_days)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of all tables that grow with the fleet."""

    day: datetime | None
    """The day that is taken for all days to come; None: there is none yet."""
    tables: tuple[Growth, ...]

    @property
    def final_bytes(self) -> float:
        """All of them, when as much is forgotten as comes."""
        return sum(table.final_bytes for table in self.tables)


async def forecast(tx: Tx, kept_days: Mapping[str, int]) -> Forecast:
    """If every day brought what the last whole one did; `kept_days` by table."""
    found = await (await tx.conn.execute(_SQL["sizes"], {"names": list(FRESH)})).fetchall()
    daily = one(await (await tx.conn.execute(_SQL["daily"], {"now": tx.now})).fetchone())
    events = one(await (await tx.conn.execute(_SQL["events"], {"now": tx.now})).fetchone())
    rows = {
        "readings": daily["readings"],
        "rollup_minute": daily["minutes"],
        "rollup_hour": daily["hours"],
        "rollup_day": daily["days"],
        "event": events["events"],
    }
    sizes = {row["name"]: (int(row["bytes"]), int(row["row_count"])) for row in found}
    tables = tuple(
        Growth(
            name,
            sizes[name][0],
            sizes[name][1],
            int(rows[name]),
            sizes[name][0] / sizes[name][1] if sizes[name][1] >= _TELLS else fresh,
            kept_days.get(name, TEN_YEARS),
        )
        for name, fresh in FRESH.items()
    )
    return Forecast(daily["day"], tables)
