"""Sends what people who wrote to us are answered. Law of this file: after ten minutes an answer helps nobody.

The rows say what is due; several may send, each takes rows that no other has. One that dies after the
provider's yes lets the answer go out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from central.notifier.channel import Channel, Message, Outcome, Sent, TryLater
from central.notifier.retry import next_try
from central.store import replies
from central.store.errors import StoreError
from central.store.pool import Store
from central.store.replies import Answer

NAME = "answers"
_EVERY_S = 1.0
_AT_ONCE = 10
_BEYOND = timedelta(seconds=10)
_PATIENCE = timedelta(minutes=10)
_log = structlog.get_logger()


class Answering:
    """Sends answers by the channels on which people wrote, for ever."""

    def __init__(self, store: Store, channels: Mapping[str, Channel], beat: Callable[[str], None]) -> None:
        self._store = store
        self._channels = dict(channels)
        self._beat = beat

    async def run(self) -> None:
        """Until cancelled; outages of the database are waited out."""
        slowest = max((one.timeout_s for one in self._channels.values()), default=0.0)
        hold = timedelta(seconds=slowest) + _BEYOND
        while True:
            self._beat(NAME)
            claimed: list[Answer] = []
            try:
                async with self._store.transaction() as tx:
                    claimed = await replies.claim(tx, self._channels, _AT_ONCE, hold)
                await asyncio.gather(*(self._send(one) for one in claimed))
            except StoreError as error:
                _log.warning("answers cannot be sent", error=str(error))
                claimed = []
            if not claimed:
                await asyncio.sleep(_EVERY_S)

    async def _send(self, one: Answer) -> None:
        channel = self._channels[one.channel]
        message = Message(
            key=f"answer:{one.id}",
            alarm=0,
            purpose="answer",
            urgent=False,
            language=one.language,
            title=one.text,
            text="",
            open_text=one.text,
            words={"answer": one.text},
        )
        outcome: Outcome
        try:
            async with asyncio.timeout(channel.timeout_s + 2.0):
                outcome = await channel.send(message, one.address)
        except Exception as error:  # noqa: BLE001 -- a channel promises never to raise; others must not suffer
            outcome = TryLater(None, f"the channel raised {type(error).__name__}")
        async with self._store.transaction() as tx:
            if isinstance(outcome, Sent):
                await replies.end(tx, one, "sent")
                return
            again = next_try(one.attempts, outcome, tx.now, urgent=False)
            if again is None or again > one.made_at + _PATIENCE:
                _log.warning("an answer is given up", channel=one.channel, why=outcome.why)
                await replies.end(tx, one, "failed", why=outcome.why)
            else:
                await replies.end(tx, one, "pending", why=outcome.why, due_at=again)
