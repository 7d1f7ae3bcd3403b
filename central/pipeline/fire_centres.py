"""What becomes an alarm of our own in the traffic with fire-brigade centres: a lost one, and a roll call.

Law of this file: it is told which centres are lost; one open alarm for each centre and area. A roll call asks
whether a person is on duty, so a person answers it: whoever takes its alarm within ten minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from central.engine.model import Condition, Reason
from central.forwarding import ROLL_CALL
from central.pipeline.own import end_own, raise_own
from central.pipeline.work import Work, together
from central.store import jobs
from central.store.forward import Standing
from central.store.pool import Tx

ROLL_CALL_FOR = timedelta(minutes=10)
"""GB 26875.1: so long its signal stands."""


async def judge_centres(tx: Tx, standing: Sequence[Standing], lost: Sequence[str]) -> int:
    """Open an alarm for each lost centre, end that of each other one, and roll calls that are over."""
    areas = await jobs.areas(tx)
    return await together(tx, lambda work: _judge(work, areas, standing, lost))


async def call_roll(tx: Tx, centre: str, area: str) -> None:
    """A centre calls the roll of `area` ('' for all)."""
    areas = [area] if area else await jobs.areas(tx)
    await together(tx, lambda work: _call(work, centre, areas))


async def _judge(work: Work, areas: list[str], standing: Sequence[Standing], lost: Sequence[str]) -> int:
    touched = 0
    for one in standing:
        for area in [one.area] if one.area else areas:
            touched += await _judge_one(work, one, area, lost=one.id in lost)
            call = await work.open_alarm(None, _roll_call(one.id, area), Condition.SYSTEM)
            if call is not None and (call.acknowledged or work.now - call.opened_at > ROLL_CALL_FOR):
                touched += await _end(work, call.part, Reason.ROLL_CALL_OVER)
    return touched


async def _judge_one(work: Work, one: Standing, area: str, *, lost: bool) -> int:
    part = f"fire_centre:{one.id}:{area}"
    if not lost:
        return await _end(work, part, Reason.FIRE_CENTRE_BACK)
    if await work.open_alarm(None, part, Condition.SYSTEM) is not None:
        return 0
    await raise_own(
        work,
        condition=Condition.SYSTEM,
        gateway=None,
        part=part,
        area=area,
        reason=Reason.FIRE_CENTRE_LOST,
        detail={
            "text": f"消防监控中心 {one.id} 无应答，火警请电话报 119 / the fire brigade's centre {one.id!r}"
            " confirms nothing: call 119 by telephone; check the line and [[forward]] of the configuration",
            "centre": one.id,
            "waiting": one.waiting,
        },
    )
    return 1


async def _call(work: Work, centre: str, areas: Sequence[str]) -> None:
    for area in areas:
        part = _roll_call(centre, area)
        if await work.open_alarm(None, part, Condition.SYSTEM) is not None:
            continue  # said again; people are called once
        await raise_own(
            work,
            condition=Condition.SYSTEM,
            gateway=None,
            part=part,
            area=area,
            reason=Reason.ROLL_CALLED,
            detail={
                "text": f"消防监控中心 {centre} 查岗：请在 10 分钟内接警应答 / the fire brigade's centre"
                f" {centre!r} calls the roll: take this alarm within 10 minutes, that is the answer",
                "centre": centre,
            },
        )


async def _end(work: Work, part: str, reason: Reason) -> int:
    ended = await end_own(work, condition=Condition.SYSTEM, gateway=None, part=part, reason=reason)
    return ended is not None


def _roll_call(centre: str, area: str) -> str:
    return f"{ROLL_CALL}{centre}:{area}"
