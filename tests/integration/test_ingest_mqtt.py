"""Ingest over a real broker into a real database: answers after the commit, and nothing stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import aiomqtt
import msgspec
import psycopg
import pytest

from central import metrics
from central.bulk_ear import HEARTBEATS, BulkEar
from central.config import BrokerSettings
from central.ending import end
from central.ingest import Ingest
from central.intake import Intake
from central.registry.windows import NewWindow, open_window
from central.store.migrate import migrate
from tests.harness.broker import Broker
from tests.harness.database import Server
from tests.harness.town import AREA, BOOT, GATEWAY, STREAM, Town, batch, event, open_town
from tests.harness.wait import eventually
from wire import codec
from wire.messages import (
    Ack,
    Action,
    Ask,
    Clock,
    Command,
    Condition,
    EventBatch,
    EventKind,
    GatewayConfig,
    ReadingBatch,
    Status,
)
from wire.topics import ALIVE, Channel, gateway_topic, parse

A = EventKind.ASSERT
EVENTS = gateway_topic(AREA, GATEWAY, Channel.EVENTS)
STATUS = gateway_topic(AREA, GATEWAY, Channel.STATUS)
READINGS = gateway_topic(AREA, GATEWAY, Channel.READINGS)


@dataclass
class Gateway:
    """The far end of a gateway: sends bytes, keeps what it is told."""

    client: aiomqtt.Client
    acks: list[Ack] = field(default_factory=list)
    configs: list[GatewayConfig] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    alive: int = 0

    async def send(self, payload: bytes | EventBatch | ReadingBatch | Status, topic: str = EVENTS) -> None:
        raw = payload if isinstance(payload, bytes) else codec.encode(payload)
        await self.client.publish(topic, raw, qos=1)

    async def ack(self, count: int = 1) -> Ack:
        await eventually(lambda: len(self.acks) >= count, 10)
        return self.acks[count - 1]

    async def hear(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            if message.topic.value == ALIVE:
                codec.decode_alive(message.payload)
                self.alive += 1
                continue
            told = codec.decode(parse(message.topic.value).channel, message.payload)
            if isinstance(told, Ack):
                self.acks.append(told)
            elif isinstance(told, GatewayConfig):
                self.configs.append(told)
            elif isinstance(told, Command):
                self.commands.append(told)


@asynccontextmanager
async def gateway(broker: Broker) -> AsyncIterator[Gateway]:
    async with aiomqtt.Client(broker.host, broker.port, identifier="far-end", clean_session=True) as client:
        await client.subscribe(f"smokewatch/v1/{AREA}/{GATEWAY}/down/+", qos=1)
        await client.subscribe(ALIVE, qos=1)
        made = Gateway(client)
        hearing = asyncio.create_task(made.hear())
        try:
            yield made
        finally:
            await end([hearing])


@asynccontextmanager
async def ingesting(town: Town, broker: Broker) -> AsyncIterator[Ingest]:
    ingest = Ingest(town.store, BrokerSettings(broker.host, broker.port))
    task = asyncio.create_task(ingest.run())
    try:
        await eventually(
            lambda: all(ear.connected for ear in (ingest, ingest.readings, ingest.heartbeats)), 15
        )
        yield ingest
    finally:
        await end([task])


async def count(town: Town, table: str) -> int:
    return int((await town.one(f"SELECT count(*) AS n FROM {table}"))["n"])


async def test_smoke_is_stored_alarmed_and_then_acknowledged(town: Town, broker: Broker) -> None:
    """Events, readings, heartbeat; the centre says that it is alive; a repeat is answered again."""
    async with ingesting(town, broker) as ingest, gateway(broker) as far:
        await far.send(batch([event(1, A, Condition.SMOKE)]))
        assert (await far.ack()).through_seq == 1
        assert await town.told() == [("primary", "alarm", 1, 0)]
        await far.send(batch([event(1, A, Condition.SMOKE)]))
        assert (await far.ack(2)).through_seq == 1
        assert await count(town, "event") == 1
        readings = ReadingBatch(
            stream="f" * 32,
            first_seq=1,
            oldest_seq=1,
            boot=BOOT,
            clock=Clock(mono_ms=5, wall_ms=5),
            t=[5],
            detector=["det-1"],
            smoke=[0.2],
        )
        await far.send(readings, READINGS)
        assert (await far.ack(3)).stream == "f" * 32
        await far.send(Status(online=True, boot=BOOT, version="1"), STATUS)

        async def heard() -> bool:
            row = await town.one("SELECT status FROM lease WHERE gateway = 'gw-1'")
            return bool(row["status"])

        await eventually(heard, 10)
        await eventually(lambda: far.alive >= 1, 10)
        assert ingest.progressing


async def test_a_broker_that_refuses_the_subscription_is_left_for_the_next(
    town: Town, broker: Broker
) -> None:
    """A node of a cluster without its peers lets us in and does not let us hear: connected, but deaf."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"\x20\x02\x00\x00")
        asked = await reader.read(4096)
        writer.write(b"\x90\x03" + asked[2:4] + b"\x80")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ingest = Ingest(town.store, BrokerSettings("127.0.0.1", port, also=((broker.host, broker.port),)))
    task = asyncio.create_task(ingest.run())
    try:
        await eventually(lambda: ingest.connected, 15)
        async with gateway(broker) as far:
            await far.send(batch([event(1, A, Condition.SMOKE)]))
            assert (await far.ack()).through_seq == 1
    finally:
        await end([task])
        server.close()


