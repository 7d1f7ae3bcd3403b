"""The centre's ear: one MQTT connection, made again for ever; what it hears goes to `intake` by lanes.

Law of this file: the broker is believed in nothing. Events never wait behind readings, nor a fire behind
other events; a queue that is full drops and counts, for the gateway sends again what is not answered. While
there is no connection the ear does not beat, and so no gateway is taken for silent.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import uuid
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import structlog
from aiomqtt import Client, MqttError, TLSParameters

from central import metrics
from central.config import BrokerSettings
from central.ending import end
from central.intake import Intake, Parcel
from central.store import configs, leases
from central.store.epoch import epoch
from central.store.errors import StoreError
from central.store.pool import Store
from wire.codec import MAX_BYTES, encode
from wire.messages import URGENT, Alive
from wire.topics import ALIVE, Channel, gateway_topic, up_filter

_log = structlog.get_logger()
EVENT_LANES = 4
"""Gateways are spread over so many lanes; within one, and so for each gateway, order is kept."""
URGENT_LANES = 2
"""For batches that begin with smoke, heat or a test: these wait for no backlog, their own or another's."""
READING_LANES = 2
EVENT_QUEUE = 500
READING_QUEUE = 2000
EVENT_BYTES = 100_000
"""Of payload in one transaction: a fire behind it waits a quarter of a second."""
READING_BYTES = 1_000_000
"""Of payload in one transaction: about 20,000 readings."""
STATUS_QUEUE = 5000
BEAT_S = 5.0
ALIVE_S = 10.0
CONFIG_S = 15.0
STUCK_S = 20.0
"""A lane that has work and has finished nothing for so long makes no progress: `alive` stops."""
FIRST_PAUSE_S = 0.3
LONGEST_PAUSE_S = 10.0
_URGENT_FIRST = re.compile(
    rb'"events"\s*:\s*\[\s*\{[^{}]*"condition"\s*:\s*"(?:%s)"' % b"|".join(sorted(c.encode() for c in URGENT))
)
"""A batch that begins with an urgent event: the edge sends those apart, ahead of all that waits."""


class _Lane:
    """A bounded queue, what may be taken from it at once, and the moment of its last progress."""

    def __init__(self, name: str, size: int, most_bytes: int = 0) -> None:
        self.name = name
        self.most_bytes = most_bytes
        self.queue: asyncio.Queue[Parcel] = asyncio.Queue(size)
        self.busy_since: float | None = None

    def put(self, parcel: Parcel) -> None:
        try:
            self.queue.put_nowait(parcel)
        except asyncio.QueueFull:
            metrics.DROPPED.labels(lane=self.name).inc()

    async def take(self) -> list[Parcel]:
        """At least one; of what waits no more than `most_bytes`. The more there is, the less each costs."""
        parcels = [await self.queue.get()]
        size = len(parcels[0].payload)
        while size < self.most_bytes and not self.queue.empty():
            parcels.append(self.queue.get_nowait())
            size += len(parcels[-1].payload)
        return parcels


