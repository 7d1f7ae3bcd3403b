"""Reports over HTTP: thin. No resident is in any of them; each is a row of the audit log."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from fastapi.responses import Response

from central.api.access import DESK, Caller, may
from central.api.questions import From, Limit, To, checked
from central.api.registry import Wanted
from central.month_report import MEDIA_TYPE, Asker, Made, make, on_record, written
from central.pages.month import month_headers
from central.pages.month_pdf import available
from central.reports.model import DetectorNoise, Fire, Month, PlaceTimes
from central.reports.noise import by_detector
from central.reports.times import by_place
from central.store import reports as store_reports
from central.store.pool import Store

AT_ONCE = 2
"""Reports under way at once; another is told to come again."""
LONGEST = timedelta(days=400)
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/html": {}, "text/csv": {}, "application/pdf": {}}}
}
MonthName = Annotated[str, Path(pattern="^20[0-9]{2}-(0[1-9]|1[0-2])$", description="Such as 2026-10.")]
Skip = Annotated[int, Query(ge=0, le=1_000_000)]


@dataclass(frozen=True, slots=True)
class TimesPage:
    """Streets, communities, grids; `next_skip` asks for the next page, null at the end."""

    places: list[PlaceTimes]
    next_skip: int | None


@dataclass(frozen=True, slots=True)
class NoisePage:
    """Detectors, the noisiest first; `next_skip` asks for the next page, null at the end."""

    detectors: list[DetectorNoise]
    next_skip: int | None


def routes(store: Store) -> APIRouter:
    """`/api/v1/reports`."""
    router = APIRouter(prefix="/api/v1/reports", tags=["reports"])
    room = asyncio.Semaphore(AT_ONCE)

    async def made(month: str, area: str | None, caller: Caller) -> Made:
        if room.locked():
            raise HTTPException(503, f"{AT_ONCE} reports are being made", headers={"Retry-After": "10"})
        async with room:
            try:
                return await make(store, month, area, Asker(caller.who, caller.from_where))
            except ValueError as error:
                raise HTTPException(400, str(error)) from None

    @router.get("/months/{month}")
    async def figures(
        month: MonthName, caller: Annotated[Caller, Depends(may(store, DESK))], area: Wanted = None
    ) -> Month:
        """All figures of a month of China's clock, of one street or of all. Spans are seconds.

        Roles: administrator, dispatcher.
        """
        return (await made(month, area, caller)).month

    @router.get("/months/{month}/file", response_class=Response, responses=_FILES)
    async def file(
        month: MonthName,
        caller: Annotated[Caller, Depends(may(store, DESK))],
        area: Wanted = None,
        as_: Annotated[str, Query(alias="as", pattern="^(html|csv|pdf)$")] = "html",
    ) -> Response:
        """The same as a page to be read and printed, as CSV for Excel, or as PDF (extra `pdf`, else 501).

        Roles: administrator, dispatcher.
        """
        if as_ == "pdf" and not available():
            raise HTTPException(501, "no PDF here: install smokewatch[pdf], or ask for as=html and print it")
        report = await made(month, area, caller)
        match as_:
            case "html":
                content = await asyncio.to_thread(written, report, "html")
                return Response(content, media_type=MEDIA_TYPE["html"], headers=month_headers())
            case "csv":
                content = await asyncio.to_thread(written, report, "csv")
            case _:
                content = await asyncio.to_thread(written, report, "pdf")
        name = f"smokewatch-{month}.{as_}"
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(content, media_type=MEDIA_TYPE["pdf" if as_ == "pdf" else "csv"], headers=headers)

    @router.get("/times")
    async def times(
        begin: From,
        end: To,
        caller: Annotated[Caller, Depends(may(store, DESK))],
        area: Wanted = None,
        skip: Skip = 0,
        limit: Limit = 100,
    ) -> TimesPage:
        """How long after smoke or heat people were told, took it, set out, arrived and closed it, by place.

        Roles: administrator, dispatcher.
        """
        checked(begin, end, LONGEST)
        fires, names = await _fires(store, begin, end, area, caller)
        found = await asyncio.to_thread(by_place, fires, names)
        return TimesPage(list(found[skip : skip + limit]), _next(len(found), skip, limit))

    @router.get("/detectors")
    async def detectors(
        begin: From,
        end: To,
        caller: Annotated[Caller, Depends(may(store, DESK))],
        area: Wanted = None,
        skip: Skip = 0,
        limit: Limit = 100,
    ) -> NoisePage:
        """How often each detector called, how much of it was false, and why.

        Roles: administrator, dispatcher.
        """
        checked(begin, end, LONGEST)
        fires, _ = await _fires(store, begin, end, area, caller)
        found = await asyncio.to_thread(by_detector, fires)
        return NoisePage(list(found[skip : skip + limit]), _next(len(found), skip, limit))

    return router


async def _fires(
    store: Store, begin: From, end: To, area: str | None, caller: Caller
) -> tuple[list[Fire], dict[Any, str]]:
    async with store.transaction() as tx:
        asked = {"from": begin.isoformat(), "to": end.isoformat()}
        await on_record(tx, Asker(caller.who, caller.from_where), area, asked)
        found = await store_reports.fires(tx, begin, end, area)
        names = await store_reports.names_of(tx, area)
    if len(found) > store_reports.MOST:
        raise HTTPException(400, f"more than {store_reports.MOST} alarms: ask for a shorter time or a street")
    return found, dict(names)


def _next(found: int, skip: int, limit: int) -> int | None:
    return skip + limit if skip + limit < found else None
