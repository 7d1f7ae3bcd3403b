"""The page behind a short link: what a grid worker sees and does.

Law of this file: GET and HEAD change nothing but the audit log; every act is a POST that answers with 303; a
link shows the homes of its own alarms and no other. A link of several alarms lists them; only those that were
ticked are taken.
"""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.engine.model import PERSONAL, Act, ActKind, Cause, Disposition, NotAllowed
from central.engine.policy import ONLOOKERS, SEES_RESIDENTS
from central.pages.guesses import Guesses
from central.pages.render import HEADERS, message, page
from central.pages.words import language_of
from central.pipeline import act, colleagues
from central.store import alarms, audit
from central.store.alarms import AlarmFacts
from central.store.links import Link, LinkState, find_link
from central.store.pool import Store, Tx

DISPOSITIONS = tuple(word for word in Disposition if word is not Disposition.RETURNED_TO_NORMAL)
REMARK_MAX = 500
MOST_TICKED = 500

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16}")
_KINDS = {
    "acknowledge": ActKind.ACKNOWLEDGE,
    "on-way": ActKind.ON_WAY,
    "on-scene": ActKind.ON_SCENE,
    "take-over": ActKind.TAKE_OVER,
    "offer": ActKind.OFFER,
    "accept": ActKind.ACCEPT,
    "decline": ActKind.DECLINE,
}
_DONE = frozenset({*_KINDS, "close"})
_ASSIGNS = "dispatcher"


def routes(store: Store, guesses: Guesses | None = None) -> APIRouter:
    """The routes below /a/."""
    router = APIRouter(include_in_schema=False)
    wrong = guesses or Guesses()

    @router.get("/a/{token}")
    async def show(
        request: Request, token: str, lang: str | None = None, done: str = "", alarm: int | None = None
    ) -> HTMLResponse:
        """The alarm, its home, who has it, what can be done; or the list of all that the link is about."""
        async with store.transaction() as tx:
            link = await _link(tx, token)
            if not isinstance(link, Link) or link.state is not LinkState.GOOD:
                return _refused(request, wrong, link, lang)
            if not _about(link, alarm):
                return _refused(request, wrong, None, lang)
            told = done if done in _DONE else ""
            return await _page(tx, request, link, token, lang, alarm=alarm, done=told)

    @router.head("/a/{token}")
    async def head(request: Request, token: str, lang: str | None = None) -> Response:
        """Whether the link is good; shows nothing, so nothing is noted."""
        async with store.transaction() as tx:
            link = await _link(tx, token)
        if not isinstance(link, Link) or link.state is not LinkState.GOOD:
            return _refused(request, wrong, link, lang)
        return HTMLResponse(headers=HEADERS)

    @router.post("/a/{token}/{what}")
    async def do(
        request: Request,
        token: str,
        what: str,
        lang: str | None = None,
        disposition: Annotated[str, Form()] = "",
        cause: Annotated[str, Form()] = "",
        remark: Annotated[str, Form()] = "",
        to: Annotated[str, Form()] = "",
        alarm: int | None = None,
        ticked: Annotated[list[int] | None, Form(max_length=MOST_TICKED)] = None,
    ) -> Response:
        """Take it, go, be there, hand it over, or close it; then back to the page."""
        refusal: NotAllowed | None = None
        async with store.transaction() as tx:
            link = await _link(tx, token)
            if what not in _DONE or not isinstance(link, Link) or link.state is not LinkState.GOOD:
                return _refused(request, wrong, link if what in _DONE else None, lang)
            if link.role in ONLOOKERS:
                return _refused(request, wrong, None, lang)
            wanted = [alarm] if alarm is not None else ticked or list(link.alarms[:1])
            if alarm is None and len(link.alarms) > 1 and (not ticked or what != "acknowledge"):
                refusal = NotAllowed("请先勾选要接的住户", "tick the homes that you take")
                wanted = []
            if not all(_about(link, one) for one in wanted):
                return _refused(request, wrong, None, lang)
        language = language_of(lang, link.language)
        for one in wanted:
            try:
                async with store.transaction() as tx:
                    done = _act(what, disposition, cause, remark, to)
                    await _may_offer(tx, one, done, link)
                    await act(tx, one, done, link.worker, f"link {_from_where(request)}"[:200])
            except NotAllowed as refused:
                refusal = refused
        if refusal is not None:
            async with store.transaction() as tx:
                said = refusal.zh if language == "zh" else refusal.en
                return await _page(tx, request, link, token, lang, alarm=alarm, refusal=said, status=409)
        only = "" if alarm is None else f"&alarm={alarm}"
        return RedirectResponse(f"/a/{token}?lang={language}&done={what}{only}", 303, headers=HEADERS)

    return router


def _about(link: Link, alarm: int | None) -> bool:
    return alarm is None or alarm in link.alarms


async def _link(tx: Tx, token: str) -> Link | None:
    return await find_link(tx, token) if _TOKEN.fullmatch(token) else None


