"""The agent's line to the centre: one MQTT connection, made again for ever.

Law of this file: nothing ends the loop, and the broker is believed in nothing: only the centre's own answer
makes an event forgotten. Urgent events go out at once, other events before readings, and at most one message
of each of these two kinds waits for the broker, so that an alarm never queues behind more than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any

import structlog
from aiomqtt import Client, Message, MqttError, Will

from edge_agent.clock import Clock
from edge_agent.config import MqttSettings
from edge_agent.lanes import EventLane, Parcel, ReadingLane, Stamps
from edge_agent.orders import Orders
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from edge_agent.readings import Readings
from edge_agent.tls import LastWord, TlsError, context_of, plain_words
from wire.codec import decode, decode_alive, encode
from wire.errors import LocalError, RemoteError
from wire.messages import Ack, Command, GatewayConfig, Lane, Status
from wire.topics import ALIVE, Channel, down_filter, gateway_topic, parse

HEARTBEAT_S = 30.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 20.0
"""A connection that lasted this long was a good one: the next pause is the first again."""
CONFIRM_S = 20.0
"""A broker that does not confirm a message within this time is left and called again."""
GOODBYE_S = 2.0
LOOK_AGAIN_S = 0.5
"""How often unanswered batches are looked at when nothing else happens."""


class Publisher:
    """Sends what outbox and buffer hold, hears what the centre says. Run it with `run`."""

    def __init__(
        self,
        settings: MqttSettings,
        area: str,
        gateway: str,
        outbox: Outbox,
        readings: Readings,
        clock: Clock,
        status: Callable[[], Status],
        on_config: Callable[[GatewayConfig], Awaitable[object]],
        on_command: Callable[[Command], Awaitable[object]],
        on_snapshot_wanted: Callable[[], Awaitable[object]],
        *,
        random: Random | None = None,
    ) -> None:
        self._settings = settings
        self._area = area
        self._gateway = gateway
        self._clock = clock
        self._status = status
        self._random = Random() if random is None else random  # noqa: S311 -- jitter, not a secret
        stamps = Stamps(clock)
        self._events = EventLane(outbox, clock, stamps)
        self._readings = ReadingLane(readings, clock, stamps)
        self._orders = Orders(outbox, clock, on_config, on_command, on_snapshot_wanted)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._beat = asyncio.Event()
        self._backlog_on_line = False
        self._readings_on_line = False
        self._told: str | None = None
        self._log = structlog.get_logger()
        self.connected = False
        """Whether the broker has let us in; says nothing about the centre."""
        self.alive_at: float | None = None
        """When the centre last said that it works, in seconds of the monotonic clock."""

    def wake(self) -> None:
        """Something was recorded: send it now. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    def report(self) -> None:
        """Something in the status changed: send it now. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._beat.set)

    async def run(self) -> None:
        """Keep the line up until cancelled; then say goodbye."""
        self._loop = asyncio.get_running_loop()
        orders = asyncio.create_task(self._orders.run())
        pause = FIRST_PAUSE_S
        try:
            while True:
                began = self._clock.mono_s()
                why = await _alone(self._one_connection())
                self.connected = False
                if self._clock.mono_s() - began >= STEADY_S:
                    pause = FIRST_PAUSE_S
                self._tell(why)
                await asyncio.sleep(pause * self._random.uniform(0.5, 1.0))
                pause = min(pause * 2, LONGEST_PAUSE_S)
        finally:
            self.connected = False
            orders.cancel()
            await asyncio.gather(orders, return_exceptions=True)

    # -- one connection

    async def _one_connection(self) -> str:
        """Until it breaks; returns why."""
        why = "the broker closed the connection"
        socket_said = LastWord()
        try:
            tls = await asyncio.to_thread(context_of, self._settings)
            async with self._client(tls, socket_said) as client:
                await self._talk(client)
        except* Exception as group:  # noqa: BLE001 -- whatever it is, the next connection is tried
            first: BaseException = group
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            why = self._plainly(first, socket_said.error)
            if not isinstance(first, MqttError | OSError | TlsError) and why != self._told:
                self._log.exception("uplink_error", exc_info=first)
        return why

    def _plainly(self, error: BaseException, on_socket: OSError | None) -> str:
        """Why there is no connection, in words that name the mend where one is known."""
        if isinstance(error, TlsError):
            return str(error)
        # The library hides the cause: before the handshake's end behind its own error, after it in its log.
        cause = error.__context__ if isinstance(error.__context__, ssl.SSLError) else on_socket
        if cause is None or not isinstance(error, MqttError):
            return f"{type(error).__name__}: {error}"
        return plain_words(cause, self._settings) or f"{type(cause).__name__}: {cause}"

    def _client(self, tls: ssl.SSLContext | None, socket_said: LastWord) -> Client:
        settings = self._settings
        here = self._status()
        client = Client(
            settings.host,
            settings.port,
            username=settings.username,
            password=settings.password,
            identifier=f"smokewatch-edge-{self._area}-{self._gateway}",
            clean_session=True,
            keepalive=settings.keepalive_s,
            will=Will(
                self._topic(Channel.STATUS),
                encode(Status(online=False, boot=here.boot, version=here.version)),
                qos=1,
                retain=True,
            ),
            tls_context=tls,
            logger=socket_said.logger(),
        )
        client.pending_calls_threshold = 1000
        return client

    async def _talk(self, client: Client) -> None:
        await client.subscribe([(down_filter(self._area, self._gateway), 1), (ALIVE, 1)])
        _end_if_cancelled()
        self.connected = True
        self._tell(None)
        self._backlog_on_line = self._readings_on_line = False
        self._events.sender.reconnected()
        self._readings.sender.reconnected()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._heartbeat(client, group))
                group.create_task(self._listen(client))
                group.create_task(self._send(client, group))
        except asyncio.CancelledError:
            with contextlib.suppress(MqttError, TimeoutError):
                goodbye = encode(Status(online=False, boot=self._clock.boot))
                await client.publish(
                    self._topic(Channel.STATUS), goodbye, qos=1, retain=True, timeout=GOODBYE_S
                )
            raise

    async def _heartbeat(self, client: Client, group: asyncio.TaskGroup) -> None:
        while True:
            self._beat.clear()
            try:
                payload = encode(self._status())
            except LocalError as error:
                # A heartbeat that says little is better than a silence that wakes the street.
                self._log.error("status_refused", why=str(error))
                payload = encode(Status(online=True, boot=self._clock.boot))
            group.create_task(self._put_status(client, payload))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._beat.wait()

    async def _put_status(self, client: Client, payload: bytes) -> None:
        await client.publish(self._topic(Channel.STATUS), payload, qos=1, retain=True, timeout=CONFIRM_S)

    # -- up

    async def _send(self, client: Client, group: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            await self._events.refresh()
            parcel = await self._events.next(backlog_may_go=not self._backlog_on_line)
            if parcel is not None:
                group.create_task(self._put(client, Channel.EVENTS, parcel))
                self._backlog_on_line = self._backlog_on_line or not parcel.urgent
                continue
            may_go = not (self._readings_on_line or self._events.behind)
            if may_go and (parcel := await self._readings.next()) is not None:
                self._readings_on_line = True
                group.create_task(self._put(client, Channel.READINGS, parcel))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._wake.wait()

    async def _put(self, client: Client, channel: Channel, parcel: Parcel) -> None:
        await client.publish(self._topic(channel), parcel.payload, qos=1, timeout=CONFIRM_S)
        if channel is Channel.READINGS:
            self._readings_on_line = False
        elif not parcel.urgent:
            self._backlog_on_line = False
        self._wake.set()

    # -- down

    async def _listen(self, client: Client) -> None:
        async for message in client.messages:
            try:
                await self._hear(message)
            except RemoteError as error:
                self._log.warning("message_refused", topic=str(message.topic), why=str(error))
            except StorageError as error:
                # What could not be forgotten now is forgotten with the next answer.
                self._log.error("outbox_refused", why=str(error))

    async def _hear(self, message: Message) -> None:
        topic, payload = str(message.topic), message.payload
        if not isinstance(payload, bytes):
            return
        if topic == ALIVE:
            await self._hear_alive(payload, retained=message.retain)
            return
        channel = parse(topic).channel
        said = decode(channel, payload)
        if isinstance(said, GatewayConfig):
            self._orders.take(said)
        elif message.retain:
            # An answer or an order of another time: whoever kept it had no right to.
            self._log.warning("retained_message_ignored", topic=topic)
        elif isinstance(said, Command):
            self._orders.take(said)
        elif isinstance(said, Ack):
            await self._hear_ack(said)

    async def _hear_alive(self, payload: bytes, *, retained: bool) -> None:
        alive = decode_alive(payload)
        if retained:
            return  # proof of a life long past
        self.alive_at = self._clock.mono_s()
        self._readings.sender.on_epoch(alive.epoch)
        if await self._events.on_epoch(alive.epoch):
            self._log.warning("epoch_changed", epoch=alive.epoch)
            self._orders.want_snapshot()

    async def _hear_ack(self, ack: Ack) -> None:
        if ack.lane is Lane.EVENTS:
            outcome = await self._events.on_ack(ack)
        else:
            outcome = await self._readings.on_ack(ack)
        if outcome.answered and ack.echo_ms is not None:
            self._clock.heard_server(ack.server_ms, ack.echo_ms)
        if outcome.snapshot or (outcome.new_stream and ack.lane is Lane.EVENTS):
            self._orders.want_snapshot()
        self._wake.set()

    # -- small things

    def _topic(self, channel: Channel) -> str:
        return gateway_topic(self._area, self._gateway, channel)

    def _tell(self, trouble: str | None) -> None:
        """Log the change, not the try."""
        if trouble == self._told:
            return
        if trouble is None:
            self._log.info("uplink_up", host=self._settings.host, port=self._settings.port)
        else:
            self._log.warning("uplink_down", host=self._settings.host, why=trouble)
        self._told = trouble


async def _alone(connection: Coroutine[Any, Any, str]) -> str:
    """Run it in a task of its own: a cancellation of ours is neither lost in it nor taken for its end.

    Until Python 3.12 `asyncio.wait_for`, which aiomqtt waits with, may swallow a cancellation, and a
    TaskGroup leaves its own one counted.
    """
    task = asyncio.create_task(connection)
    try:
        await asyncio.wait({task})
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=GOODBYE_S)
    return "cancelled from within" if task.cancelled() else task.result()


def _end_if_cancelled() -> None:
    """Before work is begun that would not notice a swallowed cancellation."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
