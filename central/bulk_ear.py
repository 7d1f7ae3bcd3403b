"""What comes in bulk, readings or heartbeats, heard over a connection of its own, stored, answered.

Law of this file: no fire waits behind it. What cannot be stored as fast as it comes is left with the broker
and the gateways, which hold their readings until they are answered; nothing is dropped here.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import structlog

from central import metrics
from central.config import BrokerSettings
from central.connecting import keep_connected
from central.ending import end
from central.intake import Answer, Intake, Parcel
from central.lane import Lane
from mqtt_line.line import Broker, Line, LineError, open_line
from wire.codec import MAX_BYTES
from wire.topics import Channel, up_filter

_log = structlog.get_logger()
GATHER_S = 0.25
"""How long a message waits for others when there are few, so that they share a transaction."""
MOST_HELD_BYTES = 16_000_000
"""So much waits in memory, then the broker is not read any more until half of it is stored."""
_QUEUE = 1_000_000


@dataclass(frozen=True, slots=True)
class Bulk:
    """What is heard, and how."""

    channel: Channel
    qos: int
    """Of what is heard and of the answers."""
    lanes: int
    """Gateways are spread over so many, each with a transaction under way; within one, order is kept."""
    at_once_bytes: int
    """Of payload in one transaction."""

    @property
    def name(self) -> str:
        """For logs and figures."""
        return self.channel.name.lower()


READINGS = Bulk(Channel.READINGS, qos=0, lanes=3, at_once_bytes=1_000_000)
"""About 20,000 in a transaction. A lost answer costs one repeat, a receipt for each would cost more."""
HEARTBEATS = Bulk(Channel.STATUS, qos=1, lanes=2, at_once_bytes=250_000)
"""About 1,000 in a transaction. The broker keeps them while we are slow: a dropped one looks like silence."""


class BulkEar:
    """Hears one kind of all gateways, or of one area's. Run it with `run`."""

    def __init__(self, kind: Bulk, intake: Intake, broker: BrokerSettings, area: str, random: Random) -> None:
        self._kind = kind
        self._intake = intake
        self._broker = broker
        self._nodes = itertools.cycle(broker.nodes)
        self._filter = up_filter(area or "+", kind.channel)
        self._largest = 4 * MAX_BYTES[kind.channel]
        self._random = random
        self._name = f"smokewatch-{kind.name}-{area or 'all'}-{uuid.uuid4().hex[:12]}"
        self._lanes: list[Lane] = []
        self._line: Line | None = None
        self._clock: Callable[[], float] = lambda: 0.0
        self.deaf = False
        """Whether the broker is not read at present: too much waits."""
        self.connected = False
        """Whether the broker lets us hear."""

    async def run(self) -> None:
        """Keep hearing until cancelled."""
        await keep_connected(self._one_connection, self._kind.name, self._random)

    @property
    def hears(self) -> bool:
        """Whether what is said now is heard now."""
        return self.connected and not self.deaf

    def stuck(self, longer_than_s: float) -> bool:
        """Whether a lane has had work for so long and has finished nothing."""
        now = self._clock()
        return any(
            lane.busy_since is not None and now - lane.busy_since > longer_than_s for lane in self._lanes
        )

    async def _one_connection(self) -> str:
        self._clock = asyncio.get_running_loop().time
        kind = self._kind
        turn = asyncio.Lock()
        self._lanes = [Lane(kind.name, _QUEUE, kind.at_once_bytes, GATHER_S, turn) for _ in range(kind.lanes)]
        self.deaf = False
        try:
            where = self._where(*next(self._nodes))
            line = await open_line(where, self._name, [(self._filter, kind.qos)], self._heard)
        except LineError as error:
            return str(error)
        self._line = line
        tasks = [
            *(asyncio.create_task(lane.work(self._intake, self._say)) for lane in self._lanes),
            asyncio.create_task(line.keep_alive()),
        ]
        self.connected = True
        _log.info("broker connected", of=kind.name, host=where.host, port=where.port)
        try:
            ended: list[asyncio.Future[Any]] = [*tasks, line.lost]
            done, _ = await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
            for one in done - {line.lost}:
                await one
            return await line.lost
        finally:
            self.connected = False
            self._line = None
            try:
                await end(tasks)
            finally:  # whoever is in a hurry cancels again
                await line.close()

    def _where(self, host: str, port: int) -> Broker:
        broker = self._broker
        context = None
        if broker.tls:
            context = ssl.create_default_context(cafile=str(broker.ca_file) if broker.ca_file else None)
            if broker.cert_file:
                context.load_cert_chain(broker.cert_file, broker.key_file)
        return Broker(host, port, broker.username, broker.password, context)

    def _heard(self, topic: bytes, payload: bytes, retained: bool) -> None:
        if len(payload) > self._largest:
            metrics.DROPPED.labels(lane="oversized").inc()
        # Cut, it is still too big for its channel: the codec refuses it, with the reason on record.
        name = topic.decode("utf-8", "replace")
        parcel = Parcel(name, payload[: self._largest], retained, self._clock())
        self._lanes[zlib.crc32(topic) % self._kind.lanes].put(parcel)
        if not self.deaf and self.held_bytes >= MOST_HELD_BYTES:
            self._listen(False)

    async def _say(self, answers: list[Answer]) -> None:
        if self._line is not None:
            for topic, payload in answers:
                self._line.say(topic.encode(), payload, self._kind.qos, False)
            self._line.flush()
        if self.deaf and self.held_bytes < MOST_HELD_BYTES // 2:
            self._listen(True)

    @property
    def held_bytes(self) -> int:
        """What waits in memory."""
        return sum(lane.held_bytes for lane in self._lanes)

    def _listen(self, wanted: bool) -> None:
        if self._line is not None:
            self.deaf = not wanted
            self._line.listen(wanted)
