"""P3: a gateway that is not heard for 90 s by the server's clock is one incident; our own restarts are none.

The agent, its line, broker and database are real processes; the centre runs in this one, so that its time can
be moved: in small steps, as time passes, or in one while some part of it is down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
import pytest

from central import app, ingest, pipeline
from central.config import read_settings
from central.store.overview import Overview, overview
from central.store.pool import Store
from simulator.demo.street import AREA
from tests.harness.town import BOOT, Time
from tests.harness.wait import eventually
from tests.harness.whole import Whole, whole_system
from wire.codec import encode
from wire.messages import Clock, Status
from wire.topics import Channel, gateway_topic

HOMES = 6
CALLED = ["installer-1", "lead-1"]
LONG = {"minutes": 10}
SILENT = "SELECT * FROM alarm WHERE condition = 'gateway_silent'"


@dataclass
class Here:
    """The centre's roles in this process."""

    whole: Whole
    store: Store
    time: Time
    roles: dict[str, tuple[asyncio.Event, asyncio.Task[None]]] = field(default_factory=dict)

    async def start(self, *roles: str) -> None:
        for role in roles:
            stop, up = asyncio.Event(), asyncio.Event()
            settings = read_settings(self.whole.system.site.config, {})
            running = app.run(
                settings,
                frozenset({role}),
                {},
                stop=stop,
                clock_shift=self.time,
                started=lambda _health, up=up: up.set(),
            )
            self.roles[role] = stop, asyncio.create_task(running)
            await asyncio.wait_for(up.wait(), 15)

    async def stop(self, *roles: str) -> None:
        for role in roles:
            stop, task = self.roles.pop(role)
            stop.set()
            await asyncio.wait_for(task, 10)

    async def rows(self, query: str) -> list[dict[str, Any]]:
        async with self.store.transaction() as tx:
            return await (await tx.conn.execute(query.encode())).fetchall()

    async def seen(self) -> Overview:
        async with self.store.transaction() as tx:
            return await overview(tx)

    async def watched(self, wanted: int) -> None:
        async def so_many() -> bool:
            return (await self.seen()).watched == wanted

        _: bool = await eventually(so_many, 30, f"{wanted} are watched")

    async def pass_time(self, seconds: int) -> None:
        """Time passes while ingest listens: never more than it may miss between two beats."""
        for _ in range(seconds // 5):
            self.time.forward(seconds=5)
            async with self.store.transaction() as tx:
                now = tx.now

            async def heard(now: object = now) -> bool:
                return bool((await self.rows("SELECT max(heard_at) AS at FROM ear"))[0]["at"] >= now)

            _done: bool = await eventually(heard, 10, "ingest has beaten since")


@pytest.fixture
def street(monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    monkeypatch.setattr(ingest, "BEAT_S", 0.1)  # moved time must not look like time in which nobody listened
    with whole_system(apart=False) as whole:
        whole.watching()
        whole.system.children["central"].stop()
        yield whole


@asynccontextmanager
async def here(whole: Whole) -> AsyncIterator[Here]:
    time = Time()
    store = Store(whole.system.site.dsn, clock_shift=time)
    await store.open()
    made = Here(whole, store, time)
    await made.start("ingest", "worker", "jobs")
    try:
        await made.watched(HOMES)
        yield made
    finally:
        await made.stop(*made.roles)
        await store.close()


async def test_a_killed_agent_is_noticed_after_ninety_seconds_whatever_the_broker_kept(street: Whole) -> None:
    """Its will and a heartbeat that the broker kept prove no life; its homes are unwatched, and told once."""
    async with here(street) as centre:
        await asyncio.to_thread(street.system.kill9, "gw-1")
        _: Any = await eventually(
            lambda: centre.rows("SELECT FROM lease WHERE said_goodbye"), 30, "the will has come"
        )
        (before,) = await centre.rows("SELECT heard_at FROM lease")
        await centre.stop("ingest")
        await keep_a_heartbeat(street)
        await centre.start("ingest")
        await centre.pass_time(50)
        assert await centre.rows(SILENT) == []
        assert await centre.rows("SELECT heard_at FROM lease") == [before]
        await centre.pass_time(45)
        (silent,) = await eventually(lambda: centre.rows(SILENT), 15, "the silence is an alarm")
        assert (silent["gateway"], silent["detail"]["count"]) == ("gw-1", HOMES)
        assert len(set(silent["detail"]["homes"])) == HOMES
        seen = await centre.seen()
        assert (seen.watched, seen.detectors, [g.id for g in seen.silent]) == (0, HOMES, ["gw-1"])
        assert await told(centre) == {silent["id"]: CALLED}

        await asyncio.to_thread(street.system.start, "gw-1")
        await centre.watched(HOMES)
        (silent,) = await centre.rows(SILENT)
        assert (silent["state"], silent["closed_by"]) == ("closed", "system")
        # Only the server's time was moved: by it the gateway's clock is wrong now, and that is told too.
        (wrong,) = await centre.rows("SELECT id FROM alarm WHERE condition = 'clock_wrong'")
        assert await told(centre) == {silent["id"]: CALLED, wrong["id"]: CALLED}
        assert len(await centre.rows("SELECT FROM alarm")) == 2


async def test_no_restart_of_ours_takes_a_living_gateway_for_silent(street: Whole) -> None:
    """Ten minutes each without ingest, broker, database, all roles: nobody heard, which is no silence."""
    async with here(street) as centre:
        await centre.stop("ingest")
        centre.time.forward(**LONG)
        await centre.start("ingest")
        await nobody_silent(centre)

        await asyncio.to_thread(street.broker.kill9)
        centre.time.forward(**LONG)
        await asyncio.to_thread(street.broker.start)
        await nobody_silent(centre)

        await asyncio.to_thread(street.database.kill9)
        centre.time.forward(**LONG)
        await asyncio.to_thread(street.database.start)
        await nobody_silent(centre)

        await centre.stop("jobs")
        await centre.start("jobs")
        await nobody_silent(centre)

        await centre.stop("jobs", "worker", "ingest")
        centre.time.forward(**LONG)
        await centre.start("jobs", "worker", "ingest")
        await nobody_silent(centre)
        others = await centre.rows("SELECT DISTINCT condition, part FROM alarm ORDER BY 1, 2")
        # True words both: nobody listened, and a server's clock that ran ahead is not the gateway's.
        assert {(row["condition"], row["part"]) for row in others} <= {
            ("system", f"ear:{AREA}"),
            ("clock_wrong", ""),
        }


async def nobody_silent(centre: Here) -> None:
    """Ingest hears again, the sweep has looked, all homes are watched, and no gateway was called silent."""
    async with centre.store.transaction() as tx:
        now = tx.now

    async def heard() -> bool:
        (ear,) = await centre.rows("SELECT max(heard_at) AS at FROM ear")
        return bool(ear["at"] > now)

    _: bool = await eventually(heard, 40, "ingest hears again")
    await centre.watched(HOMES)
    async with centre.store.transaction() as tx:
        await pipeline.sweep(tx)
    _open: bool = await eventually(
        lambda: not_open(centre, "system"), 15, "the sweep has seen that ingest hears"
    )
    assert await centre.rows(SILENT) == []
    assert (await centre.seen()).silent == ()


async def not_open(centre: Here, condition: str) -> bool:
    return not await centre.rows(f"SELECT FROM alarm WHERE condition = '{condition}' AND state <> 'closed'")


async def keep_a_heartbeat(whole: Whole) -> None:
    """Let the broker keep a heartbeat of the dead gateway that looks alive, as from before its death."""
    alive = Status(online=True, boot=BOOT, clock=Clock(mono_ms=1, wall_ms=0))
    async with aiomqtt.Client(whole.broker.host, whole.broker.port) as client:
        topic = gateway_topic(AREA, "gw-1", Channel.STATUS)
        await client.publish(topic, encode(alive), qos=1, retain=True)


async def told(centre: Here) -> dict[int, list[str]]:
    """Of each alarm, who was told by the telephone, once each, when nothing waits any more."""
    _: bool = await eventually(lambda: none_waits(centre), 15, "nothing waits to be sent")
    found: dict[int, list[str]] = {}
    for message in centre.whole.phone.messages():
        assert message.body["id"].split(":")[1:4] == ["alarm", "1", "0"]
        for alarm in message.body["alarms"]:
            found.setdefault(alarm, []).append(message.body["id"].split(":")[4])
    return {alarm: sorted(workers) for alarm, workers in found.items()}


async def none_waits(centre: Here) -> bool:
    return not await centre.rows("SELECT FROM delivery WHERE state <> 'sent'")
