"""When each periodic job last succeeded. Law of this file: success alone is written, no start or restart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from central.store.pool import Tx
from central.store.sql import queries

COARSE = timedelta(seconds=10)
"""A success is on record to this precision."""
_SQL = queries("jobs")


class Job(NamedTuple):
    """`every` None: this program has no such job any more."""

    name: str
    every: timedelta | None
    succeeded_at: datetime


async def expect(tx: Tx, jobs: Mapping[str, float]) -> None:
    """These are all the jobs, with their periods in seconds. A new one counts as having succeeded now."""
    values = {
        "now": tx.now,
        "names": list(jobs),
        "every": [timedelta(seconds=every_s) for every_s in jobs.values()],
    }
    await tx.conn.execute(_SQL["expect"], values)
    await tx.conn.execute(_SQL["forget"], values)


async def succeeded(tx: Tx, name: str) -> None:
    """The job has done its work."""
    await tx.conn.execute(_SQL["succeeded"], {"name": name, "now": tx.now, "coarse": COARSE})


async def on_record(tx: Tx) -> list[Job]:
    """Every job there is or was, by name."""
    return [Job(**row) for row in await (await tx.conn.execute(_SQL["all"])).fetchall()]


async def areas(tx: Tx) -> list[str]:
    """The areas that have gateways: whose people are told of a job that is stuck."""
    return [str(row["area"]) for row in await (await tx.conn.execute(_SQL["areas"])).fetchall()]
