"""Hears existing transmitters (用户信息传输装置) by GB/T 26875.3 over TCP and UDP.

Law of this file: confirmed is what has been committed, and nothing else. Who is not in the configuration is
denied. Each is asked for its state at intervals: its answer is the proof of life that the standard lacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from functools import partial
from typing import cast

import structlog

from central import metrics
from central.config import TransmittersSettings
from central.ending import together
from central.pipeline.transmitters import area_of, take_alive, take_unit, take_unreadable
from central.store.errors import StoreConflict, StoreError
from central.store.pool import Store
from gb26875.data import Bare, DataError, Kind, decode_data, encode_data
from gb26875.frame import FRAME_BYTES, MOST_DATA, Broken, Command, Decoder, Frame, TimeTag, encode

NAME = "transmitters"
ASK_S = 30.0
_IDLE_S = 300.0
"""A connection on which nothing comes for so long, though we ask, is dead."""
_SILENCE_S = 5.0
_MOST_CONNECTIONS = 1000
_MOST_DATAGRAMS = 200
_MOST_BYTES = 4 * (FRAME_BYTES + MOST_DATA)
_MOST_UNSENT = 64 * 1024
_TRIES = 5
_ANSWERS = (Command.CONFIRM, Command.ANSWER, Command.DENY)
_log = structlog.get_logger()
Say = Callable[[bytes], None]


class Transmitters:
    """Listens for ever."""

    def __init__(
        self, store: Store, settings: TransmittersSettings, beat: Callable[[str], None] = lambda _: None
    ) -> None:
        """`beat` is called with NAME at each turn."""
        self._store = store
        self._settings = settings
        self._beat = beat
        self._known = {one.address: one for one in settings.known}
        self._heard: dict[int, Say] = {}
        """By address the way to who spoke last."""
        self._connections: set[asyncio.Task[None]] = set()
        self._strangers: set[tuple[int, str]] = set()
        self._serial = 0

    async def run(self) -> None:
        """Until cancelled. Raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        host, port = self._settings.host, self._settings.port
        server = await asyncio.start_server(self._accept, host, port)
        datagrams = _Datagrams()
        transport: asyncio.BaseTransport | None = None
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: datagrams, local_addr=(host, port))
            await together(self._datagrams(datagrams), self._ask())
        finally:
            server.close()
            if transport is not None:
                transport.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _ask(self) -> None:
        """Ask everybody for the state now and then."""
        clock = asyncio.get_running_loop().time
        due = clock() + ASK_S
        while True:
            self._beat(NAME)
            await asyncio.sleep(min(5.0, ASK_S))
            if clock() < due:
                continue
            due = clock() + ASK_S
            try:
                async with self._store.transaction() as tx:
                    now = TimeTag.of(tx.now)
            except StoreError:
                continue
            for address, say in list(self._heard.items()):
                self._serial = (self._serial + 1) % 65536
                data = encode_data(Kind.READ_TRANSMITTER_STATE, [Bare()])
                ours = self._settings.address
                say(encode(Frame(self._serial, now, ours, address, Command.REQUEST, data)))

    async def _datagrams(self, datagrams: _Datagrams) -> None:
        while True:
            data, address, say = await datagrams.came.get()
            decoder = Decoder()
            for one in decoder.feed(data) + decoder.end():
                await self._take(one, address, say)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection has a task of its own"
        if len(self._connections) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            await self._stream(reader, writer)
        finally:
            self._connections.discard(task)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends, falls silent or takes nothing any more."""
        host = str(writer.get_extra_info("peername")[0])
        decoder, idle_s = Decoder(), 0.0

        def say(packet: bytes) -> None:
            if writer.transport.get_write_buffer_size() > _MOST_UNSENT:
                writer.transport.abort()
            else:
                writer.write(packet)

        try:
            while idle_s < _IDLE_S:
                try:
                    async with asyncio.timeout(_SILENCE_S):
                        data = await reader.read(4096)
                except TimeoutError:
                    idle_s += _SILENCE_S
                    found = decoder.end()
                else:
                    if not data:
                        return
                    idle_s = 0.0
                    found = decoder.feed(data)
                for one in found:
                    await self._take(one, host, say)
        except OSError:
            return
        finally:
            for address in [address for address, way in self._heard.items() if way is say]:
                del self._heard[address]
            writer.transport.abort()

    async def _take(self, one: Frame | Broken, host: str, say: Say) -> None:
        """One packet: store, commit, answer. Without a database there is no answer: it is sent again."""
        frame = one.frame if isinstance(one, Broken) else one
        if frame is None:
            return
        known = self._known.get(frame.source)
        if known is None or known.host not in (None, host):
            self._refuse(frame, host)
            return
        try:
            answer = await self._patiently(known.gateway, one, frame)
        except StoreError as error:
            _log.warning("a transmitter's packet cannot be stored", gateway=known.gateway, error=str(error))
            return
        except Exception:  # noqa: BLE001 -- the next packet must be taken; this one comes again
            _log.exception("a transmitter's packet failed", gateway=known.gateway)
            return
        if not isinstance(one, Broken):
            self._heard[frame.source] = say
        if frame.command not in _ANSWERS:
            outcome = "confirmed" if answer.command == Command.CONFIRM else "denied"
            metrics.TRANSMITTED.labels(known.gateway, outcome).inc()
            say(encode(answer))

    async def _patiently(self, gateway: str, one: Frame | Broken, frame: Frame) -> Frame:
        for _ in range(_TRIES - 1):
            with contextlib.suppress(StoreConflict):
                return await self._keep(gateway, one, frame)
        return await self._keep(gateway, one, frame)

    async def _keep(self, gateway: str, one: Frame | Broken, frame: Frame) -> Frame:
        """In one transaction what the packet says; returns what is to be answered after the commit."""
        async with self._store.transaction() as tx:
            area = await area_of(tx, gateway)
            if area is None:
                _log.warning("a transmitter is not registered as a gateway", gateway=gateway)
                return frame.reply(Command.DENY, tx.now)
            if isinstance(one, Broken):
                return frame.reply(Command.DENY, tx.now)
            stream = hashlib.sha256(f"gb26875 {gateway}".encode()).hexdigest()[:32]
            await take_alive(tx, area, gateway, stream)
            if frame.command not in (Command.SEND, Command.ANSWER):
                return frame.reply(Command.DENY, tx.now)
            if frame.data:
                try:
                    unit = decode_data(frame.data)
                except DataError as error:
                    await take_unreadable(tx, area, gateway, str(error), encode(frame))
                    return frame.reply(Command.DENY, tx.now)
                await take_unit(tx, area, gateway, stream, frame.time, unit)
            return frame.reply(Command.CONFIRM, tx.now)

    def _refuse(self, frame: Frame, host: str) -> None:
        """Nobody whom we do not know learns anything; it is logged once."""
        if len(self._strangers) < _MOST_CONNECTIONS and (frame.source, host) not in self._strangers:
            self._strangers.add((frame.source, host))
            _log.warning("a transmitter that is not configured", address=frame.source, host=host)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[bytes, str, Say]] = asyncio.Queue(_MOST_DATAGRAMS)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        assert self._transport is not None
        if not self.came.full():  # else it is lost, as datagrams are: it is sent again
            self.came.put_nowait(
                (data[:_MOST_BYTES], address[0], partial(self._transport.sendto, addr=address))
            )
