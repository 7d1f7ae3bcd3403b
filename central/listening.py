"""Asks a modem for what people wrote back. Law of this file: what was acted upon is deleted, and only that.

A modem that dies in between gives a message again: with its stamp it counts once. One that is sending, or
does not answer, is left alone for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from central import metrics
from central.notifier.callbacks.json_form import name_of
from central.notifier.channel import TryLater
from central.notifier.channels.gsm import Gsm
from central.notifier.told import Reply
from central.pipeline.receipts import take
from central.store.errors import StoreError
from central.store.pool import Store
from gsm.incoming import deliver

EVERY_S = 5.0
_AFTER_FAILURE_S = 60.0
_log = structlog.get_logger()


class Listening:
    """One modem's inbox, for ever."""

    def __init__(self, store: Store, name: str, modem: Gsm, beat: Callable[[str], None]) -> None:
        """`name` is the channel's."""
        self._store = store
        self._channel = name
        self._modem = modem
        self._beat = beat
        self.loop = f"replies {name}"
        """What the loop is called."""

    async def run(self) -> None:
        """Until cancelled."""
        done: list[int] = []
        while True:
            self._beat(self.loop)
            found = await self._modem.inbox(done)
            if isinstance(found, TryLater):
                if found.after is None:
                    _log.warning("the modem's inbox cannot be read", channel=self._channel, why=found.why)
                await asyncio.sleep(_AFTER_FAILURE_S if found.after is None else EVERY_S)
                continue
            done = [place for place, pdu in found.messages if await self._take(pdu)]
            if not done:
                await asyncio.sleep(EVERY_S)

    async def _take(self, pdu: str) -> bool:
        """Whether it may be deleted: acted upon, or nothing that can be read."""
        try:
            came = deliver(pdu)
        except ValueError:
            metrics.RECEIPTS.labels(self._channel, "unreadable").inc()
            return True
        once = f"reply:{name_of(came.number, came.text, came.stamp)}"
        try:
            async with self._store.transaction() as tx:
                outcome = await take(tx, self._channel, Reply(came.number, came.text, once))
        except StoreError as error:
            _log.warning("a reply cannot be taken yet", channel=self._channel, error=str(error))
            return False
        metrics.RECEIPTS.labels(self._channel, outcome).inc()
        return True
