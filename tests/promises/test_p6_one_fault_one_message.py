"""P6: one fault is one message; what is folded is on record, and told if it outlives what stood for it."""

from __future__ import annotations

from typing import Any

import pytest

from central import pipeline
from central.engine.folding import FLAPS, GATHER, QUIET, SETTLE
from central.store import leases
from tests.harness.town import AREA, BOOT, GATEWAY, STREAM, Town, batch, event, send
from wire.messages import Clock, Condition, EventKind, Status

DOWN = EventKind.ASSERT, Condition.NO_RESPONSE
UP = EventKind.CLEAR, Condition.NO_RESPONSE


@pytest.fixture
async def town(town: Town) -> Town:
    async with town.store.transaction() as tx:
        await leases.beat(tx, "")
    return town


async def pass_time(town: Town, seconds: float, *alive: str, step: int = 10) -> None:
    """Ingest never ceases to hear; these gateways send heartbeats; the jobs tick."""
    for _ in range(round(seconds / step)):
        town.time.forward(seconds=step)
        await town.do("UPDATE ear SET heard_at = now() + %s", town.time())
        await heartbeat(town, *alive)
        async with town.store.transaction() as tx:
            for tick in (pipeline.sweep, pipeline.settle, pipeline.run_due):
                await tick(tx)


async def heartbeat(town: Town, *gateways: str, **more: Any) -> None:
    async with town.store.transaction() as tx:
        clock = Clock(mono_ms=1, wall_ms=round(tx.now.timestamp() * 1000))
        status = Status(online=True, boot=BOOT, stream=STREAM, clock=clock, **more)
        await pipeline.take_beats(tx, [pipeline.Beat(AREA, one, status, tx.now) for one in gateways])


async def alarms(town: Town) -> list[tuple[str, str, bool]]:
    """Condition, part, and whether it is open."""
    rows = await town.rows("SELECT condition, part, state FROM alarm ORDER BY id")
    return [(row["condition"], row["part"], row["state"] != "closed") for row in rows]


async def told(town: Town) -> list[tuple[str, str]]:
    """Condition and part of every alarm that anybody was told of, in the order of the alarms."""
    rows = await town.rows(
        "SELECT condition, part FROM alarm a WHERE EXISTS (SELECT FROM delivery d WHERE d.alarm = a.id)"
        " ORDER BY id"
    )
    return [(row["condition"], row["part"]) for row in rows]


async def test_what_a_silent_gateway_brings_with_it_is_told_only_if_it_stands_when_things_have_settled(
    town: Town,
) -> None:
    """Two detectors fall silent with it; back, one answers and the other does not: that one is told then."""
    await heartbeat(town, "gw-2")
    await pass_time(town, 100, "gw-2")
    silent = [event(1, *DOWN), event(2, *DOWN, detector="det-2")]
    await send(town, batch(silent))
    await pass_time(town, 600, "gw-2")
    assert await told(town) == [("gateway_silent", "")]
    assert len(await alarms(town)) == 3

    await heartbeat(town, GATEWAY, oldest_unacked_event_s=300.0)
    await send(town, batch([event(3, *UP, detector="det-2")], oldest=1))
    await pass_time(town, 60, "gw-2", GATEWAY)
    assert await told(town) == [("gateway_silent", "")]
    await pass_time(town, SETTLE.total_seconds() + 40, "gw-2", GATEWAY)
    assert await told(town) == [("gateway_silent", ""), ("no_response", "det-1")]
    assert await alarms(town) == [
        ("gateway_silent", "", False),
        ("no_response", "det-1", True),
        ("no_response", "det-2", False),
        ("events_stuck", "", False),
    ]
    assert await town.rows("SELECT FROM fold") == []


async def test_a_detector_that_falls_silent_while_it_smells_smoke_is_never_folded(town: Town) -> None:
    """Neither by its gateway's silence nor by the time in which that settles."""
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    await pass_time(town, 100, "gw-2")
    await send(town, batch([event(2, *DOWN)]))
    assert [one for one in await told(town) if one[0] == "no_response"] == [("no_response", "det-1")]
    row = await town.one("SELECT state, round FROM alarm WHERE condition = 'smoke'")
    assert row["state"] == "active_unknown"


async def street(town: Town, gateways: int) -> list[str]:
    """So many more gateways in the area."""
    names = [f"gw-{number}" for number in range(3, 3 + gateways)]
    for name in names:
        await town.do("INSERT INTO gateway VALUES (%s, 'street', %s, 'b1', now(), 'test')", name, name)
        async with town.store.transaction() as tx:
            await tx.conn.execute(
                b"INSERT INTO lease (gateway, heard_at, deaf) VALUES (%s, %s, '0')", (name, tx.now)
            )
    return ["gw-2", *names]


