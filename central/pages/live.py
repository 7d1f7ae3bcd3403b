"""The alarm log as a live stream. Law of this file: rows are the truth, a NOTIFY only says "look now"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from central.store.errors import StoreError
from central.store.overview import LogLine, log_after, log_end
from central.store.pool import Store

HEARTBEAT_S = 10.0
LOOK_S = 2.0
"""How often rows are looked at without being told."""
MOST_STREAMS = 300


class Feed:
    """One LISTEN for all who follow."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: set[asyncio.Event] = set()
        self._closed = False

    async def run(self) -> None:
        """Listen for ever and wake who follows."""
        await self._store.listen("alarm", self.wake)

    def wake(self) -> None:
        """Make every follower look at the rows."""
        for event in self._waiting:
            event.set()

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closed = True
        self.wake()

    @property
    def streams(self) -> int:
        """How many follow now."""
        return len(self._waiting)

    async def follow(self, after: int | None) -> AsyncIterator[LogLine | None]:
        """Lines behind `after` (None: from now on) as they come; None at once and every 10 s as a heartbeat.

        A heartbeat is given only after a look at the database that worked.
        """
        event = asyncio.Event()
        self._waiting.add(event)
        clock = asyncio.get_running_loop().time
        beat_at = clock()
        try:
            while not self._closed:
                event.clear()
                lines: list[LogLine] = []
                try:
                    async with self._store.transaction() as tx:
                        if after is None:
                            after = await log_end(tx)
                        else:
                            lines = await log_after(tx, after)
                    answered = True
                except StoreError:
                    answered = False
                for line in lines:
                    yield line
                    after = line.id
                if answered and clock() >= beat_at:
                    yield None
                    beat_at = clock() + HEARTBEAT_S
                if not lines:
                    await self._wait(event)
        finally:
            self._waiting.discard(event)

    async def _wait(self, event: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await event.wait()
        except TimeoutError:
            return
