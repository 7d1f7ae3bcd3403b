"""Long work lets others have their turn. Law: a fire waits for a quarter of a millisecond of it at most."""

from __future__ import annotations

import asyncio

_EVERY_S = 0.00025
"""A turn costs a look at every socket: about a tenth of this."""


class OthersTurn:
    """Lets others have their turn, each time that this work has had its own for long enough."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()

    async def come(self) -> None:
        """Call it often."""
        if self._clock() - self._since >= _EVERY_S:
            await asyncio.sleep(0)
            self._since = self._clock()