class Ingest:
    """Hears gateways, stores what they say, answers. Run it with `run`."""

    def __init__(
        self,
        store: Store,
        broker: BrokerSettings,
        *,
        area: str = "",
        others_alive: Callable[[], bool] = lambda: True,
        random: Random | None = None,
    ) -> None:
        """`area` '' hears all; `alive` is said only while `others_alive` (the worker's progress) agrees."""
        self._store = store
        self._broker = broker
        self._nodes = itertools.cycle([(broker.host, broker.port), *broker.also])
        self._area = area
        self._others_alive = others_alive
        self._random = random or Random()  # noqa: S311 -- jitter, not a secret
        self._intake = Intake(store)
        self._name = f"smokewatch-central-{area or 'all'}-{uuid.uuid4().hex[:12]}"
        self._lanes: list[_Lane] = []
        self._config_wanted = asyncio.Event()
        self._beat_at: float | None = None
        self.connected = False
        """Whether the broker lets us hear."""

    @property
    def progressing(self) -> bool:
        """Whether the database takes our beats and no lane with work stands still."""
        now = asyncio.get_running_loop().time()
        return (
            self.connected
            and self._beat_at is not None
            and now - self._beat_at < 2 * BEAT_S + 2
            and all(lane.busy_since is None or now - lane.busy_since < STUCK_S for lane in self._lanes)
        )

    async def run(self) -> None:
        """Keep hearing until cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._one_connection()
                why = "the broker closed the connection"
            except Exception as error:  # noqa: BLE001 -- whatever it is, the next connection is tried
                why = f"{type(error).__name__}: {error}"
                if not isinstance(error, MqttError | OSError):
                    _log.error("ingest failed", exc_info=error)
            finally:
                self.connected = False
                metrics.BROKER_CONNECTED.set(0)
            _unless_cancelled()
            if asyncio.get_running_loop().time() - began > 20:
                pause = FIRST_PAUSE_S
            _log.warning("broker lost", why=why, pause_s=round(pause, 1))
            await asyncio.sleep(pause * self._random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _one_connection(self) -> None:
        events = [_Lane("events", EVENT_QUEUE, EVENT_BYTES) for _ in range(EVENT_LANES)]
        urgent = [_Lane("urgent", EVENT_QUEUE, EVENT_BYTES) for _ in range(URGENT_LANES)]
        readings = [_Lane("readings", READING_QUEUE, READING_BYTES) for _ in range(READING_LANES)]
        status = _Lane("status", STATUS_QUEUE)
        self._lanes = [*urgent, *events, *readings, status]
        host, port = next(self._nodes)
        async with self._client(host, port) as client:
            granted = await client.subscribe(up_filter(self._area or "+"), qos=1)
            _unless_cancelled()
            _unless_refused(granted)
            self.connected = True
            metrics.BROKER_CONNECTED.set(1)
            _log.info("broker connected", host=host, port=port)
            tasks = [
                *(asyncio.create_task(self._work(client, lane)) for lane in self._lanes),
                asyncio.create_task(self._beat()),
                asyncio.create_task(self._say_alive(client)),
                asyncio.create_task(self._publish_configs(client)),
                asyncio.create_task(self._store.listen("config", self._config_wanted.set)),
                asyncio.create_task(self._hear(client, urgent, events, readings, status)),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
            finally:
                self.connected = False
                await end(tasks)

    def _client(self, host: str, port: int) -> Client:
        broker = self._broker
        tls = None
        if broker.tls:
            tls = TLSParameters(
                ca_certs=str(broker.ca_file) if broker.ca_file else None,
                certfile=str(broker.cert_file) if broker.cert_file else None,
                keyfile=str(broker.key_file) if broker.key_file else None,
            )
        return Client(
            host,
            port,
            username=broker.username,
            password=broker.password,
            identifier=self._name,
            clean_session=True,
            keepalive=10,
            timeout=10,
            tls_params=tls,
            max_queued_incoming_messages=20_000,
        )

    async def _hear(
        self,
        client: Client,
        urgent: list[_Lane],
        events: list[_Lane],
        readings: list[_Lane],
        status: _Lane,
    ) -> None:
        clock = asyncio.get_running_loop().time
        largest = max(MAX_BYTES.values())
        async for message in client.messages:
            topic = message.topic.value
            payload = message.payload if isinstance(message.payload, bytes) else b""
            if len(payload) > 4 * largest:
                metrics.DROPPED.labels(lane="oversized").inc()
            # Cut, it is still too big for its channel: the codec refuses it, with the reason on record.
            parcel = Parcel(topic, payload[: 4 * largest], bool(message.retain), clock())
            lane = topic.rpartition("/")[2]
            shard = zlib.crc32(topic.encode("utf-8", "replace"))
            if lane == "readings":
                readings[shard % len(readings)].put(parcel)
            elif lane == "status":
                status.put(parcel)
            elif _URGENT_FIRST.search(parcel.payload):
                urgent[shard % len(urgent)].put(parcel)
            else:
                events[shard % len(events)].put(parcel)

    async def _work(self, client: Client, lane: _Lane) -> None:
        clock = asyncio.get_running_loop().time
        # An answer about readings that is lost costs one repeat, a receipt for each would cost more.
        qos = 0 if lane.name == "readings" else 1
        while True:
            parcels = await lane.take()
            lane.busy_since = clock()
            answers = await self._intake.take(parcels)
            lane.busy_since = None
            await asyncio.gather(*(client.publish(topic, payload, qos=qos) for topic, payload in answers))

    async def _beat(self) -> None:
        while True:
            try:
                async with self._store.transaction() as tx:
                    lost = await leases.beat(tx, self._area)
                self._beat_at = asyncio.get_running_loop().time()
                if lost:
                    _log.warning("nobody listened", seconds=lost.total_seconds())
            except StoreError as error:
                _log.warning("no beat", error=str(error))
            await asyncio.sleep(BEAT_S)

    async def _say_alive(self, client: Client) -> None:
        while True:
            if self.progressing and self._others_alive():
                try:
                    async with self._store.transaction() as tx:
                        alive = Alive(epoch=await epoch(tx), server_ms=round(tx.now.timestamp() * 1000))
                except StoreError as error:
                    _log.warning("not alive", error=str(error))
                else:
                    await client.publish(ALIVE, encode(alive), qos=1)
                    await asyncio.sleep(ALIVE_S)
                    continue
            await asyncio.sleep(1.0)

    async def _publish_configs(self, client: Client) -> None:
        while True:
            self._config_wanted.clear()
            try:
                async with self._store.transaction() as tx:
                    waiting = await configs.to_publish(tx, self._area)
                for wanted in waiting:
                    topic = gateway_topic(wanted.area, wanted.gateway, Channel.CONFIG)
                    await client.publish(topic, wanted.body, qos=1, retain=True)
                    async with self._store.transaction() as tx:
                        await configs.published(tx, wanted.gateway, wanted.version)
                    _log.info("config published", gateway=wanted.gateway, version=wanted.version)
            except StoreError as error:
                _log.warning("configs wait", error=str(error))
            try:
                async with asyncio.timeout(CONFIG_S):
                    await self._config_wanted.wait()
            except TimeoutError:
                continue


def _unless_refused(granted: Sequence[Any]) -> None:
    """The library takes a refused subscription for a good one: connected, and deaf. Raises MqttError."""
    for code in granted:
        if int(getattr(code, "value", code)) >= 0x80:
            raise MqttError("the broker does not let us hear the gateways: may this user read every area?")


def _unless_cancelled() -> None:
    """Notice a cancellation that the MQTT library swallowed."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
