"""The agent's uplink against a real broker and a small centre that keeps the rules of the wire."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

import pytest
from aiomqtt import Client, MqttError

from edge_agent.clock import Clock
from edge_agent.config import MqttSettings
from edge_agent.observation import Observation, Sample
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.readings import ReadingBuffer, Readings
from tests.harness.wait import eventually
from wire.codec import decode, encode, event_digest, seal_config
from wire.delivery import take_events, take_readings
from wire.messages import (
    Ack,
    Action,
    Alive,
    Ask,
    Command,
    Condition,
    EventBatch,
    EventKind,
    Lane,
    ReadingBatch,
    Status,
)
from wire.topics import ALIVE, Channel, gateway_topic, parse, up_filter

BOOT = "b" * 32
CANARY = Observation(EventKind.CANARY)
SMOKE = Observation(EventKind.ASSERT, Condition.SMOKE, "d-1")


class Centre:
    """A dict for a database; drops answers when told to."""

    def __init__(self, broker, drop=0.0):
        self.broker = broker
        self.drop = drop
        self.chance = random.Random(7)
        self.epoch = "e" * 32
        self.events: dict[str, dict[int, object]] = {}
        self.cursors: dict[str, int] = {}
        self.batches: list[EventBatch] = []
        self.rows: dict[str, list[int]] = {}
        self.statuses: list[Status] = []
        self.conflicts = 0
        self.asks: list[Ask] = []
        self.client: Client | None = None
        self.mute = False

    async def run(self):
        while True:
            with contextlib.suppress(MqttError):
                async with Client(
                    self.broker.host, self.broker.port, identifier="centre", timeout=5
                ) as client:
                    await client.subscribe(up_filter(), qos=1)
                    self.client = client
                    async for message in client.messages:
                        await self.take(client, str(message.topic), message.payload)
            self.client = None
            await asyncio.sleep(0.1)

    async def take(self, client, topic, payload):
        address = parse(topic)
        said = decode(address.channel, payload)
        if isinstance(said, Status):
            self.statuses.append(said)
            return
        if isinstance(said, EventBatch):
            self.batches.append(said)
            kept = self.events.setdefault(said.stream, {})
            stored = {
                seq: event_digest(event)
                for seq, event in kept.items()
                if seq >= said.first_seq or seq > self.cursors.get(said.stream, 0)
            }
            taken = take_events(self.cursors.get(said.stream, 0), stored, said)
            self.conflicts += len(taken.conflicts)
            for event in taken.new:
                assert event.seq not in kept
                kept[event.seq] = event
            cursor, lane, asks = taken.cursor, Lane.EVENTS, list(taken.asks)
        else:
            assert isinstance(said, ReadingBatch)
            read = take_readings(self.cursors.get(said.stream, 0), said)
            rows = range(said.first_seq + read.skip, said.first_seq + len(said.t))
            self.rows.setdefault(said.stream, []).extend(rows)
            cursor, lane, asks = read.cursor, Lane.READINGS, []
        self.cursors[said.stream] = cursor
        asks += self.asks
        self.asks = []
        if self.mute or self.chance.random() < self.drop:
            return
        ack = Ack(said.stream, lane, cursor, self.epoch, int(time.time() * 1000), said.clock.mono_ms, asks)
        await self.say(Channel.ACK, ack, client)

    async def say(self, channel, message, client=None, retain=False):
        client = client or self.client
        await client.publish(gateway_topic("street", "gw-1", channel), encode(message), qos=1, retain=retain)

    def seqs(self, stream):
        return sorted(self.events.get(stream, {}))


class Agent:
    def __init__(self, broker, folder, machine="m-1"):
        self.outbox = Outbox.open(folder / "outbox.db", machine)
        self.clock = Clock(
            wall_ms=lambda: int(time.time() * 1000),
            mono_s=time.monotonic,
            boot=BOOT,
            synchronised=lambda: True,
        )
        self.readings = Readings(ReadingBuffer("f" * 32, BOOT))
        self.configs, self.commands, self.snapshots = [], [], 0
        self.publisher = Publisher(
            MqttSettings(broker.host, broker.port, keepalive_s=5),
            "street", "gw-1", self.outbox, self.readings, self.clock,
            lambda: Status(online=True, boot=BOOT, outbox_depth=self.outbox.depth),
            self.on_config, self.on_command, self.on_snapshot,
            random=random.Random(1),
        )  # fmt: skip

    async def on_config(self, config):
        self.configs.append(config)

    async def on_command(self, command):
        self.commands.append(command)

    async def on_snapshot(self):
        self.snapshots += 1

    def record(self, *observations):
        seqs = self.outbox.append(observations, self.clock.stamp())
        self.publisher.wake()
        return seqs


@contextlib.asynccontextmanager
async def running(*parts):
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield
    finally:
        # aiomqtt waits with asyncio.wait_for, which swallows a cancellation now and then (Python 3.11).
        while pending := [task for task in tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=5)
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), repr(ended)


@pytest.fixture
def agent(broker, tmp_path):
    made = Agent(broker, tmp_path)
    yield made
    made.outbox.close()


async def test_an_event_is_stored_answered_and_forgotten_within_moments(broker, agent):
    """The common day: one event up, one answer down, nothing left, the centre's clock learnt."""
    centre = Centre(broker)
    async with running(centre.run(), agent.publisher.run()):
        await eventually(lambda: centre.client and agent.publisher.connected)
        began = time.monotonic()
        agent.record(SMOKE)
        await eventually(lambda: centre.seqs(agent.outbox.stream) == [1])
        took = time.monotonic() - began
        await eventually(lambda: agent.outbox.depth == 0)
        assert took < 1.0
        await eventually(lambda: agent.clock.offset_ms is not None)  # learnt after the event is forgotten
        assert abs(agent.clock.offset_ms) < 1000
        assert centre.statuses[0].online
        assert len(centre.batches) == 1
    assert agent.publisher.connected is False


