"""What is done because time has passed: due steps, leases that ended, and nobody listening.

Law of this file: rows hold the truth, whoever calls this and how often; a restart of any part raises nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from central.engine.due import fire
from central.engine.folding import FLAPS_WITHIN
from central.engine.model import Alarm, Condition, Reason
from central.pipeline.carry_out import Cause, carry_out
from central.pipeline.folding import fold_areas, unstable
from central.pipeline.judge import silence
from central.pipeline.own import end_own, raise_own
from central.pipeline.work import Work, all_or_each, together
from central.store import alarms, due, leases, sources
from central.store.pool import Tx

DUE_AT_ONCE = 100
_ROUNDS = 10


async def run_due(tx: Tx) -> int:
    """Do what is due of up to 100 alarms that nobody else works on. Returns how many rows were done."""
    return await all_or_each(tx, await due.ready(tx, DUE_AT_ONCE), _due_of, "due steps")


async def sweep(tx: Tx) -> int:
    """Raise silent gateways and deaf areas, end what is over. Returns how many alarms that touched."""
    return await together(tx, _sweep)


async def _sweep(work: Work) -> int:
    touched = await _hearing(work)
    silent = await leases.take_silent(work.tx)
    if not silent:
        return touched
    gateways = [one.gateway for one in silent]
    burning = await work.open_life_of_gateways(gateways)
    homes = await sources.homes_of(work.tx, gateways)
    places = await sources.gateway_places(work.tx, gateways)
    await work.learn_parts([(gateway, "") for gateway in gateways])
    await work.learn_people({(place.grid, place.area) for place in places.values()})
    births = [(gateway, "", Condition.GATEWAY_SILENT) for gateway in gateways]
    await work.expect(births)
    await work.learn_ended(births, work.now - FLAPS_WITHIN)
    smoking = await work.life_behind(gateways)
    areas = await fold_areas(work, silent, homes, smoking)
    for one in silent:
        behind = homes.get(one.gateway, [])
        fold, place = None, places.get(one.gateway)
        if one.gateway not in smoking:
            flaps = await unstable(work, Condition.GATEWAY_SILENT, one.gateway, "", place, one.area)
            fold = flaps or areas[one.area]
        await raise_own(
            work,
            condition=Condition.GATEWAY_SILENT,
            gateway=one.gateway,
            part="",
            area=one.area,
            reason=Reason.NO_HEARTBEAT,
            detail={
                "homes": behind,
                "count": len(behind),
                "heard_at": one.heard_at.isoformat(),
                "said_goodbye": one.said_goodbye,
            },
            place=place,
            fold=fold,
        )
    # Smoke behind them is not folded: whoever is called for it learns that nobody can look any more.
    await silence(work, burning, Cause())
    return touched + len(silent)


async def _due_of(work: Work, ids: Sequence[int]) -> int:
    await work.learn_due(ids)
    done = 0
    for alarm in await alarms.lock_alarms(work.tx, ids):
        done += await _climb(work, alarm)
    return done


async def _climb(work: Work, alarm: Alarm) -> int:
    for done in range(_ROUNDS):
        waiting = await work.next_due(alarm.id)
        if waiting is None:
            return done
        kind, row = waiting
        decision = fire(alarm, kind, row.step, row.due_at, await work.policy(alarm), work.now)
        alarm = await carry_out(work, alarm, decision, Cause()) or alarm
    return _ROUNDS


async def _hearing(work: Work) -> int:
    touched = 0
    hearing = await leases.hearing(work.tx)
    await work.learn_parts([(None, f"ear:{area}") for area in hearing])
    for area, heard_at in hearing.items():
        part = f"ear:{area}"
        if work.now - heard_at > leases.DEAF_AFTER:
            if await work.open_alarm(None, part, Condition.SYSTEM) is not None:
                continue
            await raise_own(
                work,
                condition=Condition.SYSTEM,
                gateway=None,
                part=part,
                area=area,
                reason=Reason.NOBODY_LISTENS,
                detail={
                    "text": "中心收不到任何网关 / no gateway can be heard: ingest or the broker is down",
                    "heard_at": heard_at.isoformat(),
                },
            )
            touched += 1
        else:
            ended = await end_own(
                work, condition=Condition.SYSTEM, gateway=None, part=part, reason=Reason.HEARD_AGAIN
            )
            touched += ended is not None
    return touched
