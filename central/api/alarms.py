"""Alarms over HTTP: lists without anything personal, one with its time line, and what people do to it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from central.api.access import ALL, DESK, Caller, may
from central.api.shapes import (
    AlarmDetail,
    AlarmLine,
    AlarmList,
    CloseBody,
    Colleague,
    EventList,
    OfferBody,
)
from central.engine.model import Act, ActKind, Cause, Disposition, NotAllowed
from central.pages.link_page import DISPOSITIONS, REMARK_MAX
from central.pipeline import act, colleagues
from central.registry.errors import MissingError, Problem
from central.store import alarms, audit
from central.store.overview import alarm_page, log_after
from central.store.pool import Store, Tx

MOST = 2**63 - 1
Before = Annotated[int | None, Query(ge=1, le=MOST)]
AlarmId = Annotated[int, Path(ge=1, le=MOST)]
EVENTS_AT_ONCE = 500


def routes(store: Store) -> APIRouter:
    """The routes below /api/alarms and /api/events."""
    router = APIRouter(prefix="/api", tags=["alarms"])

    @router.get("/alarms", dependencies=[Depends(may(store, ALL))])
    async def listed(
        closed: bool = False,
        before: Before = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> AlarmList:
        """Open (or closed) alarms, the newest first. Nothing personal."""
        async with store.transaction() as tx:
            found = await alarm_page(tx, closed=closed, before=before, limit=limit)
        lines = [AlarmLine(**row) for row in found]
        return AlarmList(lines, lines[-1].id if len(lines) == limit else None)

    @router.get("/alarms/{alarm}")
    async def detail(alarm: AlarmId, caller: Annotated[Caller, Depends(may(store, ALL))]) -> AlarmDetail:
        """One alarm with its time line. Residents only for administrators and dispatchers, and audited."""
        async with store.transaction() as tx:
            return await _detail(tx, alarm, caller)

    @router.post("/alarms/{alarm}/acknowledge")
    async def acknowledge(
        alarm: AlarmId, caller: Annotated[Caller, Depends(may(store, DESK))]
    ) -> AlarmDetail:
        """Take it. The first wins; the second is told who has it (409)."""
        return await _do(store, alarm, caller, Act(ActKind.ACKNOWLEDGE))

    @router.post("/alarms/{alarm}/on-way")
    async def on_way(alarm: AlarmId, caller: Annotated[Caller, Depends(may(store, DESK))]) -> AlarmDetail:
        """Say that somebody is on the way."""
        return await _do(store, alarm, caller, Act(ActKind.ON_WAY))

    @router.post("/alarms/{alarm}/on-scene")
    async def on_scene(alarm: AlarmId, caller: Annotated[Caller, Depends(may(store, DESK))]) -> AlarmDetail:
        """Say that somebody is there."""
        return await _do(store, alarm, caller, Act(ActKind.ON_SCENE))

    @router.post("/alarms/{alarm}/take-over")
    async def take_over(alarm: AlarmId, caller: Annotated[Caller, Depends(may(store, DESK))]) -> AlarmDetail:
        """Take it from whoever has it, who is told. Nothing that is due is put off by it."""
        return await _do(store, alarm, caller, Act(ActKind.TAKE_OVER))

    @router.post("/alarms/{alarm}/offer")
    async def offer(
        alarm: AlarmId, body: OfferBody, caller: Annotated[Caller, Depends(may(store, DESK))]
    ) -> AlarmDetail:
        """Ask a worker to take it over. Until they accept nothing else changes: who has it keeps it."""
        done = Act(ActKind.OFFER, remark=body.remark.strip()[:REMARK_MAX], to=body.to)
        return await _do(store, alarm, caller, done)

    @router.get("/alarms/{alarm}/colleagues", dependencies=[Depends(may(store, DESK))])
    async def colleagues_of(alarm: AlarmId) -> list[Colleague]:
        """Who may be asked to take it over."""
        async with store.transaction() as tx:
            found = await alarms.alarm(tx, alarm)
            if found is None:
                raise MissingError([_no_alarm(alarm)])
            return [Colleague(id_, name) for id_, name in (await colleagues(tx, found)).items()]

    @router.post("/alarms/{alarm}/accept")
    async def accept(alarm: AlarmId, caller: Annotated[Caller, Depends(may(store, DESK))]) -> AlarmDetail:
        """Take over what was offered to the worker of this token."""
        return await _do(store, alarm, caller, Act(ActKind.ACCEPT))

    @router.post("/alarms/{alarm}/decline")
    async def decline(alarm: AlarmId, caller: Annotated[Caller, Depends(may(store, DESK))]) -> AlarmDetail:
        """Do not take over what was offered: who offered it is told."""
        return await _do(store, alarm, caller, Act(ActKind.DECLINE))

    @router.post("/alarms/{alarm}/close")
    async def close(
        alarm: AlarmId, body: CloseBody, caller: Annotated[Caller, Depends(may(store, DESK))]
    ) -> AlarmDetail:
        """Say what it was. An alarm that is still active ends when its source clears."""
        return await _do(store, alarm, caller, _close(body))

    @router.get("/events", dependencies=[Depends(may(store, ALL))])
    async def events(
        after: Annotated[int, Query(ge=0, le=MOST)] = 0,
        limit: Annotated[int, Query(ge=1, le=EVENTS_AT_ONCE)] = EVENTS_AT_ONCE,
    ) -> EventList:
        """Changes of alarms behind `after`, none left out: for who cannot hold a stream open."""
        async with store.transaction() as tx:
            lines = await log_after(tx, after, limit=limit)
        return EventList(lines, lines[-1].id if lines else after)

    return router


async def _do(store: Store, alarm: int, caller: Caller, wanted: Act) -> AlarmDetail:
    async with store.transaction() as tx:
        if await alarms.alarm(tx, alarm) is None:
            raise MissingError([_no_alarm(alarm)])
        await act(tx, alarm, wanted, caller.who, f"api {caller.from_where}"[:200])
        return await _detail(tx, alarm, caller)


async def _detail(tx: Tx, alarm: int, caller: Caller) -> AlarmDetail:
    facts = await alarms.describe(tx, alarm)
    if facts is None:
        raise MissingError([_no_alarm(alarm)])
    hidden = caller.token.role not in DESK
    if hidden:
        facts = facts.without_residents()
    else:
        await audit.note(
            tx,
            who=caller.who,
            action="look_at_alarm",
            subject=f"alarm:{alarm}",
            from_where=caller.from_where,
            detail={"by": "api", "residents": [person.id for person in facts.residents]},
        )
    return AlarmDetail(facts, await alarms.timeline(tx, alarm), hidden)


def _close(body: CloseBody) -> Act:
    if body.disposition not in set(DISPOSITIONS):
        raise NotAllowed("请选择处置结果", f"disposition must be one of: {', '.join(DISPOSITIONS)}")
    if body.disposition == Disposition.FALSE_ALARM and body.cause not in set(Cause):
        raise NotAllowed("误报请选择原因", f"a false alarm needs a cause: {', '.join(Cause)}")
    named = Cause(body.cause) if body.cause in set(Cause) else None
    return Act(ActKind.CLOSE, Disposition(body.disposition), named, body.remark.strip()[:REMARK_MAX])


def _no_alarm(alarm: int) -> Problem:
    return Problem("alarm", f"there is no alarm {alarm}", "没有这条警情", "Look at GET /api/alarms.")
