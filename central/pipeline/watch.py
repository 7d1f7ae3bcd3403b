"""What is done because time has passed: due steps, leases that ended, and nobody listening.

Law of this file: rows hold the truth, whoever calls this and how often; a restart of any part raises nothing.
"""

from __future__ import annotations

import structlog

from central.engine.due import fire
from central.engine.model import Condition, Reason
from central.engine.policy import policy_for
from central.pipeline.carry_out import Cause, carry_out
from central.pipeline.judge import silence
from central.pipeline.own import end_own, raise_own
from central.store import alarms, due, leases, sources
from central.store.errors import StoreConflict, StoreDown
from central.store.pool import Tx
from central.store.savepoint import savepoint

_log = structlog.get_logger()
_BATCH = 100
_ROUNDS = 10


async def run_due(tx: Tx) -> int:
    """Do what is due of up to 100 alarms that nobody else works on. Returns how many rows were done."""
    done = 0
    for alarm_id in await due.ready(tx, _BATCH):
        try:
            async with savepoint(tx):
                done += await _due_of(tx, alarm_id)
        except (StoreDown, StoreConflict):
            raise
        except Exception as error:  # noqa: BLE001 - the other alarms must climb
            _log.critical("a due step failed", alarm=alarm_id, error=f"{type(error).__name__}: {error}")
    return done


async def sweep(tx: Tx) -> int:
    """Raise silent gateways and deaf areas, end what is over. Returns how many alarms that touched."""
    touched = await _hearing(tx)
    for silent in await leases.take_silent(tx):
        homes = await sources.homes(tx, silent.gateway)
        await raise_own(
            tx,
            condition=Condition.GATEWAY_SILENT,
            gateway=silent.gateway,
            part="",
            area=silent.area,
            reason=Reason.NO_HEARTBEAT,
            detail={
                "homes": homes,
                "count": len(homes),
                "heard_at": silent.heard_at.isoformat(),
                "said_goodbye": silent.said_goodbye,
            },
        )
        # Smoke behind it is not folded: whoever is called for it learns that nobody can look any more.
        await silence(tx, await alarms.lock_open_life_of_gateway(tx, silent.gateway), Cause())
        touched += 1
    return touched


async def _due_of(tx: Tx, alarm_id: int) -> int:
    done = 0
    for _ in range(_ROUNDS):
        rows = await due.of_alarm(tx, alarm_id)
        alarm = await alarms.lock_alarm(tx, alarm_id)
        if not rows or alarm is None:
            break
        row = rows[0]
        decision = fire(alarm, row.kind, row.step, row.due_at, policy_for(alarm.condition), tx.now)
        await carry_out(tx, alarm, decision, Cause())
        done += 1
    return done


async def _hearing(tx: Tx) -> int:
    touched = 0
    for area, heard_at in (await leases.hearing(tx)).items():
        part = f"ear:{area}"
        if tx.now - heard_at > leases.DEAF_AFTER:
            if await alarms.lock_open(tx, None, part, Condition.SYSTEM) is not None:
                continue
            await raise_own(
                tx,
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
                tx, condition=Condition.SYSTEM, gateway=None, part=part, reason=Reason.HEARD_AGAIN
            )
            touched += ended is not None
    return touched