async def test_a_retained_heartbeat_from_before_is_no_proof_of_life(town: Town, broker: Broker) -> None:
    """The broker hands it out when ingest subscribes."""
    async with aiomqtt.Client(broker.host, broker.port, identifier="earlier") as client:
        await client.publish(STATUS, codec.encode(Status(online=True, boot=BOOT)), qos=1, retain=True)
    async with ingesting(town, broker), gateway(broker) as far:
        await far.send(batch([event(1, EventKind.CANARY)]))
        await far.ack()
        assert (await town.one("SELECT status FROM lease WHERE gateway = 'gw-1'"))["status"] == {}
        await far.send(Status(online=True, boot=BOOT), STATUS)

        async def heard() -> bool:
            return bool((await town.one("SELECT status FROM lease WHERE gateway = 'gw-1'"))["status"])

        await eventually(heard, 10)


def put_aside() -> float:
    """The figure of payloads put aside, whatever the reason."""
    lines = metrics.exposition().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("smokewatch_quarantined_total{"))


GOOD = codec.encode(batch([event(1, A, Condition.SMOKE), event(2, A, Condition.HEAT)]))


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (EVENTS, b""),
        (EVENTS, b"\xff\xfe\x00garbage"),
        (EVENTS, b"[" * 50_000),
        (EVENTS, GOOD[:-5]),
        (EVENTS, b'{"stream": 5}'),
        (EVENTS, b" " * 70_000 + GOOD),
        (STATUS, b'{"online": "maybe"}'),
        (READINGS, b'{"t": [1], "detector": []}'),
        (f"smokewatch/v1/{AREA}/UPPER_CASE/up/events", GOOD),
    ],
)
async def test_what_cannot_be_read_is_put_aside_with_its_reason_and_the_loop_goes_on(
    town: Town, broker: Broker, topic: str, payload: bytes
) -> None:
    """Malformed, truncated, oversized, foreign, wrong topic: and the next alarm opens."""
    before = put_aside()
    async with ingesting(town, broker), gateway(broker) as far:
        await far.send(payload, topic)

        async def aside() -> bool:
            return await count(town, "quarantine") == 1

        await eventually(aside, 10)
        row = await town.one("SELECT topic, reason, payload FROM quarantine")
        assert row["topic"] == topic
        assert row["reason"]
        assert bytes(row["payload"]) == payload[:65_536]
        assert put_aside() == before + 1
        if payload.endswith(GOOD) and topic == EVENTS:  # too large, but it says which stream it is of
            assert (await far.ack()).ask == [Ask.ONE_BY_ONE]
        await far.send(batch([event(1, A, Condition.SMOKE)], stream="9" * 32))
        await eventually(lambda: any(ack.stream == "9" * 32 for ack in far.acks), 10)
        assert await town.told() == [("primary", "alarm", 1, 0)]


