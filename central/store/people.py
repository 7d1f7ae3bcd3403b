"""Who has a duty towards a place. Law of this file: only active workers who can be reached at all.

An area that the registry does not know has no dispatcher of its own: then every dispatcher is told.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from typing import NamedTuple

from central.engine.policy import Target
from central.notifier.plan import Contact, Recipient
from central.store.pool import Tx
from central.store.sql import queries

_sql = queries("people")


class Duty(NamedTuple):
    """A duty towards a grid of an area; without a grid only what is owed to the area."""

    grid: str | None
    area: str
    target: Target


async def recipients(tx: Tx, places: Collection[tuple[str | None, str]]) -> dict[Duty, list[Recipient]]:
    """Those who have a duty towards these (grid, area), each with contacts in the order of trying.

    A duty that nobody has is not in the answer.
    """
    grids, areas = [grid for grid, _ in places], [area for _, area in places]
    rows = await (await tx.conn.execute(_sql["recipients"], {"grids": grids, "areas": areas})).fetchall()
    found: dict[Duty, list[Recipient]] = {}
    for (grid, area, target, worker), ways in groupby(
        rows, key=lambda r: (r["grid"], r["area"], r["target"], r["worker"])
    ):
        contacts = tuple(Contact(way["rank"], way["channel"], way["address"]) for way in ways)
        found.setdefault(Duty(grid, area, Target(target)), []).append(Recipient(worker, contacts))
    return found
