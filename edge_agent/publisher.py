"""The agent's line to the centre: one MQTT connection, made again for ever.

Law of this file: nothing ends the loop, and the broker is believed in nothing: only the centre's own answer
makes an event forgotten. Urgent events go out at once, other events before readings, and at most one message
of each of these two kinds waits for the broker, so that an alarm never queues behind more than that; how fast
these follow each other is bounded besides. In quiet times little is sent: mobile data is paid for.
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

from edge_agent.beat import Beat
from edge_agent.clock import Clock
from edge_agent.config import MqttSettings
from edge_agent.lanes import EventLane, Parcel, ReadingLane, Stamps
from edge_agent.orders import Orders
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from edge_agent.pace import Pace
from edge_agent.readings import Readings
from edge_agent.tls import LastWord, TlsError, context_of, plain_words
from edge_agent.turning import Turning
from edge_agent.ways import Ways, burning_pause
from mqtt_line.general import entered
from wire.codec import decode, decode_alive, encode
from wire.errors import LocalError, RemoteError
from wire.messages import Ack, Command, GatewayConfig, Lane, Status
from wire.sender import Range
from wire.topics import ALIVE, Channel, down_filter, gateway_topic, parse

HEARTBEAT_S = 30.0
CONFIRM_S = 20.0
"""A broker that does not confirm a message within this time is left and called again."""
GOODBYE_S = 2.0
LOOK_AGAIN_S = 0.5
"""How often unanswered batches are looked at when nothing else happens."""
AWAY_S = 25.0
"""A centre that said nothing for longer (it should every 10 s) was away."""
FULL_ROWS = 120
"""So many readings are worth a message at any time."""
FRESH_S = 60.0
BURNING_S = 600.0
"""After a connection, and after something urgent, readings are wanted as they come."""


class UnheardError(Exception):
    """The broker lets us in, but the centre is not heard there."""


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
        on_acknowledged: Callable[[str, int], Awaitable[object]] | None = None,
        random: Random | None = None,
    ) -> None:
        self._settings = settings
        self._ways = Ways(len(settings.ways))
        self._area = area
        self._gateway = gateway
        self._clock = clock
        self._status = status
        self._random = Random() if random is None else random  # noqa: S311 -- jitter, not a secret
        self._on_acknowledged = on_acknowledged
        stamps = Stamps(clock)
        self._events = EventLane(outbox, clock, stamps)
        self._readings = ReadingLane(readings, clock, stamps)
        self._buffer = readings
        self._backlog_pace = Pace(settings.backlog_kb_s * 1000)
        self._readings_pace = Pace(settings.readings_kb_s * 1000)
        self._readings_at = 0.0
        self._hurry_until = 0.0
        self._heartbeats = Beat()
        self._orders = Orders(outbox, clock, on_config, on_command, on_snapshot_wanted)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._beat = asyncio.Event()
        self._backlog_on_line = False
        self._readings_on_line = False
        self._told: dict[str, str] = {}
        self._strangers: set[str] = set()
        self._heard_at = 0.0
        self._up_at: float | None = None
        self._log = structlog.get_logger()
        self.connected = False
        """Whether the broker has let us in; says nothing about the centre."""
        self.turning = {"uplink": Turning(clock.mono_s), "orders": self._orders.turning}
        """The uplink comes round with every try to connect, and twice a second while connected."""
        self.acks = 0
        """Acknowledgements heard since the start."""
        self.alive_at: float | None = None
        """When the centre last said that it works, in seconds of the monotonic clock."""
        self.on_stored: Callable[[str, Range], None] = lambda _stream, _rows: None
        """Hears of events for which the centre has answered: their stream and numbers."""

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
        try:
            while True:
                self._up_at = None
                self.turning["uplink"].turned()
                self._ways.began(self._clock.mono_s())
                way = self._settings.ways[self._ways.current]
                why, unheard = await _alone(self._one_connection(way))
                self.connected = False
                self._tell(way, why)
                await self._rest(self._pause_s(unheard=unheard))
        finally:
            self.connected = False
            orders.cancel()
            await asyncio.gather(orders, return_exceptions=True)

    async def _rest(self, pause_s: float) -> None:
        """Wait before the next try; a fire that waits to be told makes it short, also one seen meanwhile."""
        began = self._clock.mono_s()
        while True:
            self._wake.clear()
            fire_at = await self._events.fire_at()
            now = self._clock.mono_s()
            left_s = began + burning_pause(pause_s, None if fire_at is None else now - fire_at) - now
            if left_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._wake.wait()

    def _pause_s(self, *, unheard: bool) -> float:
        now = self._clock.mono_s()
        if unheard:
            self._ways.unheard()
        lasted_s = 0.0 if self._up_at is None else now - self._up_at
        worked = self._up_at is not None and not unheard
        return self._ways.ended(now, lasted_s, worked=worked, jitter=self._random.random())

    # -- one connection

    async def _one_connection(self, way: MqttSettings) -> tuple[str, bool]:
        """Until it breaks; returns why, and whether it was left for want of the centre."""
        why, unheard = "the broker closed the connection", False
        socket_said = LastWord()
        try:
            tls = await asyncio.to_thread(context_of, way)
            async with entered(self._client(way, tls, socket_said)) as client:
                await self._talk(client, way)
        except* Exception as group:  # noqa: BLE001 -- whatever it is, the next connection is tried
            # In a frame of its own: an error that this one kept would hold this one, and so the socket.
            why, unheard = self._ended_by(group, socket_said.error, way)
        return why, unheard

    def _ended_by(
        self, group: BaseException, on_socket: OSError | None, way: MqttSettings
    ) -> tuple[str, bool]:
        first = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        why = self._plainly(first, on_socket, way)
        foreseen = isinstance(first, MqttError | OSError | TlsError | UnheardError)
        if not foreseen and why != self._told.get(str(way)):
            self._log.exception("uplink_error", exc_info=first)
        return why, isinstance(first, UnheardError)

    def _plainly(self, error: BaseException, on_socket: OSError | None, way: MqttSettings) -> str:
        """Why there is no connection, in words that name the mend where one is known."""
        if isinstance(error, TlsError | UnheardError):
            return str(error)
        # The library hides the cause: before the handshake's end behind its own error, after it in its log.
        cause = error.__context__ if isinstance(error.__context__, ssl.SSLError) else on_socket
        if cause is None or not isinstance(error, MqttError):
            return f"{type(error).__name__}: {error}"
        return plain_words(cause, way) or f"{type(cause).__name__}: {cause}"

    def _client(self, way: MqttSettings, tls: ssl.SSLContext | None, socket_said: LastWord) -> Client:
        here = self._status()
        client = Client(
            way.host,
            way.port,
            transport="websockets" if way.transport == "websocket" else "tcp",
            websocket_path=way.path if way.transport == "websocket" else None,
            username=way.username,
            password=way.password,
            identifier=f"smokewatch-edge-{self._area}-{self._gateway}",
            clean_session=True,
            keepalive=way.keepalive_s,
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

    async def _talk(self, client: Client, way: MqttSettings) -> None:
        # `alive` comes every 10 s for ever: one that is lost is made up for by the next, a receipt for each
        # would cost 7 MB a month.
        await client.subscribe([(down_filter(self._area, self._gateway), 1), (ALIVE, 0)])
        _end_if_cancelled()
        self.connected = True
        self._tell(way, None)
        self._up_at = self._heard_at = self._clock.mono_s()
        self._hurry_until = max(self._hurry_until, self._up_at + FRESH_S)
        self._heartbeats.whole()
        self._backlog_on_line = self._readings_on_line = False
        self._events.sender.reconnected()
        self._readings.sender.reconnected()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._heartbeat(client, group))
                group.create_task(self._listen(client))
                group.create_task(self._expect_centre(way))
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
                status = self._heartbeats.of(self._status(), self._clock.mono_s())
                payload = encode(status)
            except LocalError as error:
                # A heartbeat that says little is better than a silence that wakes the street.
                self._log.error("status_refused", why=str(error))
                status = Status(online=True, boot=self._clock.boot)
                payload = encode(status)
            # A brief one must not take the place of the whole one that the broker keeps.
            group.create_task(self._put_status(client, payload, retain=not status.brief))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._beat.wait()

    async def _put_status(self, client: Client, payload: bytes, *, retain: bool) -> None:
        await client.publish(self._topic(Channel.STATUS), payload, qos=1, retain=retain, timeout=CONFIRM_S)

    async def _expect_centre(self, way: MqttSettings) -> None:
        """Leave this way when the centre is not heard on it and there is another to try."""
        while (patience_s := self._ways.patience_s) is not None:
            if self._clock.mono_s() - self._heard_at >= patience_s:
                raise UnheardError(
                    f"the broker {way} lets us in, but the centre was not heard there: "
                    "see that the centre runs and is connected to this broker"
                )
            await asyncio.sleep(1.0)

    # -- up

    async def _send(self, client: Client, group: asyncio.TaskGroup) -> None:
        while True:
            self.turning["uplink"].turned()
            self._wake.clear()
            await self._events.refresh()
            now = self._clock.mono_s()
            wait_s = self._backlog_pace.wait_s(now)
            parcel = await self._events.next(backlog_may_go=not (self._backlog_on_line or wait_s))
            if parcel is not None:
                group.create_task(self._put(client, Channel.EVENTS, parcel))
                if parcel.urgent:
                    self._hurry_until = now + BURNING_S
                else:
                    self._backlog_on_line = True
                    self._backlog_pace.spent(len(parcel.payload))
                continue
            readings_wait_s = self._readings_pace.wait_s(now)
            held_back = self._readings_on_line or self._events.behind or readings_wait_s
            if not held_back and self._readings_due(now):
                parcel = await self._readings.next()
                if parcel is not None:
                    self._readings_at = now
                    self._readings_on_line = True
                    self._readings_pace.spent(len(parcel.payload))
                    group.create_task(self._put(client, Channel.READINGS, parcel))
                    continue
            held_s = min(w for w in (wait_s, readings_wait_s, LOOK_AGAIN_S) if w)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(held_s):
                    await self._wake.wait()

    def _readings_due(self, now: float) -> bool:
        """Whether readings that wait are worth a message now."""
        return (
            now < self._hurry_until
            or self._buffer.depth >= FULL_ROWS
            or now - self._readings_at >= self._settings.readings_every_s
        )

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
        before, self.alive_at = self.alive_at, self._clock.mono_s()
        self._heard_at = self.alive_at
        self._ways.heard()
        if before is None or self.alive_at - before > AWAY_S:
            self._say_all()  # what was said meanwhile, the centre may not have heard
        self._readings.sender.on_epoch(alive.epoch)
        if await self._events.on_epoch(alive.epoch):
            self._log.warning("epoch_changed", epoch=alive.epoch)
            self._orders.want_snapshot()
            self._say_all()  # another database does not know what we last said

    def _say_all(self) -> None:
        self._heartbeats.whole()
        self._beat.set()

    async def _hear_ack(self, ack: Ack) -> None:
        self.acks += 1
        if ack.lane is Lane.EVENTS:
            outcome = await self._events.on_ack(ack)
            if outcome.stored is not None:
                self.on_stored(ack.stream, outcome.stored)
            if outcome.forget_through is not None and self._on_acknowledged is not None:
                await self._on_acknowledged(ack.stream, outcome.forget_through)
        else:
            outcome = await self._readings.on_ack(ack)
            if unknown := set(ack.unknown) - self._strangers:
                self._strangers |= unknown
                self._log.warning(
                    "unknown_detectors",
                    detectors=sorted(unknown),
                    mend="register them at the centre: their readings are not kept, their alarms are",
                )
        self._heard_at = self._clock.mono_s()
        self._ways.heard()
        if outcome.answered and ack.echo_ms is not None:
            self._clock.heard_server(ack.server_ms, ack.echo_ms)
        if outcome.snapshot or (outcome.new_stream and ack.lane is Lane.EVENTS):
            self._orders.want_snapshot()
        self._wake.set()

    # -- small things

    def _topic(self, channel: Channel) -> str:
        return gateway_topic(self._area, self._gateway, channel)

    def _tell(self, way: MqttSettings, trouble: str | None) -> None:
        """Log the change, not the try."""
        if trouble is None:
            self._log.info("uplink_up", way=str(way))
            self._told.clear()
        elif self._told.get(str(way)) != trouble:
            self._log.warning("uplink_down", way=str(way), why=trouble)
            self._told[str(way)] = trouble


async def _alone(connection: Coroutine[Any, Any, tuple[str, bool]]) -> tuple[str, bool]:
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
    return ("cancelled from within", False) if task.cancelled() else task.result()


def _end_if_cancelled() -> None:
    """Before work is begun that would not notice a swallowed cancellation."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
