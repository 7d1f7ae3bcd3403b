"""Whether messages get out, seen from the rows: so it holds in one process and in many.

Law of this file: it knows only what it has looked at; when it could not look, nothing is proved. Where there
is an auditor its proof must be fresh too: one that is dead, or has found something, proves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from central.store import deliveries, jobs
from central.store.errors import StoreError
from central.store.pool import Store, Tx

LOOK_S = 5.0
_STALE_S = 3 * LOOK_S
AUDITED_S = 30.0
"""The auditor's last proof may be so old."""
_log = structlog.get_logger()


class WorkerProof:
    """Looks every 5 s for messages that nobody sends. `clock` is monotonic seconds."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        beat: Callable[[str], None] = lambda _loop: None,
        *,
        audited: bool = False,
    ) -> None:
        """`audited`: there is to be an auditor."""
        self._store = store
        self._clock = clock
        self._beat = beat
        self._audited = audited
        self._unproved = False
        self._looked_at: float | None = None
        self._overdue = 0

    @property
    def good(self) -> bool:
        """Whether a fresh look found nothing overdue, and the auditor's proof."""
        return (
            self._looked_at is not None
            and self._clock() - self._looked_at < _STALE_S
            and self._overdue == 0
            and not self._unproved
        )

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._beat("proof")
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Look once."""
        try:
            async with self._store.transaction() as tx:
                overdue = (await deliveries.backlog(tx)).overdue
                unproved = self._audited and await self._no_audit(tx)
        except StoreError:
            return  # nothing is proved; the store's own trouble is told elsewhere
        if bool(overdue) != bool(self._overdue):
            _log.warning("messages overdue" if overdue else "messages get out again", count=overdue)
        if unproved != self._unproved:
            _log.warning("no proof from the auditor" if unproved else "the auditor proves again")
        self._overdue, self._unproved = overdue, unproved
        self._looked_at = self._clock()

    async def _no_audit(self, tx: Tx) -> bool:
        proofs = [one.succeeded_at for one in await jobs.on_record(tx) if one.name == jobs.AUDITOR]
        return not proofs or (tx.now - proofs[0]).total_seconds() > AUDITED_S