async def test_what_is_replayed_changes_nothing_and_a_forged_replay_is_put_aside_and_told(
    town: Town, broker: Broker
) -> None:
    """The same again is answered; another content under a stored number is counted, kept and refused."""
    before = put_aside()
    async with ingesting(town, broker), gateway(broker) as far:
        await far.send(GOOD)
        for number in (1, 2):
            ack = await far.ack(number)
            assert (ack.through_seq, ack.ask) == (2, [])
            await far.send(GOOD)
        await far.ack(3)
        assert (await count(town, "event"), await count(town, "alarm"), put_aside()) == (2, 2, before)
        forged = batch([event(1, A, Condition.SMOKE, detector="another"), event(2, A, Condition.HEAT)])
        await far.send(forged)
        assert Ask.NEW_STREAM in (await far.ack(4)).ask
        assert put_aside() == before + 1
        assert await count(town, "quarantine WHERE reason LIKE '%%differs%%'") == 1
        assert await count(town, "alarm WHERE condition = 'clone_suspected'") == 1
        await far.send(batch([event(1, A, Condition.SMOKE, detector="det-2")], stream="9" * 32))
        assert (await far.ack(5)).through_seq == 1
        assert await count(town, "alarm WHERE severity = 'life'") == 3


async def test_an_event_of_a_newer_version_is_isolated_stored_raw_and_passed(
    town: Town, broker: Broker
) -> None:
    """The gateway is asked for one event at a time; the others are judged."""
    foreign: dict[str, Any] = msgspec.json.decode(GOOD)
    foreign["events"][1]["condition"] = "earthquake"
    async with ingesting(town, broker), gateway(broker) as far:
        await far.send(msgspec.json.encode(foreign))
        ack = await far.ack()
        assert (ack.ask, ack.through_seq, ack.stream) == ([Ask.ONE_BY_ONE], 0, STREAM)
        for index in (0, 1):
            one = {**foreign, "first_seq": index + 1, "events": [foreign["events"][index]]}
            await far.send(msgspec.json.encode(one))
            ack = await far.ack(index + 2)
            assert (ack.ask, ack.through_seq) == ([], index + 1)
        rows = await town.rows("SELECT seq, kind, failed IS NULL AS fine FROM event ORDER BY seq")
        assert rows == [
            {"seq": 1, "kind": "assert", "fine": True},
            {"seq": 2, "kind": "unreadable", "fine": False},
        ]
        found = {row["condition"] for row in await town.rows("SELECT condition FROM alarm")}
        assert found == {"smoke", "system"}


async def test_a_configuration_is_published_and_kept_by_the_broker_and_a_walk_test_is_told_once(
    town: Town, broker: Broker
) -> None:
    """Retained, so that who connects later gets it too; the command is not, and ends with its minute."""
    sealed = codec.seal_config("e" * 32, 1, [])
    async with ingesting(town, broker):
        await town.do(
            "INSERT INTO gateway_config (gateway, version, hash, body, made_at, made_by)"
            " VALUES ('gw-1', 1, %s, %s, now(), 't')",
            sealed.hash,
            codec.encode(sealed),
        )
        await town.do("NOTIFY config")

        async def published() -> bool:
            row = await town.one("SELECT published_at FROM gateway_config")
            return row["published_at"] is not None

        await eventually(published, 10)
        async with gateway(broker) as far:
            await eventually(lambda: far.configs == [sealed], 10)
            async with town.store.transaction() as tx:
                ends = tx.now + timedelta(minutes=20)
                new = NewWindow(
                    kind="walk_test", detectors=("det-1",), why="年检", ends=ends, person="fitter"
                )
                number = await open_window(tx, new, by="test")
            await eventually(lambda: far.commands, 10)
            (told,) = far.commands
            assert (told.action, told.window, told.detectors, told.lasts_s) == (
                Action.WALK_TEST,
                str(number),
                ["det-1"],
                1200.0,
            )
            assert told.id == (await town.one("SELECT id FROM gateway_command"))["id"]

            async def noted() -> bool:
                return not await town.rows("SELECT FROM gateway_command WHERE published_at IS NULL")

            await eventually(noted, 10)


