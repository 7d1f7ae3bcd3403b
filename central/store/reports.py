"""What reports are made from.

Law of this file: rows in, values out; no figures. Every question is bounded in rows and in time, and no
resident is asked for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from central.reports.load import STANDING_AFTER
from central.reports.model import Call, Fire, Gathered, Level, Unreached, Watched
from central.store.fleet import detector_uptime
from central.store.pool import Store, Tx, one
from central.store.questions import MOST_STATES, limit_time
from central.store.sql import queries

MOST = 200_000
"""Fires, and calls, of one report."""
MOST_PEOPLE = 500
_SQL = queries("reports")


async def gather(store: Store, begin: datetime, end: datetime, area: str | None) -> Gathered:
    """From `begin` to `end` (exclusive) or now, of one street or of all; in several short transactions."""
    async with store.transaction() as tx:
        end = min(end, tx.now)
        values = {"from": begin, "to": end, "area": area}
        fires_of = await fires(tx, begin, end, area)
        calls = await _rows(tx, "calls", **values, limit=MOST + 1)
        standing = await _rows(tx, "standing", **values, before=end - STANDING_AFTER)
        nobody = await _rows(tx, "nobody", **values)
        people = await _rows(tx, "unreached", **values, limit=MOST_PEOPLE)
        names = await names_of(tx, area)
    return Gathered(
        area=area,
        begin=begin,
        end=end,
        names=names,
        fires=tuple(fires_of[:MOST]),
        calls=tuple(Call(**row) for row in calls[:MOST]),
        standing=one(standing[0])["standing"],
        nobody_reachable=one(nobody[0])["fires"],
        unreached=tuple(Unreached(**row) for row in people),
        watched=await _watched(store, begin, end, area, names),
        cut=max(len(fires_of), len(calls)) > MOST,
    )


async def fires(tx: Tx, begin: datetime, end: datetime, area: str | None) -> list[Fire]:
    """Smoke and heat that began within the time, one more than MOST where there are more."""
    rows = await _rows(tx, "fires", **{"from": begin, "to": end}, area=area, limit=MOST + 1)
    return [Fire(**row) for row in rows]


async def names_of(tx: Tx, area: str | None) -> dict[tuple[Level, str], str]:
    """What streets, communities and grids are called."""
    return {(row["level"], row["id"]): row["name"] for row in await _rows(tx, "names", area=area)}


async def _watched(
    store: Store, begin: datetime, end: datetime, area: str | None, names: dict[tuple[Level, str], str]
) -> tuple[Watched, ...]:
    sums: dict[str | None, list[float]] = {}
    after = ""
    while begin < end:
        async with store.transaction() as tx:
            page = await detector_uptime(tx, begin, end, after=after, limit=MOST_STATES)
            ids = [part.id for part in page]
            found = await _rows(tx, "grids_of", detectors=ids, to=end, area=area)
        grids = {row["detector"]: row["grid"] for row in found}
        for part in page:
            if part.id in grids:
                held = sums.setdefault(grids[part.id], [0, 0.0, 0.0])
                held[0], held[1], held[2] = held[0] + 1, held[1] + part.expected_s, held[2] + part.down_s
        if len(page) < MOST_STATES:
            break
        after = ids[-1]
    return tuple(
        Watched(
            grid=grid,
            name=names.get(("grid", grid), grid) if grid else "",
            detectors=int(count),
            expected_s=expected,
            down_s=down,
            ratio=1 - down / expected if expected else None,
        )
        for grid, (count, expected, down) in sorted(sums.items(), key=lambda of: of[0] or "")
    )


async def _rows(tx: Tx, name: str, **values: Any) -> list[dict[str, Any]]:
    await limit_time(tx)
    return await (await tx.conn.execute(_SQL[name], values)).fetchall()
