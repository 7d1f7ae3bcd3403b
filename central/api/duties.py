"""Policies, shifts and leave over HTTP: thin. The rules are in `central.registry`."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from central.api.access import DESK, OFFICE, Caller, may
from central.api.registry import Limit, Wanted
from central.registry import policies, rosters
from central.registry.policies import Held, Simulation
from central.registry.rosters import Away, Shift
from central.store import rosters as rows
from central.store.pool import Store

Number = Annotated[int, Path(ge=1, le=2**62)]
Behind = Annotated[int, Query(ge=0, le=2**62, description="Ids behind this one.")]


@dataclass(frozen=True, slots=True)
class PolicyBody:
    """A policy for a grid, for an area, or (without both) everywhere; `policy` null takes it away again."""

    severity: str
    """life (smoke and heat), unwatched or care."""
    policy: dict[str, Any] | None
    """The form: docs/reference/policies.md."""
    area: str | None = None
    grid: str | None = None


@dataclass(frozen=True, slots=True)
class PolicySaved:
    """It is on record, and heard within 5 s. `warnings` are worth a second look."""

    warnings: list[str]


@dataclass(frozen=True, slots=True)
class SimulateBody:
    """What to play through: without `policy` the one that holds there; without `at` (with a zone) now."""

    condition: str
    area: str | None = None
    grid: str | None = None
    at: datetime | None = None
    policy: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Policies:
    """What is saved; or, asked for a place, what holds there for each severity."""

    policies: list[Held]


@dataclass(frozen=True, slots=True)
class Added:
    """The number under which it can be taken off again."""

    id: int


@dataclass(frozen=True, slots=True)
class Numbered:
    """A page of rows by number; `next_after` asks for the next, null at the end."""

    rows: list[dict[str, Any]]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class AreaReport:
    """What one area lacked when it was looked at last: hours nobody covers, people and channels that fail."""

    area: str
    day: date
    gaps: list[dict[str, Any]]
    unreachable: list[dict[str, Any]]
    channels: list[dict[str, Any]] = field(default_factory=list)
    """By which most of the day's tries failed: channel, tries, failed, why."""


def routes(store: Store) -> APIRouter:
    """The routes below /api/v1 about who is told."""
    router = APIRouter(prefix="/api/v1", tags=["duties"])
    _add_policies(router, store)
    _add_rosters(router, store)
    return router


def _add_policies(router: APIRouter, store: Store) -> None:
    @router.get("/policies", dependencies=[Depends(may(store, DESK))])
    async def listed(area: Wanted = None, grid: Wanted = None) -> Policies:
        """All policies on record; with a grid or an area what holds there, the built-in included."""
        async with store.transaction() as tx:
            if area is None and grid is None:
                return Policies(await policies.listed(tx))
            return Policies(await policies.holding(tx, area=area, grid=grid))

    @router.put("/policies")
    async def save(body: PolicyBody, caller: Annotated[Caller, Depends(may(store, OFFICE))]) -> PolicySaved:
        """Save a policy, or take it away. One that reaches nobody is refused. Roles: administrator."""
        by, where = caller.who, caller.from_where
        async with store.transaction() as tx:
            if body.policy is None:
                await policies.drop(
                    tx, area=body.area, grid=body.grid, severity=body.severity, by=by, from_where=where
                )
                return PolicySaved([])
            warnings = await policies.save(
                tx,
                area=body.area,
                grid=body.grid,
                severity=body.severity,
                body=body.policy,
                by=by,
                from_where=where,
            )
        return PolicySaved(warnings)

    @router.post("/policies/simulate", dependencies=[Depends(may(store, DESK))])
    async def simulate(body: SimulateBody) -> Simulation:
        """Who would get what when, if nobody answered. Nothing is sent and nothing is saved."""
        async with store.transaction() as tx:
            return await policies.simulate(
                tx, area=body.area, grid=body.grid, condition=body.condition, at=body.at, body=body.policy
            )


def _add_rosters(router: APIRouter, store: Store) -> None:
    @router.get("/shifts", dependencies=[Depends(may(store, DESK))])
    async def shifts(area: Wanted = None, after: Behind = 0, limit: Limit = 100) -> Numbered:
        """Shifts by number, also those that are over. Hours are China's clock."""
        async with store.transaction() as tx:
            found = [dict(row) for row in await rows.shifts(tx, area=area, after=after, limit=limit)]
        return Numbered(found, found[-1]["id"] if len(found) == limit else None)

    @router.post("/shifts")
    async def add_shift(body: Shift, caller: Annotated[Caller, Depends(may(store, OFFICE))]) -> Added:
        """A worker has a duty in these hours of each week. Roles: administrator."""
        async with store.transaction() as tx:
            return Added(await rosters.add_shift(tx, body, by=caller.who, from_where=caller.from_where))

    @router.delete("/shifts/{number}")
    async def drop_shift(number: Number, caller: Annotated[Caller, Depends(may(store, OFFICE))]) -> Added:
        """Take a shift off the roster."""
        async with store.transaction() as tx:
            await rosters.drop_shift(tx, number, by=caller.who, from_where=caller.from_where)
        return Added(number)

    @router.get("/leaves", dependencies=[Depends(may(store, DESK))])
    async def leaves(after: Behind = 0, limit: Limit = 100) -> Numbered:
        """Leave that is not over, by number."""
        async with store.transaction() as tx:
            found = [dict(row) for row in await rows.leaves(tx, after=after, limit=limit)]
        return Numbered(found, found[-1]["id"] if len(found) == limit else None)

    @router.post("/leaves")
    async def add_leave(body: Away, caller: Annotated[Caller, Depends(may(store, DESK))]) -> Added:
        """A worker is away for a time; the substitute is told instead. Roles: administrator, dispatcher."""
        async with store.transaction() as tx:
            return Added(await rosters.add_leave(tx, body, by=caller.who, from_where=caller.from_where))

    @router.delete("/leaves/{number}")
    async def drop_leave(number: Number, caller: Annotated[Caller, Depends(may(store, DESK))]) -> Added:
        """Take it off again."""
        async with store.transaction() as tx:
            await rosters.drop_leave(tx, number, by=caller.who, from_where=caller.from_where)
        return Added(number)

    @router.get("/rosters/report", dependencies=[Depends(may(store, DESK))])
    async def report(area: Wanted = None) -> list[AreaReport]:
        """Each area as found this morning: uncovered hours of 48, people and channels that cannot be used."""
        async with store.transaction() as tx:
            found = await rows.reports(tx, area)
        return [AreaReport(row["area"], row["day"], **row["body"]) for row in found]
