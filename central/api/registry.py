"""The registry over HTTP: thin. Reading a resident writes an audit row in the same transaction."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, UploadFile

from central.api.access import ALL, DESK, OFFICE, SITE, Caller, may
from central.api.limits import IMPORT_PATH
from central.api.shapes import ImportAnswer, Listed, PlacementBody, Saved
from central.registry.check import missing
from central.registry.csv_files import MAX_FILE_BYTES, read_files
from central.registry.csv_import import run_import
from central.registry.errors import MissingError, Problem, RegistryError
from central.registry.kinds import (
    Area,
    Building,
    Bus,
    Community,
    Detector,
    Gateway,
    Grid,
    Household,
    Record,
    Resident,
    Worker,
)
from central.registry.register import Profiles, place, register, remove
from central.store import audit
from central.store import registry as rows
from central.store.pool import Store, Tx

_ID = r"^[a-z0-9-]{1,32}$"
After = Annotated[str, Query(pattern=r"^[a-z0-9-]{0,32}$", description="Ids behind this one.")]
Wanted = Annotated[str | None, Query(pattern=_ID)]
DetectorId = Annotated[str, Path(pattern=_ID)]
Limit = Annotated[int, Query(ge=1, le=1000)]
_WRITERS: tuple[tuple[str, type[Record], tuple[str, ...]], ...] = (
    ("areas", Area, OFFICE),
    ("communities", Community, OFFICE),
    ("grids", Grid, OFFICE),
    ("buildings", Building, SITE),
    ("households", Household, SITE),
    ("residents", Resident, OFFICE),
    ("workers", Worker, OFFICE),
    ("gateways", Gateway, SITE),
    ("buses", Bus, SITE),
    ("detectors", Detector, SITE),
)


def routes(store: Store, profiles: Profiles) -> APIRouter:
    """The routes below /api that keep the registry."""
    router = APIRouter(prefix="/api", tags=["registry"])
    for path, kind, roles in _WRITERS:
        _add_writer(router, store, profiles, path, kind, roles)
    _add_readers(router, store)
    _add_placements(router, store, profiles)
    _add_import(router, store, profiles)
    return router


def _add_writer(
    router: APIRouter,
    store: Store,
    profiles: Profiles,
    path: str,
    kind: type[Record],
    roles: tuple[str, ...],
) -> None:
    async def save(record: Any, caller: Any) -> Saved:
        async with store.transaction() as tx:
            told = await register(tx, record, by=caller.who, profiles=profiles, from_where=caller.from_where)
        return Saved(record.id, told)

    # FastAPI reads the body's type from here: one function serves every kind.
    save.__annotations__ = {
        "record": kind,
        "caller": Annotated[Caller, Depends(may(store, roles))],
        "return": Saved,
    }
    router.post(
        f"/{path}",
        name=f"save_{kind.__name__.lower()}",
        operation_id=f"save_{kind.__name__.lower()}",
        summary=f"Register or change: {kind.__name__.lower()}",
        description=f"Repeating it changes nothing. Roles: {', '.join(roles)}.",
    )(save)


def _add_readers(router: APIRouter, store: Store) -> None:
    async def _list(read: Callable[[Tx], Awaitable[Sequence[dict[str, Any]]]], limit: int) -> Listed:
        async with store.transaction() as tx:
            found = list(await read(tx))
        return Listed(found, found[-1]["id"] if len(found) == limit else None)

    for kind in ("areas", "communities", "grids", "buildings"):
        _add_places(router, store, kind)

    @router.get("/gateways", dependencies=[Depends(may(store, ALL))])
    async def gateways(after: After = "", limit: Limit = 100) -> Listed:
        """Gateways: their lines, when they were last heard, the configuration they are wanted to run."""
        return await _list(lambda tx: rows.gateways(tx, after=after, limit=limit), limit)

    @router.get("/detectors", dependencies=[Depends(may(store, ALL))])
    async def detectors(gateway: Wanted = None, after: After = "", limit: Limit = 100) -> Listed:
        """Detectors with where they hang now. Nothing personal."""
        return await _list(lambda tx: rows.detectors(tx, gateway=gateway, after=after, limit=limit), limit)

    @router.get("/households", dependencies=[Depends(may(store, ALL))])
    async def households(building: Wanted = None, after: After = "", limit: Limit = 100) -> Listed:
        """Homes: addresses only."""
        return await _list(lambda tx: rows.households(tx, building=building, after=after, limit=limit), limit)

    @router.get("/workers", dependencies=[Depends(may(store, DESK))])
    async def workers(after: After = "", limit: Limit = 100) -> Listed:
        """Workers with their grids and contacts."""
        return await _list(lambda tx: rows.workers(tx, after=after, limit=limit), limit)

    @router.get("/residents")
    async def residents(
        caller: Annotated[Caller, Depends(may(store, DESK))],
        household: Wanted = None,
        resident: Wanted = None,
        after: After = "",
        limit: Limit = 100,
    ) -> Listed:
        """Residents. Each one shown is a row of the audit log. Roles: administrator, dispatcher."""

        async def read(tx: Tx) -> Sequence[dict[str, Any]]:
            found = await rows.residents(tx, resident=resident, household=household, after=after, limit=limit)
            for person in found:
                await audit.note(
                    tx,
                    who=caller.who,
                    action="look_at_resident",
                    subject=f"resident:{person['id']}",
                    from_where=caller.from_where,
                )
            return found

        return await _list(read, limit)


def _add_places(router: APIRouter, store: Store, kind: Any) -> None:
    @router.get(f"/{kind}", name=kind, operation_id=f"list_{kind}", dependencies=[Depends(may(store, ALL))])
    async def places(after: After = "", limit: Limit = 1000) -> Listed:
        """Places of this kind, by id."""
        async with store.transaction() as tx:
            found = await rows.places(tx, kind, after=after, limit=limit)
        return Listed(found, found[-1]["id"] if len(found) == limit else None)


def _add_placements(router: APIRouter, store: Store, profiles: Profiles) -> None:
    @router.get("/detectors/{detector}/placements", dependencies=[Depends(may(store, ALL))])
    async def placements(detector: DetectorId) -> Listed:
        """Every place where the detector has hung, the oldest first."""
        async with store.transaction() as tx:
            if not await rows.known(tx, "detector", detector):
                raise MissingError([missing("detector", "detector", detector)])
            return Listed(await rows.placements(tx, detector), None)

    @router.post("/detectors/{detector}/placements")
    async def hang(
        detector: DetectorId, body: PlacementBody, caller: Annotated[Caller, Depends(may(store, SITE))]
    ) -> Saved:
        """Hang it somewhere (where it hung before ends now), or take it off the wall."""
        async with store.transaction() as tx:
            if body.placement is None:
                told = await remove(tx, detector, by=caller.who, from_where=caller.from_where)
            else:
                told = await place(
                    tx,
                    detector,
                    body.placement,
                    by=caller.who,
                    profiles=profiles,
                    from_where=caller.from_where,
                )
        return Saved(detector, told)


def _add_import(router: APIRouter, store: Store, profiles: Profiles) -> None:
    @router.post(IMPORT_PATH.removeprefix("/api"))
    async def run(
        files: list[UploadFile],
        caller: Annotated[Caller, Depends(may(store, OFFICE))],
        dry_run: bool = False,
    ) -> ImportAnswer:
        """CSV files of the registry (areas.csv, ...): all or nothing; `dry_run` says what would happen."""
        names = [file.filename or "" for file in files]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise RegistryError(
                [Problem(name, "was given twice", "文件重复", "Send each file once.") for name in twice]
            )
        contents = {file.filename or "": await file.read(MAX_FILE_BYTES + 1) for file in files}
        done = await run_import(
            store,
            read_files(contents),
            by=caller.who,
            profiles=profiles,
            from_where=caller.from_where,
            dry_run=dry_run,
        )
        return ImportAnswer(dict(done.saved), done.reconfigured, done.notes, done.dry_run)
