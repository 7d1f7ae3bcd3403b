"""Hours of a gateway's normal life on mobile data, told in minutes: bytes by TLS and on the disk.

Real: the agent's publisher, lanes, recorder and outbox, its report rule on the simulator's physics (128
detectors, each looked at every two seconds), MQTT over TLS with client certificates to a real broker, a proxy
in between that counts, a centre that answers every batch and says `alive` every 10 s. Compressed: time. The
event loop's clock, the agent's clocks and the physics all run `speed` times as fast, so that every period of
the agent (30 s, 5 min, 1 h, 6 h) comes as often as in so many real hours. Left out: the serial lines.
"""

from __future__ import annotations

import asyncio
import selectors
import ssl
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aiomqtt

from device_profiles.schema import Role
from edge_agent.clock import Clock
from edge_agent.config import MqttSettings
from edge_agent.decode import Snapshot
from edge_agent.observation import Observation, Sample
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from edge_agent.publisher import Publisher
from edge_agent.readings import ReadingBuffer, Readings
from edge_agent.recorder import Recorder
from edge_agent.reporting import report
from edge_agent.tracked import DetectorState, TrackPolicy
from simulator import detector as physics
from simulator.parts.broker import _binary
from simulator.parts.child import Child
from simulator.parts.ports import HOST, free_port, is_free
from tests.harness.chaos import chaos_proxy
from tests.harness.secure_broker import CENTRE, make_certificate
from wire.codec import decode, encode
from wire.messages import Ack, Alive, BusStatus, Condition, EventBatch, EventKind, Lane, ReadingBatch, Status
from wire.topics import ALIVE, Channel, gateway_topic, parse, up_filter

AREA, GATEWAY = "danshuichi", "gw-0001"
BUSES, DETECTORS, LOOK_S = 4, 128, 2.0
EPOCH = "e" * 32
SNAPSHOT_S, CANARY_S, ALIVE_S = 6 * 3600.0, 3600.0, 10.0
MONTH_S = 30 * 86_400.0
HEADERS = 40
"""IPv4 and TCP without options, for each segment and its bare acknowledgement."""


