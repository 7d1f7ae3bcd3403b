"""A centre in one class for tests of the agent: takes what comes over a real broker, stores it, answers."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator

import aiomqtt

from central.ending import end
from wire.codec import decode, encode, event_digest
from wire.delivery import take_events, take_readings
from wire.messages import (
    Ack,
    Alive,
    Command,
    Event,
    EventBatch,
    EventKind,
    GatewayConfig,
    Lane,
    ReadingBatch,
    Status,
)
from wire.topics import ALIVE, Channel, gateway_topic, parse, up_filter


class Centre:
    """What one gateway's agent has said, and the means to say something back."""

    def __init__(self, client: aiomqtt.Client, area: str, gateway: str) -> None:
        self._client = client
        self._address = (area, gateway)
        self.epoch = uuid.uuid4().hex
        self.answering = True
        self.stored: dict[tuple[str, int], Event] = {}
        self.cursors: dict[str, int] = {}
        self.repeated = 0
        self.conflicts = 0
        self.statuses: list[Status] = []
        self.readings = 0

    @property
    def events(self) -> list[Event]:
        """Everything stored, each once, by stream and seq."""
        return [self.stored[key] for key in sorted(self.stored)]

    def of_kind(self, kind: EventKind, detector: str | None = None) -> list[Event]:
        """Stored events of one kind, of one detector if given."""
        return [e for e in self.events if e.kind is kind and detector in (None, e.detector)]

    @property
    def status(self) -> Status | None:
        """The last whole heartbeat: a brief one may come right behind it."""
        return next((said for said in reversed(self.statuses) if not said.brief), None)

    async def push(self, config: GatewayConfig) -> None:
        """Publish a configuration, retained as the centre does."""
        topic = gateway_topic(*self._address, Channel.CONFIG)
        await self._client.publish(topic, encode(config), qos=1, retain=True)

    async def order(self, command: Command) -> None:
        """Publish a command."""
        await self._client.publish(gateway_topic(*self._address, Channel.COMMAND), encode(command), qos=1)

    async def live(self, every_s: float = 0.5) -> None:
        """Say again and again that all works, until cancelled."""
        while True:
            alive = Alive(epoch=self.epoch, server_ms=int(time.time() * 1000))
            await self._client.publish(ALIVE, encode(alive), qos=1)
            await asyncio.sleep(every_s)

    async def listen(self) -> None:
        """Take messages until cancelled."""
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            said = decode(parse(str(message.topic)).channel, message.payload)
            if isinstance(said, EventBatch):
                await self._take_events(said)
            elif isinstance(said, ReadingBatch):
                await self._take_readings(said)
            elif isinstance(said, Status):
                self.statuses.append(said)

    async def _take_events(self, batch: EventBatch) -> None:
        cursor = self.cursors.get(batch.stream, 0)
        digests = {seq: event_digest(e) for (stream, seq), e in self.stored.items() if stream == batch.stream}
        taken = take_events(cursor, digests, batch)
        self.repeated += len(batch.events) - len(taken.new)
        self.conflicts += len(taken.conflicts)
        if not self.answering:
            return
        for event in taken.new:
            self.stored[batch.stream, event.seq] = event
        self.cursors[batch.stream] = taken.cursor
        await self._answer(batch.stream, Lane.EVENTS, taken.cursor, batch.clock.mono_ms)

    async def _take_readings(self, batch: ReadingBatch) -> None:
        taken = take_readings(self.cursors.get(batch.stream, 0), batch)
        self.readings += len(batch.t) - taken.skip
        self.cursors[batch.stream] = taken.cursor
        await self._answer(batch.stream, Lane.READINGS, taken.cursor, batch.clock.mono_ms)

    async def _answer(self, stream: str, lane: Lane, through: int, echo_ms: int) -> None:
        ack = Ack(
            stream=stream,
            lane=lane,
            through_seq=through,
            epoch=self.epoch,
            server_ms=int(time.time() * 1000),
            echo_ms=echo_ms,
        )
        await self._client.publish(gateway_topic(*self._address, Channel.ACK), encode(ack), qos=1)


@contextlib.asynccontextmanager
async def centre(host: str, port: int, area: str, gateway: str) -> AsyncIterator[Centre]:
    """A centre that listens on the broker at `host:port`."""
    async with aiomqtt.Client(host, port) as client:
        await client.subscribe(up_filter(area), qos=1)
        one = Centre(client, area, gateway)
        task = asyncio.create_task(one.listen())
        try:
            yield one
        finally:
            await end([task])
