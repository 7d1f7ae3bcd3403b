"""One connection to the broker.

Law of this file: it never waits for one message. What is said is gathered and written in one piece; while the
broker takes nothing, or owes too many confirmations, `has_room` is false and nobody may speak.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mqtt_line import packets
from mqtt_line.packets import Kind, Packet, PacketError, Reader

KEEPALIVE_S = 30
CONNECT_S = 10.0
OWED = 2000
"""Messages that the broker may owe a confirmation before nobody speaks over this line any more."""
GATHERED = 128
"""Messages written in one piece."""

Heard = Callable[[bytes, bytes, bool], None]
"""Topic, payload, retained."""


class LineError(Exception):
    """The broker cannot be reached, or does not let us do what we must; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and as whom we come."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    also: tuple[tuple[str, int], ...] = ()
    """Further nodes of the same broker: host and port."""

    def node(self, turn: int) -> Broker:
        """The node that is tried at a turn: the first one at 0, then the others, then all over again."""
        host, port = ((self.host, self.port), *self.also)[turn % (1 + len(self.also))]
        return replace(self, host=host, port=port)


class Line(asyncio.Protocol):
    """A connection that was let in and may hear what it asked for. Made by `open_line`."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._reader = Reader()
        self._transport: asyncio.Transport | None = None
        self._gathered: list[bytes] = []
        self._packet_id = 0
        self._owed = 0
        self._paused = False
        self._heard_at = 0.0
        self._why = "消息代理关闭了连接 the broker closed the connection"
        self._first: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._granted: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the connection is gone; tells why."""

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 20)
        self._heard_at = asyncio.get_running_loop().time()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        if exc is not None:
            self._why = f"连接中断 the connection broke: {exc}"
        for waiting in (self._first, self._granted):
            if not waiting.done():
                waiting.set_exception(LineError(self._why))
                waiting.exception()
        if not self.lost.done():
            self.lost.set_result(self._why)

    def pause_writing(self) -> None:
        """The broker does not take what we have written."""
        self._paused = True

    def resume_writing(self) -> None:
        """It does again."""
        self._paused = False

    def data_received(self, data: bytes) -> None:
        """Bytes from the broker."""
        self._heard_at = asyncio.get_running_loop().time()
        try:
            for packet in self._reader.feed(data):
                if packet.kind is Kind.PUBACK:
                    self._owed -= 1
                elif packet.kind is Kind.PUBLISH:
                    said = packets.read_publication(packet)
                    if said.packet_id:
                        self._gathered.append(packets.confirm(said.packet_id))
                    self._heard(said.topic, said.payload, said.retained)
                elif packet.kind is Kind.SUBACK:
                    self._settle(self._granted, packet)
                elif packet.kind is Kind.CONNACK:
                    self._settle(self._first, packet)
        except PacketError as error:
            self._close(f"这不是 MQTT 代理 this is no MQTT broker: {error}")

    # -- the caller's side

    @property
    def has_room(self) -> bool:
        """Whether somebody may speak."""
        return not self._paused and self._owed < OWED and not self.lost.done()

    def say(self, topic: bytes, payload: bytes, qos: int, retain: bool) -> None:
        """Say one message; it is written with the next `flush`, or when many are gathered."""
        packet_id = 0
        if qos:
            self._packet_id = packet_id = self._packet_id % 65535 + 1
            self._owed += 1
        self._gathered.append(packets.publish(topic, payload, retain=retain, packet_id=packet_id))
        if len(self._gathered) >= GATHERED:
            self.flush()

    def listen(self, wanted: bool) -> None:
        """With False nothing more is read: the broker keeps what comes, up to its own limits."""
        if self._transport is None or self._transport.is_closing():
            return
        if wanted:
            self._heard_at = asyncio.get_running_loop().time()
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._gathered))
        self._gathered.clear()

    async def keep_alive(self) -> None:
        """Ping until the connection is lost; one that answers nothing for long is closed."""
        loop = asyncio.get_running_loop()
        while not self.lost.done():
            self._gathered.append(packets.PING)
            self.flush()
            await asyncio.wait([self.lost], timeout=KEEPALIVE_S / 2)
            listening = self._transport is not None and self._transport.is_reading()
            if listening and loop.time() - self._heard_at > 1.5 * KEEPALIVE_S:
                self._close("消息代理没有应答 the broker does not answer any more")

    async def close(self) -> None:
        """Say goodbye; what was written is delivered first."""
        if self._transport is None:
            return
        self._gathered.append(packets.GOODBYE)
        self.flush()
        self._transport.close()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await asyncio.wait([self.lost])
        finally:
            self.abort()

    def abort(self) -> None:
        """Let go at once."""
        if self._transport is not None:
            self._transport.abort()

    async def enter(self, client_id: str, broker: Broker, filters: Sequence[tuple[str, int]]) -> None:
        """Be let in and subscribe. Raises LineError."""
        self._gathered.append(packets.connect(client_id, KEEPALIVE_S, broker.username, broker.password))
        self.flush()
        try:
            refused = packets.read_connack(await self._first)
        except LineError as error:
            hint = "" if broker.tls else " does it expect TLS?"
            raise LineError(f"{error}: is that an MQTT broker?{hint}") from None
        if refused is not None:
            raise LineError(refused)
        if not filters:
            return
        self._gathered.append(packets.subscribe(1, filters))
        self._packet_id = 1
        self.flush()
        granted = packets.read_suback(await self._granted)
        for (name, _), may in zip(filters, granted, strict=False):
            if not may:
                raise LineError(
                    f"不允许订阅 the broker does not let us hear {name}: "
                    "that needs a user who may read and write there"
                )

    def _settle(self, waiting: asyncio.Future[Packet], packet: Packet) -> None:
        if not waiting.done():
            waiting.set_result(packet)

    def _close(self, why: str) -> None:
        self._why = why
        self.abort()


async def open_line(broker: Broker, client_id: str, filters: Sequence[tuple[str, int]], heard: Heard) -> Line:
    """Connect, be let in, subscribe. Raises LineError, which says where, why and what to do."""
    where = f"{broker.host}:{broker.port}"
    line: Line | None = None
    try:
        async with asyncio.timeout(CONNECT_S):
            _, line = await asyncio.get_running_loop().create_connection(
                lambda: Line(heard),
                broker.host,
                broker.port,
                ssl=broker.tls,
                server_hostname=broker.host if broker.tls else None,
            )
            await line.enter(client_id, broker, filters)
    except TimeoutError:
        why = "没有应答 no answer"
        mend = "is that an MQTT broker, and does it expect TLS?" if line else "is the address right?"
        reason = LineError(f"{where}: {why} within {CONNECT_S:g} s: {mend}")
    except ssl.SSLError as error:
        reason = LineError(
            f"{where}: TLS 握手失败 TLS failed: {error}: is the CA file right, and does that port speak TLS?"
        )
    except OSError as error:
        reason = LineError(
            f"{where}: 无法连接消息代理 cannot reach the broker: {error.strerror or error}: "
            f"are host and port right{', does that port speak TLS' if broker.tls else ''}, and does it run?"
        )
    except (LineError, PacketError) as error:
        reason = LineError(f"{where}: {error}")
    except asyncio.CancelledError:
        if line is not None:
            line.abort()
        raise
    else:
        return line
    if line is not None:
        await line.close()
    raise reason from None
