"""When each periodic job last succeeded. Law of this file: success alone is written, no start or restart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from central.store.pool import Tx
from central.store.sql import queries

COARSE = timedelta(seconds=10)
"""A success is on record to this precision."""
MISSED = 3
"""So many periods without success are too many."""
AT_LEAST = timedelta(seconds=60)
WORKER, INGEST, AUDITOR = "worker", "ingest", "auditor"
"""Processes that leave their progress here like jobs: the auditor when it has proved that all is well."""
VITAL = frozenset({WORKER, INGEST, "due", "sweep"})
"""Without these a fire reaches nobody, or silence is not noticed. The others are told as ordinary alarms."""
PARTS_S = 10.0
"""Their period."""
_SQL = queries("jobs")


class Job(NamedTuple):
    """`every` None: this program has no such job any more."""

    name: str
    every: timedelta | None
    succeeded_at: datetime


def is_overdue(job: Job, now: datetime) -> bool:
    """Whether a job has missed too many of its periods."""
    return job.every is not None and now - job.succeeded_at > max(MISSED * job.every, AT_LEAST)


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