async def test_everything_arrives_once_through_broker_restarts_and_lost_answers(broker, agent):
    """A third of the answers is lost, the broker is killed and wiped; each event is stored exactly once."""
    centre = Centre(broker, drop=0.3)
    stream = agent.outbox.stream
    async with running(centre.run(), agent.publisher.run()):
        await eventually(lambda: centre.client and agent.publisher.connected)
        total = 0
        for lap in range(3):
            for _ in range(10):
                total += len(agent.record(*[CANARY] * 20, SMOKE))
                agent.readings.add(Sample("d-1", temperature=20.0 + lap), 1)
                await asyncio.sleep(0.01)
            broker.kill9()
            if lap == 1:
                broker.wipe()
            total += len(agent.record(SMOKE, CANARY))
            broker.start()
        centre.drop = 0.0
        await eventually(lambda: agent.outbox.depth == 0, timeout_s=40)
        assert centre.seqs(stream) == list(range(1, total + 1))
        await eventually(lambda: agent.readings.depth == 0, timeout_s=20)
        assert centre.rows["f" * 32] == list(range(1, 31))
        assert centre.conflicts == 0
        assert agent.outbox.stream == stream


async def test_a_fire_behind_a_hundred_thousand_old_events_comes_first(broker, agent):
    """The first batch of the new connection is the fire; the backlog drains afterwards, at speed."""
    for _ in range(20):
        agent.outbox.append([CANARY] * 5000, agent.clock.stamp())
    (fire,) = agent.outbox.append([SMOKE], agent.clock.stamp())
    made = Agent(broker, agent.outbox.path.parent)
    centre = Centre(broker)
    async with running(centre.run()):
        await eventually(lambda: centre.client)
        async with running(made.publisher.run()):
            await eventually(lambda: centre.batches)
            assert (centre.batches[0].first_seq, len(centre.batches[0].events)) == (fire, 1)
            began, before = time.monotonic(), made.outbox.depth
            await asyncio.sleep(0.5)
            (second,) = made.record(SMOKE)
            asked = time.monotonic()
            await eventually(lambda: second in centre.events[made.outbox.stream])
            assert time.monotonic() - asked < 1.0
            await eventually(lambda: made.outbox.depth < before - 5000, timeout_s=20)
            rate = (before - made.outbox.depth) / (time.monotonic() - began)
            assert rate > 2000, f"{rate:.0f} events/s"
    made.outbox.close()


async def test_a_clone_and_a_file_set_back_lose_nothing(broker, agent, tmp_path):
    """The copy goes on under a stream of its own when its twin's numbers are taken."""
    centre = Centre(broker)
    agent.record(CANARY, CANARY)
    old = agent.outbox.stream
    copy = tmp_path / "copy"
    copy.mkdir()
    agent.outbox._ledger._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (copy / "outbox.db").write_bytes(agent.outbox.path.read_bytes())
    async with running(centre.run()):
        await eventually(lambda: centre.client)
        async with running(agent.publisher.run()):
            agent.record(CANARY, CANARY, CANARY)
            await eventually(lambda: agent.outbox.depth == 0)
        twin = Agent(broker, copy)
        twin.outbox.append([SMOKE], twin.clock.stamp())
        async with running(twin.publisher.run()):
            await eventually(lambda: twin.outbox.stream != old and twin.outbox.depth == 0)
            assert centre.seqs(old) == [1, 2, 3, 4, 5]
            mine = centre.events[twin.outbox.stream]
            assert SMOKE.condition in {event.condition for event in mine.values()}
            await eventually(lambda: twin.snapshots)
        twin.outbox.close()


