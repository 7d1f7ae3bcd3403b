"""Alarms as they change, over server-sent events: ids are those of the log, so a client misses nothing."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from central.api.access import ALL, may
from central.api.alarms import MOST
from central.pages.live import Feed
from central.pages.overview import room
from central.store.pool import Store


def routes(store: Store, feed: Feed) -> APIRouter:
    """`/api/stream`."""
    router = APIRouter(prefix="/api", tags=["alarms"])

    @router.get(
        "/stream",
        response_class=EventSourceResponse,
        dependencies=[Depends(may(store, ALL)), Depends(room(feed))],
    )
    async def stream(
        last_event_id: Annotated[str | None, Header(max_length=19)] = None,
        after: Annotated[int | None, Query(ge=0, le=MOST)] = None,
    ) -> AsyncIterator[ServerSentEvent]:
        """Events `alarm` with the change as data (the shape of /api/events), and `heartbeat` every 10 s.

        With `Last-Event-ID` (or `after`) all that lies behind it comes first; without, only what is new.
        """
        known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdecimal()
        start = min(int(last_event_id or 0), MOST) if known else after
        async for line in feed.follow(start):
            if line is None:
                yield ServerSentEvent(event="heartbeat", data={})
            else:
                yield ServerSentEvent(event="alarm", id=str(line.id), data=line)

    return router
