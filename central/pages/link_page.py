"""The page behind a short link: what a grid worker sees and does.

Law of this file: GET and HEAD change nothing but the audit log; every act is a POST that answers with 303; a
link shows the home of its own alarm and no other.
"""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central.engine.model import Act, ActKind, Cause, Disposition, NotAllowed
from central.engine.policy import SEES_RESIDENTS
from central.pages.guesses import Guesses
from central.pages.render import HEADERS, message, page
from central.pages.words import language_of
from central.pipeline import act
from central.store import alarms, audit
from central.store.links import Link, LinkState, find_link
from central.store.pool import Store, Tx

DISPOSITIONS = tuple(word for word in Disposition if word is not Disposition.RETURNED_TO_NORMAL)
REMARK_MAX = 500

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16}")
_DONE = frozenset({"acknowledge", "on-way", "close"})
_KINDS = {"acknowledge": ActKind.ACKNOWLEDGE, "on-way": ActKind.ON_WAY}


def routes(store: Store, guesses: Guesses | None = None) -> APIRouter:
    """The routes below /a/."""
    router = APIRouter(include_in_schema=False)
    wrong = guesses or Guesses()

    @router.get("/a/{token}")
    async def show(request: Request, token: str, lang: str | None = None, done: str = "") -> HTMLResponse:
        """The alarm, its home, who has it, what can be done."""
        async with store.transaction() as tx:
            link = await _link(tx, token)
            if not isinstance(link, Link) or link.state is not LinkState.GOOD:
                return _refused(request, wrong, link, lang)
            return await _page(tx, request, link, token, lang, done=done if done in _DONE else "")

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
    ) -> Response:
        """Take it, say that one is on the way, or close it; then back to the page."""
        try:
            async with store.transaction() as tx:
                link = await _link(tx, token)
                if what not in _DONE or not isinstance(link, Link) or link.state is not LinkState.GOOD:
                    return _refused(request, wrong, link if what in _DONE else None, lang)
                language = language_of(lang, link.language)
                wanted = _act(what, disposition, cause, remark)
                await act(tx, link.alarm, wanted, link.worker, _from_where(request))
        except NotAllowed as refusal:
            return await _again(store, request, token, lang, refusal)
        return RedirectResponse(f"/a/{token}?lang={language}&done={what}", 303, headers=HEADERS)

    return router


async def _again(
    store: Store, request: Request, token: str, lang: str | None, refusal: NotAllowed
) -> HTMLResponse:
    async with store.transaction() as tx:
        link = await _link(tx, token)
        assert isinstance(link, Link), "it was there a moment ago"
        chinese = language_of(lang, link.language) == "zh"
        words = refusal.zh if chinese else refusal.en
        return await _page(tx, request, link, token, lang, refusal=words, status=409)


async def _link(tx: Tx, token: str) -> Link | None:
    return await find_link(tx, token) if _TOKEN.fullmatch(token) else None


def _act(what: str, disposition: str, cause: str, remark: str) -> Act:
    if what in _KINDS:
        return Act(_KINDS[what])
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
    done: str = "",
    refusal: str = "",
    status: int = 200,
) -> HTMLResponse:
    facts = await alarms.describe(tx, link.alarm)
    assert facts is not None, "a link refers to its alarm"
    hidden = link.role not in SEES_RESIDENTS
    if hidden:
        facts = facts.without_residents()
    shown = facts.state != "closed" and not hidden
    await audit.note(
        tx,
        who=link.worker,
        action="look_at_alarm",
        subject=f"alarm:{link.alarm}",
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
        timeline=await alarms.timeline(tx, link.alarm),
        mine=facts.acknowledged_by == link.worker,
        token=token,
        now=tx.now,
        done=done,
        refusal=refusal,
        dispositions=[word.value for word in DISPOSITIONS],
        causes=[word.value for word in Cause],
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
