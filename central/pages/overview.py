"""The live overview: every grid, every open alarm, nothing personal. Complete without JavaScript."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from central.pages.live import MOST_STREAMS, Feed
from central.pages.render import page
from central.pages.words import language_of
from central.store.overview import Overview, overview
from central.store.pool import Store

DEAF_AFTER = timedelta(seconds=30)


def routes(store: Store, feed: Feed) -> APIRouter:
    """`/`, its fragment and its stream."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def show(lang: str | None = None) -> HTMLResponse:
        """The whole page."""
        return await _page("overview.html", lang)

    @router.get("/fragment/overview")
    async def fragment(lang: str | None = None) -> HTMLResponse:
        """What changes of it."""
        return await _page("_overview.html", lang)

    @router.get("/stream", response_class=EventSourceResponse, dependencies=[Depends(room(feed))])
    async def stream() -> AsyncIterator[ServerSentEvent]:
        """That something changed, and that we are alive; not what it was."""
        async for line in feed.follow(None):
            if line is None:
                yield ServerSentEvent(event="heartbeat", data={})
            else:
                yield ServerSentEvent(event="alarm", id=str(line.id), data={"alarm": line.alarm})

    async def _page(template: str, lang: str | None) -> HTMLResponse:
        async with store.transaction() as tx:
            seen = await overview(tx)
        return page(template, language_of(lang), all=seen, deaf=_deaf(seen))

    return router


def room(feed: Feed) -> Callable[[], None]:
    """A dependency that answers 503 when every place at the stream is taken."""

    def check() -> None:
        if feed.streams >= MOST_STREAMS:
            raise HTTPException(503, "too many streams are open")

    return check


def _deaf(seen: Overview) -> bool:
    return seen.heard_at is not None and seen.now - seen.heard_at > DEAF_AFTER
