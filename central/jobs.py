"""Ticks: what is due, what has fallen silent, what is too old.

Law of this file: the rows hold the truth; a tick
only looks. A tick that is missed or raises costs nothing but its own delay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from central import metrics, pipeline
from central.config import JobsSettings
from central.store import alarms, clock, deliveries, pace, people, receipts, replies, retention, trends
from central.store import jobs as records
from central.store.errors import StoreError
from central.store.links import forget_links
from central.store.pool import Store, Tx
from central.store.rollups import Roller
from device_profiles.schema import Profile

DUE_S = 1.0
SWEEP_S = 2.0
SETTLE_S = 20.0
_DUE_ROUNDS = 10
VERIFY_S = 1.0
FIGURES_S = 5.0
MINUTES_S = 60.0
HOURS_S = 300.0
TRENDS_S = 60.0
DUTIES_S = 60.0
_TRENDS_FOR_S = 20.0
"""Then the next tick goes on: parts are judged once a day, whenever in the day that is."""
KEEPING_S = 3600.0
_LINKS_KEPT = timedelta(days=90)
_GRACE_S = 2.0
_log = structlog.get_logger()


class Jobs:
    """Drives the ticks, for ever. `wall` is the same clock that the scheduler reads."""

    def __init__(
        self,
        store: Store,
        settings: JobsSettings,
        wall: Callable[[], datetime],
        beat: Callable[[str], None] = lambda _tick: None,
        profiles: Mapping[str, Profile] | None = None,
        parts: Collection[str] = (),
    ) -> None:
        """`beat` is called with the tick's name whenever it has ended, well or not.

        `profiles` say at which values models call for help; without them the rules that need it are silent.
        `parts` are the processes beside this one that are to leave their progress in the rows.
        """
        self._profiles = profiles or {}
        self._parts = dict.fromkeys(parts, records.PARTS_S)
        self._store = store
        self._settings = settings
        self._wall = wall
        self._beat = beat
        self._failing: dict[str, str] = {}
        self._expected = False
        self._running: set[asyncio.Task[None]] = set()
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )

    @property
    def ticks(self) -> dict[str, float]:
        """The name of each tick and its interval in seconds."""
        return {
            "due": DUE_S,
            "sweep": SWEEP_S,
            "settle": SETTLE_S,
            "verify": VERIFY_S,
            "figures": FIGURES_S,
            "keeping": KEEPING_S,
            "minutes": MINUTES_S,
            "hours": HOURS_S,
            "trends": TRENDS_S,
            "duties": DUTIES_S,
        }

    async def run(self) -> None:
        """Tick until cancelled."""
        roller = Roller(self._store, asyncio.get_running_loop().time)
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "due": self._due,
            "sweep": self._sweep,
            "settle": self._settle,
            "verify": self._verify,
            "figures": self._figures,
            "keeping": self._keeping,
            "minutes": partial(self._roll, roller.minutes),
            "hours": partial(self._roll, roller.hours_and_days),
            "trends": self._trends,
            "duties": self._duties,
        }
        for name, every_s in self.ticks.items():
            self._scheduler.add_job(
                self._tick,
                "interval",
                args=(name, work[name]),
                seconds=every_s,
                id=name,
                next_run_time=self._wall(),
                replace_existing=True,
            )
        self._scheduler.start()
        try:
            while True:
                await asyncio.sleep(1)
                self.mend_after_clock_step()
        finally:
            self._scheduler.pause()
            if self._running:  # a tick that is under way gets its time; the scheduler would cut it
                await asyncio.wait(self._running, timeout=_GRACE_S)
            self._scheduler.shutdown(wait=False)

    def mend_after_clock_step(self) -> None:
        """The scheduler plans by the wall clock: when that was set back, its next ticks lie far ahead."""
        now = self._wall()
        for job in self._scheduler.get_jobs():
            limit = timedelta(seconds=self.ticks[job.id] + 2)
            if job.next_run_time is not None and job.next_run_time - now > limit:
                _log.warning("the clock was set back; ticking on", tick=job.id)
                self._scheduler.modify_job(job.id, next_run_time=now)

    def next_run(self, tick: str) -> datetime | None:
        """When a tick comes next."""
        job = self._scheduler.get_job(tick)
        return None if job is None else job.next_run_time

    async def _tick(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.current_task()
        assert task is not None, "the scheduler runs each tick as a task"
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await self._expect()
            await work()
            async with self._store.transaction() as tx:
                await records.succeeded(tx, name)
        except StoreError as error:
            self._say(name, type(error).__name__, str(error))
        except Exception as error:  # noqa: BLE001 -- whatever it was, the next tick goes on
            if self._failing.get(name) != type(error).__name__:
                _log.exception("a tick failed; the next one goes on", tick=name)
            self._failing[name] = type(error).__name__
            metrics.LOOP_FAILURES.labels(f"jobs {name}").inc()
        else:
            if self._failing.pop(name, None):
                _log.info("a tick works again", tick=name)
        self._beat(f"jobs {name}")

    async def _expect(self) -> None:
        """Put on record which jobs there are, for whoever watches them: central/job_watch.py."""
        if not self._expected:
            async with self._store.transaction() as tx:
                await records.expect(tx, {**self.ticks, **self._parts})
            self._expected = True

    def _say(self, name: str, kind: str, text: str) -> None:
        """Log the change, not the tick."""
        if self._failing.get(name) != kind:
            _log.warning("a tick could not reach its rows; the next one goes on", tick=name, error=text)
        self._failing[name] = kind

    async def _due(self) -> None:
        """What has waited for one moment, such as a fifth of a city's gateways, must not take minutes."""
        async with self._store.transaction() as tx:
            if by := await clock.mend(tx):
                _log.error("the server's clock was set back; what waits was shifted", by_s=by.total_seconds())
        async with self._store.transaction() as tx:
            await pipeline.run_held(tx)
        for _ in range(_DUE_ROUNDS):
            async with self._store.transaction() as tx:
                if await pipeline.run_due(tx) < pipeline.DUE_AT_ONCE:
                    return

    async def _sweep(self) -> None:
        async with self._store.transaction() as tx:
            await pipeline.sweep(tx)

    async def _settle(self) -> None:
        more = True
        while more:
            async with self._store.transaction() as tx:
                more = await pipeline.settle(tx)

    async def _verify(self) -> None:
        async with self._store.transaction() as tx:
            await pipeline.verify(tx)

    async def _figures(self) -> None:
        async with self._store.transaction() as tx:
            waiting = await deliveries.backlog(tx)
            by_severity = await deliveries.open_by_severity(tx)
        if waiting.overdue:
            _log.error("messages are overdue", overdue=waiting.overdue, oldest_s=round(waiting.oldest_s))
        metrics.DELIVERIES_WAITING.set(waiting.waiting)
        metrics.DELIVERIES_OVERDUE.set(waiting.overdue)
        metrics.OLDEST_DELIVERY_S.set(waiting.oldest_s)
        for severity, count in by_severity.items():
            metrics.OPEN_ALARMS.labels(severity).set(count)

    async def _roll(self, roll: Callable[[], Awaitable[int]]) -> None:
        await roll()

    async def _trends(self) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + _TRENDS_FOR_S
        while clock() < until:
            async with self._store.transaction() as tx:
                if await alarms.unanswered_life(tx):
                    return  # somebody waits to be told: that comes first
                if not await pipeline.judge_trends(tx, self._profiles):
                    return

    async def _duties(self) -> None:
        async with self._store.transaction() as tx:
            await pipeline.judge_policies(tx)
        while True:
            async with self._store.transaction() as tx:
                if not await pipeline.look_ahead(tx):
                    return

    async def _keeping(self) -> None:
        """Forget what is too old, a piece at a time so that nothing waits for it."""
        readings = timedelta(days=self._settings.readings_days)
        quarantine = timedelta(days=self._settings.quarantine_days)
        minutes = timedelta(days=self._settings.minutes_days)
        hours = timedelta(days=self._settings.hours_days)
        pieces: dict[str, Callable[[Tx], Awaitable[int]]] = {
            "readings": partial(retention.forget_readings, keep=readings),
            "rollup_minute": partial(retention.forget_minutes, keep=minutes),
            "rollup_hour": partial(retention.forget_hours, keep=hours),
            "quarantine": partial(retention.forget_quarantine, keep=quarantine),
            "clock_sample": trends.forget_clock_samples,
            "link": partial(forget_links, keep=_LINKS_KEPT),
            "receipt": partial(receipts.forget, keep=_LINKS_KEPT),
            "answer": partial(replies.forget, keep=_LINKS_KEPT),
            "pace": pace.forget,
            "family": people.forget_families,
        }
        for name, forget in pieces.items():
            total = 0
            while True:
                async with self._store.transaction() as tx:
                    gone = await forget(tx)
                total += gone
                if gone < retention.PIECE:
                    break
            if total:
                _log.info("old rows are gone", table=name, rows=total)