async def test_a_broker_that_is_killed_and_wiped_is_called_again(town: Town, broker: Broker) -> None:
    """Ingest reconnects by itself; what is sent then is stored."""
    async with ingesting(town, broker) as ingest:
        broker.wipe()
        await eventually(lambda: not ingest.connected, 15)
        broker.start()
        await eventually(lambda: ingest.connected, 30)
        async with gateway(broker) as far:
            await far.send(batch([event(1, A, Condition.SMOKE)]))
            assert (await far.ack()).through_seq == 1


async def test_a_database_that_is_away_for_seconds_loses_nothing_and_is_not_lied_about(
    own_database_server: Server, broker: Broker
) -> None:
    """No answer while it is away; the answer when it is back; emptied, it is another epoch, and is filled."""
    with psycopg.connect(own_database_server.dsn(), autocommit=True) as conn:
        conn.execute("CREATE DATABASE away")
    dsn = own_database_server.dsn("away")
    migrate(dsn)
    town = await open_town(dsn)
    async with ingesting(town, broker), gateway(broker) as far:
        await far.send(batch([event(1, A, Condition.SMOKE)]))
        first = await far.ack()
        await asyncio.to_thread(own_database_server.stop)
        await far.send(batch([event(2, A, Condition.HEAT)]))
        await asyncio.sleep(2)
        assert len(far.acks) == 1
        await asyncio.to_thread(own_database_server.start)
        await eventually(lambda: len(far.acks) >= 2, 30)
        assert far.acks[1].through_seq == 2
        assert await count(town, "alarm WHERE severity = 'life'") == 2

        await asyncio.to_thread(_empty, own_database_server, dsn)
        await far.send(batch([event(1, A, Condition.SMOKE), event(2, A, Condition.HEAT)]))
        again = await far.ack(3)
        assert again.through_seq == 2
        assert again.epoch != first.epoch
        assert await count(town, "alarm WHERE severity = 'life'") == 2
    await town.store.close()


def _empty(server: Server, dsn: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        conn.execute("DROP DATABASE away WITH (FORCE)")
        conn.execute("CREATE DATABASE away")
    migrate(dsn)


async def test_while_heartbeats_cannot_be_heard_nobody_beats_and_no_gateway_can_be_taken_for_silent(
    town: Town, broker: Broker
) -> None:
    """Events come in all the same; once heartbeats are heard, ingest beats."""
    ingest = Ingest(town.store, BrokerSettings(broker.host, broker.port))
    nowhere = BulkEar(HEARTBEATS, Intake(town.store), BrokerSettings(broker.host, 1), "", Random(1))
    heard, ingest.heartbeats = ingest.heartbeats, nowhere
    task = asyncio.create_task(ingest.run())
    try:
        async with gateway(broker) as far:
            await eventually(lambda: ingest.connected, 15)
            await far.send(batch([event(1, A, Condition.SMOKE)]))
            assert (await far.ack(1)).through_seq == 1
            assert not ingest.progressing
            assert await count(town, "ear") == 0
            ingest.heartbeats = heard
            heard_task = asyncio.create_task(heard.run())
            try:
                await eventually(lambda: ingest.progressing, 15)
            finally:
                await end([heard_task])
            assert await count(town, "ear") == 1
    finally:
        await end([task])
