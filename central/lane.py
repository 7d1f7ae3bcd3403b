"""What waits to be stored. Law of this file: bounded; the more waits, the more is taken at once.

A lane that may gather lets the first of a few wait a moment for more, so that they share a transaction. Lanes
that are not behind take turns: what is not urgent leaves processors free for what is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from central import metrics
from central.intake import Answer, Intake, Parcel


class Lane:
    """A bounded queue, what may be taken from it at once, and the moment of its last progress."""

    def __init__(
        self,
        name: str,
        size: int,
        most_bytes: int = 0,
        gather_s: float = 0.0,
        turn: asyncio.Lock | None = None,
    ) -> None:
        """`most_bytes` of payload are taken at once.

        Less than a tenth of it waits `gather_s` for more, and for its `turn` among the lanes that share one.
        """
        self.name = name
        self.busy_since: float | None = None
        self.held_bytes = 0
        self._most_bytes = most_bytes
        self._gather_s = gather_s
        self._turn = turn
        self._queue: asyncio.Queue[Parcel] = asyncio.Queue(size)

    def put(self, parcel: Parcel) -> None:
        """Let it wait; when the queue is full drop and count it: the gateway sends again."""
        try:
            self._queue.put_nowait(parcel)
        except asyncio.QueueFull:
            metrics.DROPPED.labels(lane=self.name).inc()
        else:
            self.held_bytes += len(parcel.payload)

    async def work(self, intake: Intake, say: Callable[[list[Answer]], Coroutine[Any, Any, None]]) -> None:
        """Store what waits and say the answers, for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            parcels, few = await self._take()
            self.busy_since = clock()
            async with self._turn if few and self._turn is not None else contextlib.nullcontext():
                answers = await intake.take(parcels)
            self.busy_since = None
            await say(answers)

    async def _take(self) -> tuple[list[Parcel], bool]:
        """At least one, of what waits no more than `most_bytes`; and whether there were few."""
        parcels = [await self._queue.get()]
        few = self._gather_s > 0 and self.held_bytes < self._most_bytes // 10
        if few:
            await asyncio.sleep(self._gather_s)
        size = len(parcels[0].payload)
        while size < self._most_bytes and not self._queue.empty():
            parcels.append(self._queue.get_nowait())
            size += len(parcels[-1].payload)
        self.held_bytes -= size
        return parcels, few
