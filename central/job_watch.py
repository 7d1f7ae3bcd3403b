"""Watches the periodic jobs by what they leave in the rows, from whatever process runs it.

Law of this file: it trusts no scheduler, least of all its own. Stuck is who is overdue in several looks in a
row: after an outage of the database, a step of its clock or a start of ours the jobs get time to come first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from central import metrics
from central.pipeline.job_health import judge_jobs
from central.store import jobs
from central.store.errors import StoreError
from central.store.pool import Store

LOOK_S = 20.0
LOOKS = 3
"""Overdue in so many looks in a row."""
NAME = "job watch"
_log = structlog.get_logger()


class JobWatch:
    """Looks for ever."""

    def __init__(self, store: Store, beat: Callable[[str], None] = lambda _loop: None) -> None:
        """`beat` is called with the loop's name after each look, well or not."""
        self._store = store
        self._beat = beat
        self._overdue: dict[str, int] = {}
        self._failing = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
                self._failing = False
            except StoreError as error:
                if not self._failing:
                    _log.warning("the jobs cannot be watched", error=str(error))
                self._failing = True
                self._overdue.clear()
            self._beat(NAME)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> list[str]:
        """Look once; returns the names of the jobs that are stuck. Raises StoreError."""
        async with self._store.transaction() as tx:
            known = await jobs.on_record(tx)
            late = {job.name for job in known if jobs.is_overdue(job, tx.now)}
            counts = {name: self._overdue.get(name, 0) + 1 for name in late}
            stuck = [job for job in known if counts.get(job.name, 0) >= LOOKS]
            await judge_jobs(tx, stuck, [job for job in known if job.name not in late])
            now = tx.now
        for job in known:
            if job.every is not None:
                metrics.JOB_AGE_S.labels(job.name).set((now - job.succeeded_at).total_seconds())
        for job in stuck:
            if counts[job.name] == LOOKS:
                _log.error("a job is stuck", job=job.name, succeeded_at=job.succeeded_at.isoformat())
        self._overdue = counts
        return [job.name for job in stuck]
