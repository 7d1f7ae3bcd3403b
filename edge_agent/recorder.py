"""From what was seen to what is on record: in order, with its moment, whatever the disk says.

Law of this file: an observation that was handed over reaches the outbox as long as the process lives. While
the disk refuses, everything waits in memory in the order it was seen and is tried again every second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from edge_agent.observation import Observation, Stamp
from edge_agent.turning import Turning
from wire.messages import URGENT, EventKind

RETRY_S = 1.0
MOST_WAITING = 20_000
"""More than this while the disk refuses: the oldest that are not urgent are given up, and counted."""

Tracked = Mapping[str, bytes]
Append = Callable[[Sequence[Observation], Stamp, Tracked | None], object]
Heard = Callable[[Sequence[Observation], Stamp], None]


@dataclass(frozen=True, slots=True)
class _Seen:
    observations: tuple[Observation, ...]
    stamp: Stamp
    tracked: Tracked

    @property
    def urgent(self) -> bool:
        return any(is_urgent(each) for each in self.observations)


def is_urgent(seen: Observation) -> bool:
    """Whether it is sent before any backlog and must be on record before anything else is done."""
    return seen.kind is EventKind.ASSERT and seen.condition in URGENT


class Recorder:
    """The only way into the outbox for what the pollers see. `trouble` is what a full disk raises.

    `recorded` is called after each write, `changed` when the disk begins or ceases to refuse.
    """

    def __init__(
        self,
        append: Append,
        stamp: Callable[[], Stamp],
        recorded: Callable[[], None],
        trouble: type[Exception],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._append = append
        self._stamp = stamp
        self._recorded = recorded
        self._trouble = trouble
        self._changed = changed
        self._waiting: deque[_Seen] = deque()
        self._some = asyncio.Event()
        self._turn = asyncio.Lock()
        self._log = structlog.get_logger()
        self.turning = Turning()
        self.error: str | None = None
        """Why the disk refuses; None while it takes what it is given."""
        self.given_up = 0
        """Observations lost because too many waited."""
        self.on_seen: Heard = lambda _observations, _stamp: None
        """Hears of each group as it is handed over, whatever the disk says."""
        self.on_written: Heard = lambda _observations, _stamp: None
        """Hears of each group once it is on disk."""

    @property
    def waiting(self) -> int:
        """Groups that are not on record yet."""
        return len(self._waiting)

    async def record(self, observations: Sequence[Observation], tracked: Tracked) -> None:
        """Take it, stamped now. Urgent: comes back when it is on record, or when the disk has refused."""
        seen = _Seen(tuple(observations), self._stamp(), dict(tracked))
        self._waiting.append(seen)
        self._bound()
        self._some.set()
        self.on_seen(seen.observations, seen.stamp)
        if seen.urgent and self.error is None:
            await asyncio.shield(self._flush())

    async def run(self) -> None:
        """Write what waits, for ever; every second again while the disk refuses."""
        while True:
            await self.turning.wait(self._some)
            if not await self._flush():
                await asyncio.sleep(RETRY_S)

    async def close(self) -> None:
        """Write what still waits; one try."""
        await self._flush()

    async def _flush(self) -> bool:
        async with self._turn:
            while self._waiting:
                self.turning.turned()
                seen = self._waiting[0]
                try:
                    await asyncio.to_thread(self._append, seen.observations, seen.stamp, seen.tracked)
                except self._trouble as error:
                    self._refused(str(error))
                    return False
                except Exception:  # noqa: BLE001 -- one row that cannot be written must not hold up the rest
                    self._log.exception("an observation cannot be recorded", seen=repr(seen.observations))
                else:
                    self.on_written(seen.observations, seen.stamp)
                self._waiting.popleft()
                self._recorded()
            self._some.clear()
            if self.error is not None:
                self._log.warning("the outbox takes events again")
                self.error = None
                self._changed()
            return True

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
            # The first one may be under way to the disk just now.
            if place and not seen.urgent:
                del self._waiting[place]
                self.given_up += len(seen.observations)
                return
