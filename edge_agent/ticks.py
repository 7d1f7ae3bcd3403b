"""The agent's event loop, with timers as fine as the lines need them.

Law of this file: nothing but the selector differs from asyncio's own loop. epoll counts whole milliseconds,
rounded up; a pause of 3.65 ms between two frames would take 4 or 5, and a lap two hundredths longer.
"""

from __future__ import annotations

import asyncio
import select
from selectors import EpollSelector, SelectorKey

FINE_S = 0.01
"""Shorter waits than this end to the microsecond."""


class FineSelector(EpollSelector):
    """Lets select, which counts microseconds, watch the one descriptor of epoll while a wait is short."""

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """As any selector's: what is ready, after at most `timeout` seconds."""
        if timeout is not None and 0 < timeout < FINE_S:
            ready, _, _ = select.select((self.fileno(),), (), (), timeout)
            if not ready:
                return []
            timeout = 0
        return super().select(timeout)


def fine_loop() -> asyncio.AbstractEventLoop:
    """A new loop."""
    return asyncio.SelectorEventLoop(FineSelector())
