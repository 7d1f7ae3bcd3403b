"""Whether messages get out, seen from the rows: so it holds in one process and in many.

Law of this file: it knows only what it has looked at; when it could not look, nothing is proved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from central.store import deliveries
from central.store.errors import StoreError
from central.store.pool import Store

LOOK_S = 5.0
_STALE_S = 3 * LOOK_S
_log = structlog.get_logger()


class WorkerProof:
    """Looks every 5 s for messages that nobody sends. `clock` is monotonic seconds."""

    def __init__(
        self, store: Store, clock: Callable[[], float], beat: Callable[[str], None] = lambda _loop: None
    ) -> None:
        self._store = store
        self._clock = clock
        self._beat = beat
        self._looked_at: float | None = None
        self._overdue = 0

    @property
    def good(self) -> bool:
        """Whether a fresh look found nothing overdue."""
        return (
            self._looked_at is not None and self._clock() - self._looked_at < _STALE_S and self._overdue == 0
        )

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._beat("proof")
            try:
                async with self._store.transaction() as tx:
                    overdue = (await deliveries.backlog(tx)).overdue
            except StoreError:
                pass  # nothing is proved; the store's own trouble is told elsewhere
            else:
                if bool(overdue) != bool(self._overdue):
                    _log.warning("messages overdue" if overdue else "messages get out again", count=overdue)
                self._overdue = overdue
                self._looked_at = self._clock()
            await asyncio.sleep(LOOK_S)
