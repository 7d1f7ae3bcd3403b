"""A loop's proof that it turns, also while it waits for work that does not come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LOOK_S = 5.0
"""A loop without work comes round so often."""


class Turning:
    """One for each loop. `now` gives seconds; without it the running event loop's time."""

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        self._now = now
        self._at: float | None = None

    def turned(self) -> None:
        """The loop has come round."""
        self._at = self._time()

    def age_s(self) -> float:
        """Since the loop last came round; 0 while it has not begun."""
        return 0.0 if self._at is None else self._time() - self._at

    async def wait(self, event: asyncio.Event, timeout_s: float | None = None) -> bool:
        """Wait for the event, at most `timeout_s`, turning meanwhile; whether it is set."""
        left = float("inf") if timeout_s is None else timeout_s
        while True:
            self.turned()
            if event.is_set():
                return True
            if left <= 0:
                return False
            step = min(left, LOOK_S)
            left -= step
            try:
                async with asyncio.timeout(step):
                    await event.wait()
            except TimeoutError:
                continue

    def _time(self) -> float:
        return asyncio.get_running_loop().time() if self._now is None else self._now()
