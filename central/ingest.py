"""The centre's ear: what gateways say goes to `intake` by lanes, the answers go back.

Events are heard here, readings and heartbeats by connections of their own (`bulk_ear`).

Law of this file: the broker is believed in nothing. Events never wait behind readings, nor a fire behind
other events; a queue that is full drops and counts, for the gateway sends again what is not answered. While
there is no connection the ear does not beat, and so no gateway is taken for silent.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import uuid
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import structlog
from aiomqtt import Client, MqttError, TLSParameters

from central import metrics
from central.bulk_ear import HEARTBEATS, READINGS, BulkEar
from central.config import BrokerSettings
from central.connecting import keep_connected
from central.ending import cancellation_kept, end, together
from central.intake import Answer, Intake, Parcel
from central.lane import Lane
from central.store import configs, gateway_commands, leases
from central.store.epoch import epoch
from central.store.errors import StoreError
from central.store.pool import Store
from mqtt_line.general import entered, told_late
from wire.codec import MAX_BYTES, encode
from wire.messages import URGENT, Alive
from wire.topics import ALIVE, Channel, gateway_topic, up_filter

_log = structlog.get_logger()
LIBRARY_LOG = logging.getLogger("mqtt.events")
LIBRARY_LOG.addFilter(lambda record: not told_late(record))
EVENT_LANES = 4
"""Gateways are spread over so many lanes; within one, and so for each gateway, order is kept."""
URGENT_LANES = 2
"""For batches that begin with smoke, heat or a test: these wait for no backlog, their own or another's."""
EVENT_QUEUE = 500
EVENT_BYTES = 100_000
"""Of payload in one transaction: a fire behind it waits a quarter of a second."""
BEAT_S = 5.0
ALIVE_S = 10.0
CONFIG_S = 15.0
STUCK_S = 20.0
"""A lane that has work and has finished nothing for so long makes no progress: `alive` stops."""
_URGENT_FIRST = re.compile(
    rb'"events"\s*:\s*\[\s*\{[^{}]*"condition"\s*:\s*"(?:%s)"' % b"|".join(sorted(c.encode() for c in URGENT))
)
"""A batch that begins with an urgent event: the edge sends those apart, ahead of all that waits."""


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
        self._nodes = itertools.cycle(broker.nodes)
        self._area = area
        self._others_alive = others_alive
        self._random = random or Random()  # noqa: S311 -- jitter, not a secret
        self._intake = Intake(store)
        self._name = f"smokewatch-central-{area or 'all'}-{uuid.uuid4().hex[:12]}"
        self._lanes: list[Lane] = []
        self.readings = BulkEar(READINGS, self._intake, broker, area, self._random)
        self.heartbeats = BulkEar(HEARTBEATS, self._intake, broker, area, self._random)
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
            and not self.heartbeats.stuck(STUCK_S)
        )

    async def run(self) -> None:
        """Keep hearing until cancelled."""
        events = keep_connected(self._one_connection, "events", self._random)
        await together(events, self.readings.run(), self.heartbeats.run())

    async def _one_connection(self) -> str:
        try:
            await self._hear_once()
        except MqttError as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self.connected = False
            metrics.BROKER_CONNECTED.set(0)
        return "the broker closed the connection"

    async def _hear_once(self) -> None:
        events = [Lane("events", EVENT_QUEUE, EVENT_BYTES) for _ in range(EVENT_LANES)]
        urgent = [Lane("urgent", EVENT_QUEUE, EVENT_BYTES) for _ in range(URGENT_LANES)]
        self._lanes = [*urgent, *events]
        host, port = next(self._nodes)
        async with entered(self._client(host, port)) as client:
            with cancellation_kept():
                granted = await client.subscribe(up_filter(self._area or "+", Channel.EVENTS), qos=1)
            _unless_refused(granted)
            self.connected = True
            metrics.BROKER_CONNECTED.set(1)
            _log.info("broker connected", host=host, port=port)

            async def say(answers: list[Answer]) -> None:
                await asyncio.gather(*(client.publish(topic, payload, qos=1) for topic, payload in answers))

            tasks = [
                *(asyncio.create_task(lane.work(self._intake, say)) for lane in self._lanes),
                asyncio.create_task(self._beat()),
                asyncio.create_task(self._say_alive(client)),
                asyncio.create_task(self._publish_configs(client)),
                asyncio.create_task(self._store.listen("config", self._config_wanted.set)),
                asyncio.create_task(self._hear(client, urgent, events)),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
            finally:
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
        client = Client(
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
            logger=LIBRARY_LOG,
        )
        client.pending_calls_threshold = EVENT_QUEUE * (EVENT_LANES + URGENT_LANES)  # answers go side by side
        return client

    async def _hear(
        self,
        client: Client,
        urgent: list[Lane],
        events: list[Lane],
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
            shard = zlib.crc32(topic.encode("utf-8", "replace"))
            if _URGENT_FIRST.search(parcel.payload):
                urgent[shard % len(urgent)].put(parcel)
            else:
                events[shard % len(events)].put(parcel)

    async def _beat(self) -> None:
        while True:
            if not self.heartbeats.hears:  # no gateway may be taken for silent because we are deaf
                await asyncio.sleep(1.0)
                continue
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
                await self._publish_commands(client)
            except StoreError as error:
                _log.warning("configs wait", error=str(error))
            try:
                async with asyncio.timeout(CONFIG_S):
                    await self._config_wanted.wait()
            except TimeoutError:
                continue

    async def _publish_commands(self, client: Client) -> None:
        async with self._store.transaction() as tx:
            waiting = await gateway_commands.to_publish(tx, self._area)
        for one in waiting:
            topic = gateway_topic(one.area, one.gateway, Channel.COMMAND)
            await client.publish(topic, one.body, qos=1)
            async with self._store.transaction() as tx:
                await gateway_commands.published(tx, one.id)
            _log.info("command published", gateway=one.gateway, id=one.id)


def _unless_refused(granted: Sequence[Any]) -> None:
    """The library takes a refused subscription for a good one: connected, and deaf. Raises MqttError."""
    for code in granted:
        if int(getattr(code, "value", code)) >= 0x80:
            raise MqttError("the broker does not let us hear the gateways: may this user read every area?")