class _Fast(selectors.DefaultSelector):
    """Waits a `speed`-th of what it is asked to."""

    speed = 1.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / self.speed)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop on which time runs `speed` times as fast."""

    def __init__(self, speed: float) -> None:
        selector = _Fast()
        selector.speed = speed
        self._speed, self._began = speed, time.monotonic()
        super().__init__(selector)

    def time(self) -> float:
        return (time.monotonic() - self._began) * self._speed


class Broker:
    """nats-server from the wheel, MQTT over TLS, client certificates wanted."""

    def __init__(self, folder: Path) -> None:
        for what in (["broker", HOST], [CENTRE], [f"{AREA}/{GATEWAY}"]):
            make_certificate(folder, *what)
        self.folder, self.port = folder, free_port()
        (folder / "nats.conf").write_text(
            f'server_name: month\nhost: "{HOST}"\nport: -1\njetstream {{ store_dir: "{folder}/store" }}\n'
            f'mqtt {{ host: "{HOST}"\n port: {self.port}\n tls {{ cert_file: "{folder}/server.crt"\n'
            f' key_file: "{folder}/server.key"\n ca_file: "{folder}/ca.crt"\n verify: true }} }}\n'
        )
        self._child = Child("the broker", folder / "log")
        self._child.start([_binary(), "-c", str(folder / "nats.conf")], lambda _pid: not is_free(self.port))

    def stop(self) -> None:
        self._child.kill9()

    def pair(self, name: str) -> tuple[Path, Path]:
        file = self.folder / name.replace("/", "_")
        return file.with_name(f"{file.name}.crt"), file.with_name(f"{file.name}.key")


class Life:
    """The gateway, its detectors and its centre. Times are seconds of the fast loop."""

    def __init__(self, broker: Broker, port: int, folder: Path) -> None:
        self.loop = asyncio.get_running_loop()
        self.wall_at_start = time.time()
        self.broker = broker
        clock = Clock(wall_ms=self.wall_ms, mono_s=self.loop.time, boot="b" * 32, synchronised=lambda: True)
        self.clock = clock
        self.outbox = Outbox.open(folder / "outbox.db", "machine")
        self.recorder = Recorder(self.outbox, clock.stamp, lambda: self.publisher.wake(), StorageError)
        self.readings = Readings(ReadingBuffer("f" * 32, clock.boot))
        certificate, key = broker.pair(f"{AREA}/{GATEWAY}")
        settings = MqttSettings(
            HOST, port, tls=True, ca_file=broker.folder / "ca.crt", cert_file=certificate, key_file=key
        )
        self.publisher = Publisher(
            settings, AREA, GATEWAY, self.outbox, self.readings, clock,
            self.status, self._nothing, self._nothing, self.snapshot,
        )  # fmt: skip
        self.messages = dict.fromkeys(("events", "readings", "status", "brief"), 0)
        self.bytes = dict.fromkeys(self.messages, 0)
        self.rows = 0

    def wall_s(self) -> float:
        return self.wall_at_start + self.loop.time()

    def wall_ms(self) -> int:
        return int(self.wall_s() * 1000)

    async def _nothing(self, *_: object) -> None:
        pass

    def status(self) -> Status:
        """As `app.Agent.status` makes it, all lines well."""
        now = self.clock.mono_s()
        return Status(
            online=True,
            boot=self.clock.boot,
            version="0.1.0",
            uptime_s=round(now, 1),
            clock=self.clock.sending(self.clock.mono_ms()),
            stream=self.outbox.stream,
            outbox_depth=self.outbox.depth,
            oldest_unacked_event_s=self.outbox.oldest_unacked_s(
                self.clock.boot, self.clock.mono_ms(), self.wall_ms()
            ),
            buses=[
                BusStatus(f"line-{n}", True, round(now % LOOK_S, 3), 1.734, DETECTORS // BUSES, 0, 3)
                for n in range(1, BUSES + 1)
            ],
            config_epoch=EPOCH,
            config_version=12,
            config_hash="c" * 64,
        )

    async def snapshot(self) -> None:
        states: dict[str, tuple[Condition, ...] | None] = dict.fromkeys(self.names(), ())
        await self.recorder.record([Observation(EventKind.SNAPSHOT, states=states)], {})

    @staticmethod
    def names() -> list[str]:
        return [f"det-{number:04}" for number in range(1, DETECTORS + 1)]

    async def look(self, report_s: float) -> None:
        """Read every detector every two seconds, for ever."""
        policy = TrackPolicy(report_s=report_s)
        began = self.wall_s()
        devices = [
            (DetectorState(name), physics.new(physics.Traits(seed=seed, born=began), began))
            for seed, name in enumerate(self.names())
        ]
        turn = self.loop.time()
        while True:
            now = self.wall_s()
            for place, (state, device) in enumerate(devices):
                seen = physics.senses(device, now)
                values: dict[Role, float | None] = {
                    Role.SMOKE: round(seen.smoke or 0.0, 2),
                    Role.TEMPERATURE: round(seen.temperature or 0.0, 1),
                    Role.BATTERY: round(seen.battery, 3),
                    Role.CONTAMINATION: round(seen.contamination, 1),
                }
                told, sample = report(state, _seen(values), self.loop.time(), policy)
                devices[place] = (told, device)
                if sample is not None:
                    self._sample(sample)
            turn += LOOK_S
            await asyncio.sleep(turn - self.loop.time())

    def _sample(self, sample: Sample) -> None:
        self.readings.add(sample, self.wall_ms())
        self.publisher.wake()

    async def canaries(self) -> None:
        while True:
            await asyncio.sleep(CANARY_S)
            await self.recorder.record([Observation(EventKind.CANARY)], {})

    async def snapshots(self) -> None:
        while True:
            await self.snapshot()
            await asyncio.sleep(SNAPSHOT_S)

    async def centre(self) -> None:
        """Answer every batch; say that all is well."""
        context = ssl.create_default_context(cafile=self.broker.folder / "ca.crt")
        context.load_cert_chain(*self.broker.pair(CENTRE))
        async with aiomqtt.Client(
            HOST, self.broker.port, tls_context=context, keepalive=3600, timeout=600
        ) as client:
            await client.subscribe(up_filter(AREA), qos=1)
            alive = asyncio.create_task(self._alive(client))
            try:
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    await self._answer(client, str(message.topic), message.payload)
            finally:
                alive.cancel()

    async def _alive(self, client: aiomqtt.Client) -> None:
        while True:
            await client.publish(ALIVE, encode(Alive(EPOCH, self.wall_ms())), qos=1)
            await asyncio.sleep(ALIVE_S)

    async def _answer(self, client: aiomqtt.Client, topic: str, payload: bytes) -> None:
        said = decode(parse(topic).channel, payload)
        kind = "brief" if isinstance(said, Status) and said.brief else topic.rpartition("/")[2]
        self.messages[kind] += 1
        self.bytes[kind] += len(payload)
        if isinstance(said, EventBatch):
            through, lane = said.first_seq + len(said.events) - 1, Lane.EVENTS
        elif isinstance(said, ReadingBatch):
            through, lane = said.first_seq + len(said.t) - 1, Lane.READINGS
            self.rows += len(said.t)
        else:
            return
        ack = Ack(said.stream, lane, through, EPOCH, self.wall_ms(), said.clock.mono_ms)
        await client.publish(gateway_topic(AREA, GATEWAY, Channel.ACK), encode(ack), qos=1)


def _seen(values: dict[Role, float | None]) -> Snapshot:
    return Snapshot(frozenset(), frozenset(), values=values, raw_status=0)


def written() -> int:
    """Bytes this process has had written to disk so far."""
    return int(Path("/proc/self/io").read_text().split("\nwrite_bytes:")[1].split()[0])


async def _unless_broken(tasks: list[asyncio.Task[None]], seconds: float) -> None:
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        raise RuntimeError("a part ended") from task.exception()


async def live(hours: float, report_s: float, folder: Path) -> dict[str, Any]:
    """One hour to settle, then `hours` that count."""
    broker = Broker(folder)
    try:
        async with chaos_proxy(HOST, broker.port) as proxy:
            life = Life(broker, proxy.port, folder)
            parts: list[Coroutine[Any, Any, None]] = [
                life.recorder.run(), life.centre(), life.publisher.run(), life.look(report_s),
                life.canaries(), life.snapshots(),
            ]  # fmt: skip
            tasks = [asyncio.create_task(part) for part in parts]
            await _unless_broken(tasks, 3600.0)
            up, down, pieces = proxy.carried["up"], proxy.carried["down"], sum(proxy.pieces.values())
            seen, said, rows, disk = dict(life.messages), dict(life.bytes), life.rows, written()
            began = life.loop.time()
            await _unless_broken(tasks, hours * 3600.0)
            lasted = life.loop.time() - began
            month = MONTH_S / lasted / 1e6
            up, down = proxy.carried["up"] - up, proxy.carried["down"] - down
            pieces = sum(proxy.pieces.values()) - pieces
            disk = written() - disk
            assert proxy.accepted == 1, f"{proxy.accepted} connections: time runs too fast for this machine"
            assert life.publisher.connected
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            life.outbox.close()
    finally:
        broker.stop()
    return {
        "uplink_mb_per_month": round((up + down) * month, 2),
        "uplink_mb_per_month_up": round(up * month, 2),
        "uplink_mb_per_month_down": round(down * month, 2),
        "uplink_mb_per_month_with_headers": round((up + down + 2 * HEADERS * pieces) * month, 2),
        "uplink_messages_per_day": {
            kind: round((life.messages[kind] - seen[kind]) * 86_400 / lasted, 1) for kind in seen
        },
        "uplink_payload_mb_per_month": {
            kind: round((life.bytes[kind] - said[kind]) * month, 2) for kind in said
        },
        "readings_per_day": round((life.rows - rows) * 86_400 / lasted),
        "flash_mb_per_day": round(disk * 86_400 / lasted / 1e6, 3),
    }


def month(hours: float, speed: float, report_s: float, beside: Path) -> dict[str, Any]:
    """Measure it; files go to a folder under `beside`, which has to be on a real disk."""
    beside.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=beside, ignore_cleanup_errors=True) as folder:
        loop = FastLoop(speed)
        try:
            return loop.run_until_complete(live(hours, report_s, Path(folder).resolve()))
        finally:
            loop.close()
