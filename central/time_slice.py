"""How long one piece of work may hold the loop. Law: 0.25 ms and the step under way; then others may."""

from __future__ import annotations

import asyncio

_SLICE_S = 0.00025
"""A turn costs the loop a look at its sockets: at this length 5 % of what ingest needs for readings."""


class TimeSlice:
    """The time that a piece of work has before others have their turn; then it has as much again."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()

    async def give_way(self) -> None:
        """Let others have their turn if the time is over. To be called after each step."""
        if self._clock() - self._began >= _SLICE_S:
            await asyncio.sleep(0)
            self._began = self._clock()