async def test_a_fifth_of_an_area_silent_at_once_is_one_message_and_what_stays_away_is_told_after(
    town: Town,
) -> None:
    """Twenty gateways, six of which fall silent over half a minute; five come back, one does not."""
    others = await street(town, 18)
    living, leaving = others[:14], others[14:]
    everybody = [GATEWAY, *others]
    await pass_time(town, 10, *everybody)
    for left in range(len(leaving)):  # one after the other, as their heartbeats were due
        await pass_time(town, 10, *living, GATEWAY, *leaving[left + 1 :])
    await pass_time(town, 90 + GATHER.total_seconds() + 10, *living, GATEWAY)
    assert await told(town) == [("system", "silence:street")]
    incident = await town.one("SELECT * FROM alarm WHERE condition = 'system'")
    assert incident["detail"]["gateways"] == len(leaving)
    silent = [one for one in await alarms(town) if one == ("gateway_silent", "", True)]
    assert len(silent) == len(leaving), "state is never folded"

    back = leaving[1:]
    await pass_time(town, 2 * SETTLE.total_seconds() + 60, *living, GATEWAY, *back)
    assert await told(town) == [("gateway_silent", ""), ("system", "silence:street")]
    lost = await town.one(
        "SELECT gateway FROM alarm WHERE condition = 'gateway_silent' AND state <> 'closed'"
    )
    assert lost["gateway"] == leaving[0]
    assert (await town.one("SELECT state FROM alarm WHERE condition = 'system'"))["state"] == "closed"


async def test_a_gateway_that_falls_silent_with_smoke_behind_it_is_told_at_once_in_any_crowd(
    town: Town,
) -> None:
    """It waits for no other, and no incident of the area stands for it."""
    others = await street(town, 8)
    await pass_time(town, 10, GATEWAY, *others)
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    await pass_time(town, 100, *others[6:])
    assert await told(town) == [("smoke", "det-1"), ("gateway_silent", "")]
    assert (
        await town.one(
            "SELECT gateway FROM alarm WHERE condition = 'gateway_silent' AND id IN"
            " (SELECT alarm FROM delivery)"
        )
    )["gateway"] == GATEWAY
    await pass_time(town, GATHER.total_seconds() + 10, *others[6:])
    assert sorted((await told(town))[1:]) == [("gateway_silent", ""), ("system", "silence:street")]
    assert (await town.one("SELECT count(*) AS n FROM fold"))["n"] == 6


async def test_a_single_silent_gateway_of_a_larger_area_is_told_when_it_is_clear_that_it_is_alone(
    town: Town,
) -> None:
    """Half a minute later than in an area that is too small for more."""
    others = await street(town, 8)
    await pass_time(town, 10, GATEWAY, *others)
    await pass_time(town, 100, *others)
    assert await told(town) == []
    await pass_time(town, GATHER.total_seconds() + 10, *others)
    assert await told(town) == [("gateway_silent", "")]


async def test_an_incident_of_an_area_that_a_person_closes_stands_for_all_that_it_named(town: Town) -> None:
    """They are not told one after the other because somebody has dealt with them together."""
    others = await street(town, 6)
    await pass_time(town, 10, GATEWAY, *others)
    await pass_time(town, 150)
    assert await told(town) == [("system", "silence:street")]
    await town.do(
        "UPDATE alarm SET state = 'closed', closed_at = now(), closed_by = 'desk',"
        " disposition = 'maintenance'"
        " WHERE condition = 'system'"
    )
    await pass_time(town, 300)
    assert await told(town) == [("system", "silence:street")]


async def test_a_detector_that_comes_and_goes_is_one_incident_until_it_has_been_steady(town: Town) -> None:
    """The fourth time within half an hour says so; it ends by itself, and the next silence is told again."""
    alive = (GATEWAY, "gw-2")
    seq = 0
    for _ in range(FLAPS + 2):
        for word in (DOWN, UP):
            seq += 1
            await send(town, batch([event(seq, *word, mono_ms=seq * 1000)]))
            await pass_time(town, 60, *alive, step=30)
    single, unsteady = ("no_response", "det-1"), ("unstable", "det-1")
    assert await told(town) == [*[single] * (FLAPS - 1), unsteady]
    rows = await town.rows("SELECT FROM alarm WHERE condition = 'no_response'")
    assert len(rows) == FLAPS + 2, "state is never folded"
    await pass_time(town, QUIET.total_seconds() + 60, *alive, step=30)
    assert (*unsteady, False) in await alarms(town)
    await send(town, batch([event(seq + 1, *DOWN, mono_ms=seq * 2000)]))
    assert (await told(town))[-1] == single