async def test_orders_of_the_centre_are_carried_out_once(broker, agent):
    """Configuration, commands, a snapshot; a repeat, a late and a retained one are not done."""
    centre = Centre(broker)
    async with running(centre.run()):
        await eventually(lambda: centre.client)
        now = int(time.time() * 1000)
        config = seal_config("e" * 32, 1, [], 60.0)
        await centre.say(Channel.CONFIG, config, retain=True)
        await centre.say(Channel.COMMAND, Command("1" * 32, Action.MUTE, now + 60_000), retain=True)
        async with running(agent.publisher.run()):
            await eventually(lambda: agent.configs == [config])
            good = Command("2" * 32, Action.IDENTIFY, now + 60_000, detector="d-1")
            late = Command("3" * 32, Action.IDENTIFY, now - 1)
            for command in (good, good, late):
                await centre.say(Channel.COMMAND, command)
            await eventually(lambda: centre.seqs(agent.outbox.stream) == [1])
            assert "expired" in centre.events[agent.outbox.stream][1].text
            assert agent.commands == [good]
            centre.asks = [Ask.SNAPSHOT]
            agent.record(CANARY)
            await eventually(lambda: agent.snapshots == 1)
            await centre.client.publish(ALIVE, encode(Alive("a" * 32, now)), qos=1)
            await eventually(lambda: agent.outbox.epoch == "a" * 32 and agent.publisher.alive_at)


async def test_a_fire_does_not_wait_for_fifteen_thousand_readings(broker, agent):
    """Readings drain meanwhile, once each and in order."""
    for number in range(15_000):
        agent.readings.add(Sample("d-1", temperature=20.0), number)
    centre = Centre(broker)
    async with running(centre.run(), agent.publisher.run()):
        await eventually(lambda: len(centre.rows.get("f" * 32, ())) > 1000)
        began = time.monotonic()
        agent.record(SMOKE)
        await eventually(lambda: centre.seqs(agent.outbox.stream) == [1])
        assert time.monotonic() - began < 1.0
        assert agent.readings.depth > 0
        await eventually(lambda: agent.readings.depth == 0, timeout_s=30)
        assert centre.rows["f" * 32] == list(range(1, 15_001))


async def test_after_an_unreadable_envelope_events_come_one_by_one(broker, agent):
    """So that the centre can tell the bad one from the good."""
    centre = Centre(broker)
    centre.asks = [Ask.ONE_BY_ONE]
    agent.outbox.append([CANARY] * 6, agent.clock.stamp())
    async with running(centre.run()):
        await eventually(lambda: centre.client)
        async with running(agent.publisher.run()):
            await eventually(lambda: agent.outbox.depth == 0)
    assert [len(batch.events) for batch in centre.batches] == [6] + [1] * 6


async def test_rubbish_from_the_broker_does_not_end_the_loop(broker, agent):
    """Random bytes on every topic we listen to; the next event still gets its answer."""
    centre = Centre(broker)
    chance = random.Random(3)
    async with running(centre.run(), agent.publisher.run()):
        await eventually(lambda: centre.client and agent.publisher.connected)
        for topic in (
            ALIVE,
            *(
                gateway_topic("street", "gw-1", each)
                for each in (Channel.ACK, Channel.CONFIG, Channel.COMMAND)
            ),
            "smokewatch/v1/street/gw-1/down/other",
        ):
            for size in (0, 1, 50, 3000):
                await centre.client.publish(topic, chance.randbytes(size), qos=1)
            await centre.client.publish(topic, b"[" * 900, qos=1)
        agent.record(SMOKE)
        await eventually(lambda: agent.outbox.depth == 0)
        assert centre.seqs(agent.outbox.stream) == [1]


async def test_the_last_will_and_the_goodbye_say_offline(broker, agent):
    """A clean end says so itself."""
    centre = Centre(broker)
    async with running(centre.run()):
        await eventually(lambda: centre.client)
        async with running(agent.publisher.run()):
            await eventually(lambda: centre.statuses and centre.statuses[-1].online)
        await eventually(lambda: not centre.statuses[-1].online)
    assert centre.statuses[-1].boot == BOOT
