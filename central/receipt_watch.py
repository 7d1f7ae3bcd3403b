"""Who has what was sent to them? Law of this file: the rows say by when; it looks once a second.

Several may look at once: each takes rows that no other has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from central.pipeline import receipts
from central.store.errors import StoreError
from central.store.pool import Store

NAME = "receipts"
_EVERY_S = 1.0
_log = structlog.get_logger()


class ReceiptWatch:
    """Looks for receipts that did not come, for ever; outages of the database are waited out."""

    def __init__(self, store: Store, beat: Callable[[str], None]) -> None:
        self._store = store
        self._beat = beat

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._beat(NAME)
            late = 0
            try:
                async with self._store.transaction() as tx:
                    late = await receipts.overdue(tx)
            except StoreError as error:
                _log.warning("receipts cannot be looked for", error=str(error))
            if late:
                _log.warning("receipts did not come in time", messages=late)
            await asyncio.sleep(0 if late else _EVERY_S)
