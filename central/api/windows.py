"""Windows in which detectors are worked on or out of service, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends

from central.api.access import ALL, Caller, may
from central.api.duties import Added, Behind, Number, Numbered
from central.api.registry import Limit, Wanted
from central.registry.windows import NewWindow, end_window, open_window
from central.store import windows as rows
from central.store.pool import Store

AT_WORK = ("administrator", "dispatcher", "installer")
"""Those who may say that somebody works on a detector."""


def routes(store: Store) -> APIRouter:
    """The routes below /api/v1/windows."""
    router = APIRouter(prefix="/api/v1", tags=["windows"])

    @router.get("/windows", dependencies=[Depends(may(store, ALL))])
    async def listed(
        area: Wanted = None, past: bool = False, after: Behind = 0, limit: Limit = 100
    ) -> Numbered:
        """Windows by number that are not over; what is out of service stays until it is ended."""
        async with store.transaction() as tx:
            found = await rows.listed(tx, area=area, past=past, after=after, limit=limit)
        return Numbered([dict(row) for row in found], found[-1]["id"] if len(found) == limit else None)

    @router.post("/windows")
    async def add(body: NewWindow, caller: Annotated[Caller, Depends(may(store, AT_WORK))]) -> Added:
        """Open one. It keeps messages about faults of these detectors back; never smoke or heat."""
        async with store.transaction() as tx:
            return Added(await open_window(tx, body, by=caller.who, from_where=caller.from_where))

    @router.post("/windows/{number}/end")
    async def end(number: Number, caller: Annotated[Caller, Depends(may(store, AT_WORK))]) -> Added:
        """End it now: what waited for its end is told."""
        async with store.transaction() as tx:
            await end_window(tx, number, by=caller.who, from_where=caller.from_where)
        return Added(number)

    return router
