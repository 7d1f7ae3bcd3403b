"""Where providers tell what became of messages: one address for each channel, believed by its secret.

Law of this file: who cannot prove to be the provider changes nothing but the audit log, and that a few times
a minute at most; neither what came nor the token is logged or shown. A provider that has proved itself is
answered as it wants only after the commit, so that it comes again when we were down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from central import metrics
from central.notifier.callbacks import Callback
from central.notifier.told import Told, Unreadable
from central.pages.guesses import Guesses
from central.pipeline.receipts import UNKNOWN, take
from central.store import audit
from central.store.pool import Store

_LOOK_AGAIN_S = 0.3
"""A provider may be faster than our own commit; Aliyun hangs up after 0.7 s."""
_log = structlog.get_logger()


def routes(store: Store, callbacks: Mapping[str, Callback], guesses: Guesses | None = None) -> APIRouter:
    """The routes below /callbacks/."""
    router = APIRouter(include_in_schema=False)
    forged = guesses or Guesses(burst=20, every_s=30.0)

    @router.post("/callbacks/{channel}")
    @router.post("/callbacks/{channel}/{token}")
    async def told(request: Request, channel: str, token: str = "") -> Response:
        """What the provider says, all of it in one transaction each."""
        known = callbacks.get(channel)
        body = await request.body()
        if known is None or not known.genuine(token, request.headers, body, await _now()):
            await _refuse(request, channel if known else "")
            raise HTTPException(404, "nobody is told anything here")
        try:
            said = known.read(body)
        except Unreadable as error:
            _log.warning("a callback cannot be read", channel=channel, why=str(error))
            metrics.RECEIPTS.labels(channel, "unreadable").inc()
            raise HTTPException(400, str(error)) from None
        early = await _take(channel, said)
        if early:
            await asyncio.sleep(_LOOK_AGAIN_S)
            for _ in await _take(channel, early):
                metrics.RECEIPTS.labels(channel, UNKNOWN).inc()
        return JSONResponse(dict(known.taken))

    async def _now() -> datetime:
        async with store.transaction() as tx:
            return tx.now

    async def _take(channel: str, said: Sequence[Told]) -> list[Told]:
        """What is about messages that are not on record comes back."""
        early: list[Told] = []
        for one in said:
            async with store.transaction() as tx:
                outcome = await take(tx, channel, one)
            if outcome == UNKNOWN:
                early.append(one)
            else:
                metrics.RECEIPTS.labels(channel, outcome).inc()
        return early

    async def _refuse(request: Request, channel: str) -> None:
        address = request.client.host if request.client else ""
        metrics.RECEIPTS.labels(channel or "unknown", "forged").inc()
        if not forged.wrong(address, asyncio.get_running_loop().time()):
            _log.warning("a callback without proof was refused", channel=channel, address=address)
            async with store.transaction() as tx:
                await audit.note(
                    tx,
                    who="unknown",
                    action="callback_refused",
                    subject=f"channel:{channel}",
                    from_where=address,
                )

    return router
