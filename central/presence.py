"""Roles that would leave no trace while nothing happens say in the rows that they turn.

Law of this file: only a process whose loops all turn says so; no start and no restart is a proof.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog

from central.store import jobs
from central.store.errors import StoreError
from central.store.pool import Store

NAME = "presence"
SAY_S = 10.0
ROLES = frozenset({jobs.WORKER, jobs.INGEST})
_log = structlog.get_logger()


class Presence:
    """Says it for ever. `turns` tells whether every loop of this process turns."""

    def __init__(
        self,
        store: Store,
        roles: Collection[str],
        turns: Callable[[], bool],
        beat: Callable[[str], None] = lambda _loop: None,
    ) -> None:
        """`beat` is called with the loop's name at each turn."""
        self._store = store
        self._roles = sorted(ROLES.intersection(roles))
        self._turns = turns
        self._beat = beat

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._beat(NAME)
            await self.say()
            await asyncio.sleep(SAY_S)

    async def say(self) -> None:
        """Say it once, if it is so."""
        if not self._turns():
            return
        try:
            async with self._store.transaction() as tx:
                for role in self._roles:
                    await jobs.succeeded(tx, role)
        except StoreError as error:
            _log.warning("no word to the auditor", roles=self._roles, error=str(error))