async def _may_offer(tx: Tx, alarm: int, done: Act, link: Link) -> None:
    """Only who has it asks another to take it over; the command centre assigns it to anybody."""
    if done.kind is not ActKind.OFFER or link.role == _ASSIGNS:
        return
    found = await alarms.alarm(tx, alarm)
    if found is None or found.acknowledged_by != link.worker:
        raise NotAllowed("该警情不由您处理，不能转交", "you do not have this alarm: you cannot hand it over")


def _act(what: str, disposition: str, cause: str, remark: str, to: str) -> Act:
    if what in _KINDS:
        return Act(_KINDS[what], remark=remark.strip()[:REMARK_MAX], to=to or None)
    if disposition not in set(DISPOSITIONS):
        raise NotAllowed("请选择处置结果", "say what it was: choose a disposition")
    if disposition == Disposition.FALSE_ALARM and cause not in set(Cause):
        raise NotAllowed("误报请选择原因", "say what set off the false alarm: choose a cause")
    named = Cause(cause) if disposition == Disposition.FALSE_ALARM else None
    return Act(ActKind.CLOSE, Disposition(disposition), named, remark.strip()[:REMARK_MAX])


async def _page(
    tx: Tx,
    request: Request,
    link: Link,
    token: str,
    lang: str | None,
    *,
    alarm: int | None = None,
    done: str = "",
    refusal: str = "",
    status: int = 200,
) -> HTMLResponse:
    if alarm is None and len(link.alarms) > 1:
        return await _list(tx, request, link, token, lang, done=done, refusal=refusal, status=status)
    alarm = link.alarms[0] if alarm is None else alarm
    facts = await alarms.describe(tx, alarm)
    assert facts is not None, "a link refers to its alarm"
    hidden = link.role not in SEES_RESIDENTS
    if hidden:
        facts = facts.without_residents()
    mine = facts.acknowledged_by == link.worker
    asks = facts.state != "closed" and (mine or link.role == _ASSIGNS)
    shown = facts.state != "closed" and not hidden
    await audit.note(
        tx,
        who=link.worker,
        action="look_at_alarm",
        subject=f"alarm:{alarm}",
        from_where=_from_where(request),
        detail={
            "by": "link",
            "residents": [person.id for person in facts.residents] if shown else [],
        },
    )
    return page(
        "link.html",
        language_of(lang, link.language),
        status=status,
        alarm=facts,
        residents_hidden=hidden,
        personal=PERSONAL,
        timeline=[] if link.role in ONLOOKERS else await alarms.timeline(tx, alarm),
        may_take=link.role not in ONLOOKERS,
        several=len(link.alarms) > 1,
        mine=mine,
        offered=facts.offered_to == link.worker,
        colleagues=await _colleagues(tx, alarm, link) if asks else {},
        token=token,
        now=tx.now,
        done=done,
        refusal=refusal,
        dispositions=[word.value for word in DISPOSITIONS],
        causes=[word.value for word in Cause],
    )


async def _colleagues(tx: Tx, alarm: int, link: Link) -> dict[str, str]:
    found = await alarms.alarm(tx, alarm)
    if found is None:
        return {}
    return {worker: name for worker, name in (await colleagues(tx, found)).items() if worker != link.worker}


async def _list(
    tx: Tx,
    request: Request,
    link: Link,
    token: str,
    lang: str | None,
    *,
    done: str,
    refusal: str,
    status: int,
) -> HTMLResponse:
    shown: list[AlarmFacts] = []
    for alarm in link.alarms:
        facts = await alarms.describe(tx, alarm)
        assert facts is not None, "a link refers to its alarms"
        hidden = link.role not in SEES_RESIDENTS or facts.state == "closed"
        shown.append(facts.without_residents() if hidden else facts)
        if shown[-1].residents:
            await audit.note(
                tx,
                who=link.worker,
                action="look_at_alarm",
                subject=f"alarm:{alarm}",
                from_where=_from_where(request),
                detail={"by": "link", "residents": [person.id for person in facts.residents]},
            )
    return page(
        "list.html",
        language_of(lang, link.language),
        status=status,
        alarms=shown,
        may_take=link.role not in ONLOOKERS,
        mine=link.worker,
        waiting=sum(one.acknowledged_at is None and one.state != "closed" for one in shown),
        token=token,
        now=tx.now,
        done=done,
        refusal=refusal,
    )


def _refused(request: Request, wrong: Guesses, link: Link | None, lang: str | None) -> HTMLResponse:
    """Expired and revoked links were real once: only those that never were count as guesses."""
    language = language_of(lang, link.language if link else None)
    if link is not None:
        return message(language, "gone", 410)
    address = request.client.host if request.client else ""
    if wrong.wrong(address, asyncio.get_running_loop().time()):
        slow = message(language, "slow", 429)
        slow.headers["Retry-After"] = "60"
        return slow
    return message(language, "not_found", 404)


def _from_where(request: Request) -> str:
    address = request.client.host if request.client else ""
    return f"{address} {request.headers.get('user-agent', '')}".strip()[:200]
