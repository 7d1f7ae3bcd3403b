"""From what was seen to what is on record: in order, with its moment, whatever the disk says.

Law of this file: an observation that was handed over reaches the outbox as long as the process lives. What is
not urgent waits a moment for others, so that many share one write to the card; what is urgent waits for
nobody. What the outbox itself refuses waits in memory in the order it was seen and is tried again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from edge_agent.observation import Observation, Seen, Stamp
from edge_agent.turning import Turning

GROUP_S = 1.0
"""What is not urgent waits so long for others to be written with."""
MOST_IN_GROUP = 500
RETRY_S = 1.0
MOST_WAITING = 20_000
"""More than this while the outbox refuses: the oldest that are not urgent are given up, and counted."""

Tracked = Mapping[str, bytes]
Heard = Callable[[Sequence[Observation], Stamp], None]


class Store(Protocol):
    """Where observations go; `edge_agent.outbox.Outbox` is it."""

    trouble: str | None
    """Why it is not on disk; None while it is."""

    def record(self, groups: Sequence[Seen]) -> object:
        """Put groups on record, all or none."""
        ...

    def tend(self, stamp: Stamp) -> object:
        """Do what is due every few seconds."""
        ...


def is_urgent(seen: Observation) -> bool:
    """Whether it is sent before any backlog and must be on record before anything else is done."""
    return seen.urgent


class Recorder:
    """The only way into the outbox for what the pollers see. `trouble` is what a store that refuses raises.

    `recorded` is called after each write, `changed` when the store begins or ceases to refuse.
    """

    def __init__(
        self,
        store: Store,
        stamp: Callable[[], Stamp],
        recorded: Callable[[], None],
        trouble: type[Exception],
        changed: Callable[[], None] = lambda: None,
        *,
        tend_s: float = 2.0,
    ) -> None:
        self._store = store
        self._stamp = stamp
        self._recorded = recorded
        self._trouble = trouble
        self._changed = changed
        self._tend_s = tend_s
        self._waiting: deque[Seen] = deque()
        self._some = asyncio.Event()
        self._turn = asyncio.Lock()
        self._writing = 0
        self._trouble_told: str | None = None
        self._log = structlog.get_logger()
        self.turning, self.tending = Turning(), Turning()
        self.error: str | None = None
        """Why the outbox refuses; None while it takes what it is given."""
        self.given_up = 0
        """Observations lost because too many waited."""
        self.mark: Callable[[Observation, int], Observation] = lambda seen, _now_ms: seen
        """What is added to each observation at its moment (monotonic, ms)."""
        self.on_seen: Heard = lambda _observations, _stamp: None
        """Hears of each group as it is handed over, whatever the disk says."""
        self.on_written: Heard = lambda _observations, _stamp: None
        """Hears of each group once it is on disk."""

    @property
    def waiting(self) -> int:
        """Groups that are not on record yet."""
        return len(self._waiting)

    async def record(self, observations: Sequence[Observation], tracked: Tracked) -> None:
        """Take it, stamped now. Urgent: comes back when it is on record, or when the outbox has refused."""
        stamp = self._stamp()
        marked = tuple(self.mark(one, stamp.mono_ms) for one in observations)
        seen = Seen(marked, stamp, dict(tracked))
        self._waiting.append(seen)
        self._bound()
        self._some.set()
        self.on_seen(seen.observations, seen.stamp)
        if seen.urgent and self.error is None:
            await asyncio.shield(self._flush())

    async def run(self) -> None:
        """Write what waits and tend the store, for ever; every second again while it refuses."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write())
            group.create_task(self._tend())

    async def close(self) -> None:
        """Write what still waits; one try."""
        await self._flush()

    async def _write(self) -> None:
        while True:
            await self.turning.wait(self._some)
            await asyncio.sleep(GROUP_S)
            if not await self._flush():
                await asyncio.sleep(RETRY_S)

    async def _tend(self) -> None:
        while True:
            self.tending.turned()
            try:
                async with self._turn:
                    await asyncio.to_thread(self._store.tend, self._stamp())
                self._look()
            except self._trouble as error:
                self._log.error("the outbox cannot be tended", why=str(error))
            await asyncio.sleep(self._tend_s)

    async def _flush(self) -> bool:
        async with self._turn:
            while self._waiting:
                self.turning.turned()
                group = [self._waiting[i] for i in range(min(len(self._waiting), MOST_IN_GROUP))]
                self._writing = len(group)
                try:
                    await self._put(group)
                except self._trouble as error:
                    self._refused(str(error))
                    return False
                finally:
                    self._writing = 0
                for _ in group:
                    self._waiting.popleft()
                self._recorded()
                self._look()
            self._some.clear()
            if self.error is not None:
                self._log.warning("the outbox takes events again")
                self.error = None
                self._changed()
            return True

    async def _put(self, group: list[Seen]) -> None:
        """All in one write; when one of them cannot be written, each by itself and that one not."""
        try:
            await asyncio.to_thread(self._store.record, group)
        except self._trouble:
            raise
        except Exception:  # noqa: BLE001 -- one row that cannot be written must not hold up the rest
            if len(group) == 1:
                self._log.exception("an observation cannot be recorded", seen=repr(group[0].observations))
                return
            self._log.warning("a group cannot be recorded as one", size=len(group))
            for at, seen in enumerate(list(group)):
                try:
                    await self._put([seen])
                except self._trouble:
                    # Those before it are on record: only the rest waits on.
                    for _ in range(at):
                        self._waiting.popleft()
                    raise
        else:
            for seen in group:
                self.on_written(seen.observations, seen.stamp)

    def _look(self) -> None:
        """Tell it when the store leaves the disk or is back on it."""
        trouble = self._store.trouble
        if (trouble is None) == (self._trouble_told is None):
            return
        self._trouble_told = trouble
        if trouble is None:
            self._log.warning("events are on disk again")
        else:
            self._log.error("events are in memory only", why=trouble)
        self._changed()

    def _refused(self, why: str) -> None:
        if self.error is None:
            self._log.error("the outbox refuses events; they wait in memory", why=why)
        news, self.error = self.error is None, why
        if news:
            self._changed()

    def _bound(self) -> None:
        if len(self._waiting) <= MOST_WAITING:
            return
        for place, seen in enumerate(self._waiting):
            # The first ones may be under way to the disk just now.
            if place >= self._writing and not seen.urgent:
                del self._waiting[place]
                self.given_up += len(seen.observations)
                return
