"""Questions over HTTP: thin. Nothing personal is told; every range and page is bounded."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query

from central.api.access import ALL, may
from central.api.registry import After, DetectorId, Wanted
from central.registry.check import missing
from central.registry.errors import MissingError
from central.store import fleet, questions
from central.store.fleet import Fleet, GatewayHealth, Uptime
from central.store.pool import Store, Tx
from central.store.questions import MOST_STATES, Day, Series, State
from central.store.resolution import KEPT, LONGEST, MOST_POINTS, Kept

From = Annotated[
    datetime, Query(alias="from", description="ISO 8601 with a zone (2026-03-01T00:00:00Z); inclusive.")
]
To = Annotated[datetime, Query(alias="to", description="ISO 8601 with a zone; exclusive.")]
Limit = Annotated[int, Query(ge=1, le=MOST_STATES)]


@dataclass(frozen=True, slots=True)
class TrendDays:
    """Days with readings, the oldest first."""

    detector: str
    days: list[Day]


@dataclass(frozen=True, slots=True)
class StatePage:
    """A page of detectors by id; `next_after` asks for the next, null at the end."""

    detectors: list[State]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class FleetPage:
    """The whole in figures, and a page of gateways by id."""

    fleet: Fleet
    gateways: list[GatewayHealth]
    next_after: str | None


@dataclass(frozen=True, slots=True)
class UptimePage:
    """A page of detectors or gateways by id."""

    parts: list[Uptime]
    next_after: str | None


def routes(store: Store, kept: Kept = KEPT) -> APIRouter:
    """The routes below /api/v1 that answer questions."""
    router = APIRouter(prefix="/api/v1", tags=["questions"], dependencies=[Depends(may(store, ALL))])

    @router.get("/detectors/{detector}/series")
    async def series(
        detector: DetectorId,
        begin: From,
        end: To,
        points: Annotated[int, Query(ge=1, le=MOST_POINTS, description="About so many buckets.")] = 500,
    ) -> Series:
        """A detector over time: lowest, highest and mean of each bucket, and gaps with what is known of them.

        Buckets without readings are left out. Roll-ups are up to 60 s (minutes) or 6 min (hours, days) late.
        """
        checked(begin, end, LONGEST)
        async with store.transaction() as tx:
            found = await questions.series(tx, detector, begin, end, points=points, kept=kept)
        if found is None:
            raise MissingError([missing("detector", "detector", detector)])
        return found

    @router.get("/detectors/{detector}/trend")
    async def trend(detector: DetectorId, begin: From, end: To) -> TrendDays:
        """Battery and contamination by day of China's clock."""
        checked(begin, end, questions.LONGEST_TREND)
        async with store.transaction() as tx:
            days = await questions.trend(tx, detector, begin, end)
        if days is None:
            raise MissingError([missing("detector", "detector", detector)])
        return TrendDays(detector, days)

    @router.get("/state")
    async def state(
        area: Wanted = None,
        community: Wanted = None,
        grid: Wanted = None,
        building: Wanted = None,
        after: After = "",
        limit: Limit = 100,
    ) -> StatePage:
        """What is known now of the detectors in a place; of all when none is named."""
        async with store.transaction() as tx:
            found = await questions.state(
                tx, area=area, community=community, grid=grid, building=building, after=after, limit=limit
            )
        return StatePage(found, found[-1].detector if len(found) == limit else None)

    @router.get("/fleet")
    async def health(area: Wanted = None, after: After = "", limit: Limit = 100) -> FleetPage:
        """How the fleet does: figures of the whole, and what each gateway last said of itself."""
        async with store.transaction() as tx:
            whole = await fleet.fleet(tx)
            found = await fleet.gateways(tx, area=area, after=after, limit=limit)
        return FleetPage(whole, found, found[-1].id if len(found) == limit else None)

    @router.get("/uptime")
    async def uptime(
        begin: From,
        end: To,
        of: Annotated[str, Query(pattern="^(detectors|gateways)$")] = "detectors",
        detector: Wanted = None,
        gateway: Wanted = None,
        after: After = "",
        limit: Limit = 100,
    ) -> UptimePage:
        """How much of the time each part was there, by the alarms on record; and what it was away for."""
        checked(begin, end, fleet.LONGEST_UPTIME)
        async with store.transaction() as tx:
            found = await _uptime(tx, of, begin, end, detector, gateway, after, limit)
        return UptimePage(found, found[-1].id if len(found) == limit else None)

    return router


async def _uptime(
    tx: Tx,
    of: str,
    begin: datetime,
    end: datetime,
    detector: str | None,
    gateway: str | None,
    after: str,
    limit: int,
) -> list[Uptime]:
    if of == "gateways":
        return await fleet.gateway_uptime(tx, begin, end, gateway=gateway, after=after, limit=limit)
    return await fleet.detector_uptime(
        tx, begin, end, detector=detector, gateway=gateway, after=after, limit=limit
    )


def checked(begin: datetime, end: datetime, longest: timedelta) -> None:
    """A range that can be asked for. Raises HTTPException 400."""
    if begin.tzinfo is None or end.tzinfo is None:
        raise HTTPException(400, "from and to need a zone, as in 2026-03-01T00:00:00Z")
    if not begin < end:
        raise HTTPException(400, "from must be before to")
    if end - begin > longest:
        raise HTTPException(400, f"from and to are more than {longest.days} days apart")
    if not (begin.year >= 1990 and end.year <= 2200):
        raise HTTPException(400, "from and to must lie between 1990 and 2200")
