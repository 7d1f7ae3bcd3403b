"""A stop that meets the broker's answer, to a connection or to a subscription, leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiomqtt import Client, MqttError

from central.config import BrokerSettings
from central.ingest import LIBRARY_LOG, Ingest
from central.store.pool import Store
from edge_agent.clock import Clock
from edge_agent.config import MqttSettings
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.readings import ReadingBuffer, Readings
from edge_agent.tls import LastWord
from mqtt_line.general import entered, told_late
from wire.messages import Status

CONNECT, SUBSCRIBE = 0x10, 0x82
CONNACK, REFUSED, SUBACK = b"\x20\x02\x00\x00", b"\x20\x02\x00\x05", b"\x90\x03\x00\x01\x01"


class SlowBroker(asyncio.Protocol):
    """Says `asked` when it was asked for `at`, and answers that when it is told to, all else at once."""

    def __init__(self, at: int) -> None:
        self.asked, self.left = asyncio.Event(), asyncio.Event()
        self._at = at

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.left.set()

    def data_received(self, data: bytes) -> None:
        if data[0] == self._at:
            self.asked.set()
        elif data[0] == CONNECT:
            self.answer(CONNACK)

    def answer(self, said: bytes) -> None:
        self._transport.write(said)

    def hang_up(self) -> None:
        self._transport.close()


@contextlib.asynccontextmanager
async def slow_broker(at: int) -> AsyncIterator[tuple[SlowBroker, int]]:
    """The broker of one connection, and its port."""
    broker = SlowBroker(at)
    server = await asyncio.get_running_loop().create_server(lambda: broker, "127.0.0.1", 0)
    async with server:
        yield broker, server.sockets[0].getsockname()[1]


async def connect(port: int, logger: logging.Logger) -> None:
    """As the agent and the centre do."""
    async with entered(Client("127.0.0.1", port, logger=logger)) as client:
        await client.subscribe("smokewatch/#", qos=1)
        await asyncio.Event().wait()


async def centre(port: int) -> None:
    """The centre's ear for events; it needs no database before it hears."""
    await Ingest(Store("host=127.0.0.1"), BrokerSettings("127.0.0.1", port))._one_connection()


async def agent(port: int) -> None:
    """An agent's uplink."""
    clock = Clock(wall_ms=lambda: 0, mono_s=time.monotonic, boot="b" * 32)

    async def nothing(*_: object) -> None:
        pass

    with tempfile.TemporaryDirectory() as folder:
        outbox = Outbox.open(Path(folder) / "outbox.db", "machine")
        publisher = Publisher(
            MqttSettings("127.0.0.1", port), "street", "gw-1", outbox,
            Readings(ReadingBuffer("f" * 32, clock.boot)), clock,
            lambda: Status(online=True, boot=clock.boot), nothing, nothing, nothing,
        )  # fmt: skip
        try:
            await publisher.run()
        finally:
            outbox.close()


async def all_have_ended() -> None:
    """No task is left but the test's own."""
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        _, left = await asyncio.wait(others, timeout=5)
        assert not left


async def stop_and_then_answer(
    connecting: Callable[[int], Coroutine[Any, Any, None]], at: int, said: bytes, turns: int
) -> None:
    """Stop a client that waits for an answer, which comes so many turns of the loop later."""
    async with slow_broker(at) as (broker, port):
        task = asyncio.create_task(connecting(port))
        await broker.asked.wait()
        task.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        broker.answer(said)
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await broker.left.wait()
        await all_have_ended()


class Heard(logging.Filter):
    """What the library said, before anybody chose from it."""

    def __init__(self) -> None:
        super().__init__()
        self.late = 0

    def filter(self, record: logging.LogRecord) -> bool:
        self.late += told_late(record)
        return True


@pytest.mark.parametrize("logger", [LIBRARY_LOG, LastWord().logger()], ids=["centre", "agent"])
async def test_an_answer_after_the_stop_is_no_error_in_the_log(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """The library logs a traceback; an operator would take that for a fault. The rest is passed on."""
    heard = Heard()
    logger.filters.insert(0, heard)
    try:
        for turns in range(10):
            await stop_and_then_answer(partial(connect, logger=logger), SUBSCRIBE, SUBACK, turns)
    finally:
        logger.removeFilter(heard)
    assert heard.late > 0
    assert not caplog.records
    logger.warning("the queue is full")
    assert [record.getMessage() for record in caplog.records] == ["the queue is full"]


@pytest.mark.parametrize("said", [CONNACK, REFUSED], ids=["let-in", "refused"])
@pytest.mark.parametrize("who", [centre, agent])
async def test_a_stop_while_it_is_let_in_leaves_no_connection_and_no_word(
    who: Callable[[int], Coroutine[Any, Any, None]], said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The library alone would go on talking to the broker, with nobody to end it."""
    for turns in range(10):
        await stop_and_then_answer(who, CONNECT, said, turns)
        gc.collect()
    assert not caplog.records


async def test_a_second_stop_waits_for_no_answer() -> None:
    """Whoever is in a hurry says so twice; a broker that answers nothing holds nobody up."""
    async with slow_broker(CONNECT) as (broker, port):
        task = asyncio.create_task(connect(port, LIBRARY_LOG))
        await broker.asked.wait()
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=0.1)
        assert not done
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        assert done
        broker.hang_up()
        await all_have_ended()


async def test_what_the_broker_refuses_is_raised_as_the_library_says_it() -> None:
    """So that the log tells why."""
    async with slow_broker(CONNECT) as (broker, port):
        task = asyncio.create_task(connect(port, LIBRARY_LOG))
        await broker.asked.wait()
        broker.answer(REFUSED)
        with pytest.raises(MqttError, match="Not authorized"):
            await task
