"""Silence is noticed, on the server's clock, and only silence: no restart of ours raises a false alarm."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from central import pipeline
from central.store import leases, sources
from tests.harness.town import AREA, BOOT, GATEWAY, STREAM, Town, batch, event, send
from wire.messages import Ack, Ask, BusStatus, Clock, Condition, EventKind, Status


@pytest.fixture
async def town(town: Town) -> Town:
    await listen(town)
    return town


async def listen(town: Town) -> timedelta:
    async with town.store.transaction() as tx:
        return await leases.beat(tx, "")


async def sweep(town: Town) -> int:
    async with town.store.transaction() as tx:
        return await pipeline.sweep(tx)


async def heartbeat(town: Town, *, retained: bool = False, gateway: str = GATEWAY, **more: Any) -> Ack | None:
    more.setdefault("online", True)
    async with town.store.transaction() as tx:
        clock = Clock(mono_ms=1, wall_ms=round(tx.now.timestamp() * 1000))
        status = Status(boot=BOOT, stream=STREAM, **{"clock": clock, **more})
        (ack,) = await pipeline.take_beats(tx, [pipeline.Beat(AREA, gateway, status, tx.now, retained)])
        return ack


async def pass_time(town: Town, seconds: int, *, listening: bool = True) -> None:
    """Ingest beats every 5 s, as in life."""
    for _ in range(seconds // 5):
        town.time.forward(seconds=5)
        if listening:
            await listen(town)


async def states(town: Town, condition: str = "gateway_silent") -> list[str]:
    rows = await town.rows("SELECT state FROM alarm WHERE condition = %s ORDER BY id", condition)
    return [row["state"] for row in rows]


async def test_a_gateway_not_heard_for_ninety_seconds_is_one_incident_that_names_the_homes(
    town: Town,
) -> None:
    """Also one that was registered and never heard; told to lead and installer; ends when it is heard."""
    await heartbeat(town)
    await heartbeat(town, gateway="gw-2")
    await pass_time(town, 85)
    assert await sweep(town) == 0
    await heartbeat(town, gateway="gw-2")
    await pass_time(town, 10)
    assert await sweep(town) == 1
    assert await sweep(town) == 0
    row = await town.one("SELECT * FROM alarm WHERE condition = 'gateway_silent'")
    assert (row["gateway"], row["detail"]["count"], row["grid"]) == (GATEWAY, 2, "g1")
    assert {told[0] for told in await town.told()} == {"lead", "fitter"}
    await heartbeat(town)
    assert await states(town) == ["closed"]


async def test_a_gateway_that_never_reports_after_its_registration_is_noticed(town: Town) -> None:
    """Its lease began with the registration."""
    await pass_time(town, 95)
    assert await sweep(town) == 2


async def test_neither_what_the_broker_kept_nor_a_last_will_is_proof_of_life(town: Town) -> None:
    """A will is a hint for people."""
    await heartbeat(town)
    await heartbeat(town, gateway="gw-2")
    await pass_time(town, 60)
    await heartbeat(town, gateway="gw-2")
    await heartbeat(town, retained=True)
    await heartbeat(town, online=False)
    await pass_time(town, 35)
    assert await sweep(town) == 1
    row = await town.one("SELECT detail FROM alarm WHERE condition = 'gateway_silent'")
    assert row["detail"]["said_goodbye"] is True


async def test_a_restart_of_ours_raises_no_false_silence(town: Town) -> None:
    """Time in which nobody listened does not count; meanwhile one incident says that nobody can be heard."""
    await heartbeat(town)
    await heartbeat(town, gateway="gw-2")
    await pass_time(town, 600, listening=False)
    assert await sweep(town) == 1
    assert await sweep(town) == 0
    assert await states(town) == []
    assert await states(town, "system") == ["active_unacknowledged"]
    assert await listen(town) >= timedelta(seconds=600)
    assert await sweep(town) == 1
    assert (await states(town), await states(town, "system")) == ([], ["closed"])
    await pass_time(town, 85)
    assert await sweep(town) == 0
    await pass_time(town, 10)
    assert await sweep(town) == 2


async def test_smoke_behind_a_gateway_that_falls_silent_calls_the_next_step_and_is_asked_for_after(
    town: Town,
) -> None:
    """Folding never covers smoke; a heartbeat is not taken for an end."""
    await heartbeat(town)
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    await pass_time(town, 95)
    await sweep(town)
    assert await states(town, "smoke") == ["active_unknown"]
    assert {told[0] for told in await town.told() if told[3] == 1} >= {"backup", "lead"}
    ack = await heartbeat(town)
    assert ack is not None
    assert (ack.ask, ack.through_seq, ack.stream) == ([Ask.SNAPSHOT], 1, STREAM)
    assert await states(town, "smoke") == ["active_unknown"]


@pytest.mark.parametrize(
    ("condition", "bad", "good"),
    [
        ("events_stuck", {"oldest_unacked_event_s": 31.0}, {"oldest_unacked_event_s": 1.0}),
        (
            "bus_stuck",
            {"buses": [BusStatus(bus="bus-1", up=True, lap_age_s=61.0)]},
            {"buses": [BusStatus(bus="bus-1", up=True, lap_age_s=1.0)]},
        ),
        (
            "bus_stuck",
            {"buses": [BusStatus(bus="bus-1", up=True)], "uptime_s": 61.0},
            {"buses": [BusStatus(bus="bus-1", up=True, lap_age_s=1.0)]},
        ),
        ("storage", {"storage_error": "disk full"}, {}),
        ("clock_wrong", {"clock": Clock(mono_ms=1, wall_ms=0)}, {}),
    ],
)
async def test_a_gateway_that_beats_and_does_not_do_its_work_is_an_incident_of_its_own(
    town: Town, condition: str, bad: dict[str, Any], good: dict[str, Any]
) -> None:
    """Raised once, ended by the heartbeat that says so."""
    await heartbeat(town, **bad)
    await heartbeat(town, **bad)
    assert await states(town, condition) == ["active_unacknowledged"]
    await heartbeat(town, **good)
    assert await states(town, condition) == ["closed"]


async def test_watched_wants_proof(town: Town) -> None:
    """Never heard, silent, stuck or in alarm: each is told apart, and unknown is not watched."""

    async def now() -> dict[str, str]:
        async with town.store.transaction() as tx:
            return {watch.detector: watch.state for watch in await sources.watch_state(tx)}

    assert await now() == {"det-1": "unwatched", "det-2": "unwatched"}
    await heartbeat(town)
    await send(town, batch([event(1, EventKind.SNAPSHOT, states={"det-1": [], "det-2": None})]))
    assert await now() == {"det-1": "watched", "det-2": "unwatched"}
    await send(town, batch([event(2, EventKind.ASSERT, Condition.NO_RESPONSE)]))
    assert await now() == {"det-1": "unwatched", "det-2": "unwatched"}
    await send(town, batch([event(3, EventKind.CLEAR, Condition.NO_RESPONSE)]))
    await heartbeat(town, oldest_unacked_event_s=100.0)
    assert (await now())["det-1"] == "unwatched"
    await heartbeat(town)
    assert (await now())["det-1"] == "watched"
    await send(town, batch([event(4, EventKind.ASSERT, Condition.SMOKE)]))
    assert (await now())["det-1"] == "alarm"
    town.time.forward(seconds=91)
    assert await now() == {"det-1": "alarm", "det-2": "unwatched"}


async def test_the_configuration_a_gateway_reports_is_noted_and_the_wanted_one_sent_again(
    town: Town,
) -> None:
    """Applied by its hash, refused with its words, published again when another hash is reported."""
    await town.do(
        "INSERT INTO gateway_config (gateway, version, hash, body, made_at, made_by, published_at)"
        " VALUES ('gw-1', 1, 'h1', '', now(), 't', now())"
    )
    await heartbeat(town, config_hash="h0", config_error="no such profile")
    row = await town.one("SELECT refused, published_at FROM gateway_config")
    assert row["refused"] == "no such profile"
    assert row["published_at"] is not None
    town.time.forward(seconds=61)
    await heartbeat(town, config_hash="h0")
    assert (await town.one("SELECT published_at FROM gateway_config"))["published_at"] is None
    await heartbeat(town, config_hash="h1")
    row = await town.one("SELECT refused, applied_at FROM gateway_config")
    assert row["refused"] is None
    assert row["applied_at"] is not None


async def test_two_sweepers_at_once_raise_a_silence_once(town: Town) -> None:
    """Rows are locked by one of them."""
    await heartbeat(town)
    await pass_time(town, 95)
    await asyncio.gather(*(sweep(town) for _ in range(4)))
    assert len(await states(town)) == 2


async def test_a_heartbeat_of_a_gateway_nobody_registered_is_no_fault(town: Town) -> None:
    """It has no lease; its smoke would alarm all the same."""
    assert await heartbeat(town, gateway="stranger") is None
    assert len(await town.rows("SELECT FROM lease")) == 2


async def test_heartbeats_of_many_come_together_and_each_gateways_words_count_in_their_order(
    town: Town,
) -> None:
    """A will before its return, a stranger between them, two words of one gateway: as if one by one."""
    async with town.store.transaction() as tx:
        clock = Clock(mono_ms=1, wall_ms=round(tx.now.timestamp() * 1000))
        whole = Status(online=True, boot=BOOT, stream=STREAM, clock=clock, outbox_depth=7, version="1.0")
        will = Status(online=False, boot=BOOT)
        late = Status(online=True, boot=BOOT, brief=True, outbox_depth=900, oldest_unacked_event_s=31.0)
        said = [(GATEWAY, will), (GATEWAY, whole), ("nobody", whole), ("gw-2", whole), (GATEWAY, late)]
        beats = [pipeline.Beat(AREA, gateway, status, tx.now) for gateway, status in said]
        assert await pipeline.take_beats(tx, beats) == [None] * 5
    leases_now = await town.rows("SELECT gateway, said_goodbye, status FROM lease ORDER BY gateway")
    assert [(one["gateway"], one["said_goodbye"]) for one in leases_now] == [
        (GATEWAY, False),
        ("gw-2", False),
    ]
    assert [one["status"]["outbox_depth"] for one in leases_now] == [900, 7]
    assert leases_now[0]["status"]["version"] == "1.0", "the rest is as the whole one said"
    assert await states(town, "events_stuck") == ["active_unacknowledged"]


async def test_a_gateway_that_beats_while_its_hourly_canary_does_not_come_through_is_stuck(
    town: Town,
) -> None:
    """The next canary ends it; our own deafness is no fault of the gateway's."""

    async def beats(minutes: int) -> list[str]:
        for _ in range(minutes):
            town.time.forward(seconds=60)
            await town.do("UPDATE ear SET heard_at = now() + %s", town.time())  # nobody was deaf
            await heartbeat(town, uptime_s=90_000.0)
        return await states(town, "events_stuck")

    await send(town, batch([event(1, EventKind.CANARY)]))
    town.time.forward(hours=5)
    await listen(town)
    assert await beats(10) == [], "nobody listened for five hours"
    assert await beats(10) == ["active_unacknowledged"]
    row = await town.one("SELECT detail FROM alarm WHERE condition = 'events_stuck'")
    assert "canary" in row["detail"]["text"]
    await send(town, batch([event(2, EventKind.CANARY)]))
    assert await beats(1) == ["closed"]
    assert await beats(74) == ["closed"]
    assert (await beats(4))[-1] == "active_unacknowledged"
