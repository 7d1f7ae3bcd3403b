"""Every question, asked of a store; answers in a form that can be held against those of another edition."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from central.store import export, fleet, questions
from central.store.export import Wanted
from central.store.pool import Store

SPANS = (timedelta(minutes=9), timedelta(hours=5), timedelta(days=2), timedelta(days=40), timedelta(days=900))


async def answers(store: Store, detectors: list[str], begin: datetime, end: datetime) -> dict[str, Any]:
    """By question and parameters. Nothing in it depends on when it is asked."""
    found: dict[str, Any] = {}
    for detector in detectors:
        for span in SPANS:
            async with store.transaction() as tx:
                told = await questions.series(tx, detector, end - span, end, points=300)
            found[f"series {detector} {span}"] = told and asdict(told)
        async with store.transaction() as tx:
            days = await questions.trend(tx, detector, begin, end)
            found[f"trend {detector}"] = days and [asdict(day) for day in days]
    async with store.transaction() as tx:
        places: tuple[dict[str, Any], ...]
        places = ({}, {"area": "street"}, {"grid": "g1"}, {"building": "b1"}, {"building": "none"})
        for place in places:
            told_states = await questions.state(tx, **place)
            found[f"state {place}"] = [asdict(one) for one in told_states]
        found["fleet"] = asdict(await fleet.fleet(tx))
        found["uptime"] = [asdict(one) for one in await fleet.detector_uptime(tx, begin, end)]
        found["gateways"] = [asdict(one) for one in await fleet.gateway_uptime(tx, begin, end)]
    pieces = export.export(store, Wanted(begin, end, grid="g1"))
    found["export"] = [row async for piece in pieces for row in piece]
    return found
