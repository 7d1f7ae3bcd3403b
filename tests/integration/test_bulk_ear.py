"""The readings' own connection: TLS as in production, nothing dropped while the database is busy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

import aiomqtt
import pytest

from central import bulk_ear
from central.bulk_ear import READINGS, Bulk, BulkEar
from central.config import BrokerSettings
from central.ending import end
from central.intake import Intake
from tests.harness.broker import Broker
from tests.harness.secure_broker import CENTRE, HOST, SecureBroker, running_secure_broker
from tests.harness.town import AREA, BOOT, GATEWAY, STREAM, Town
from tests.harness.wait import eventually
from wire.codec import decode, encode
from wire.messages import Ack, Clock, ReadingBatch
from wire.topics import Channel, gateway_topic

TOPIC = gateway_topic(AREA, GATEWAY, Channel.READINGS)
ROWS = 100


@pytest.fixture(scope="module")
def secure_broker() -> Iterator[SecureBroker]:
    with running_secure_broker(f"{AREA}/{GATEWAY}") as broker:
        yield broker


@asynccontextmanager
async def hearing(
    town: Town, broker: BrokerSettings, area: str = "", kind: Bulk = READINGS
) -> AsyncIterator[BulkEar]:
    ear = BulkEar(kind, Intake(town.store), broker, area, Random(1))
    task = asyncio.create_task(ear.run())
    try:
        await eventually(lambda: ear.connected, 15)
        yield ear
    finally:
        await end([task])


def batch(number: int) -> bytes:
    """The `number`th hundred of readings of one stream, from 0."""
    first = number * ROWS + 1
    return encode(
        ReadingBatch(
            stream=STREAM,
            first_seq=first,
            oldest_seq=1,
            boot=BOOT,
            clock=Clock(mono_ms=first, wall_ms=10_000_000),
            t=[first + n for n in range(ROWS)],
            detector=["det-1"] * ROWS,
            smoke=[0.5] * ROWS,
        )
    )


async def acks(client: aiomqtt.Client, count: int) -> list[int]:
    through: list[int] = []
    async for message in client.messages:
        assert isinstance(message.payload, bytes)
        told = decode(Channel.ACK, message.payload)
        assert isinstance(told, Ack)
        through.append(told.through_seq)
        if len(through) == count:
            return through
    raise AssertionError("the broker has gone")


@asynccontextmanager
async def gateway(host: str, port: int, **tls: Any) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(host, port, **tls) as client:
        await client.subscribe(gateway_topic(AREA, GATEWAY, Channel.ACK), qos=1)
        yield client


async def test_readings_over_tls_are_stored_and_answered(town: Town, secure_broker: SecureBroker) -> None:
    """With the certificates and the access list of production."""
    certificate, key = secure_broker.pair(CENTRE)
    settings = BrokerSettings(
        HOST, secure_broker.port, tls=True, ca_file=secure_broker.ca, cert_file=certificate, key_file=key
    )
    context = ssl.create_default_context(cafile=secure_broker.ca)
    context.load_cert_chain(*secure_broker.pair(f"{AREA}/{GATEWAY}"))
    async with (
        hearing(town, settings, AREA),
        gateway(HOST, secure_broker.port, tls_context=context) as far,
    ):
        await far.publish(TOPIC, batch(0), qos=1)
        async with asyncio.timeout(10):
            assert await acks(far, 1) == [ROWS]
    assert len(await town.rows("SELECT FROM readings")) == ROWS


async def test_what_cannot_be_stored_yet_is_left_with_the_broker_and_nothing_is_dropped(
    town: Town, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked table: memory holds a bounded piece of what comes; afterwards all is stored in its order."""
    monkeypatch.setattr(bulk_ear, "MOST_HELD_BYTES", 20_000)
    small = replace(READINGS, at_once_bytes=5_000)
    sent = 600
    async with (
        hearing(town, BrokerSettings(broker.host, broker.port), kind=small) as ear,
        gateway(broker.host, broker.port) as far,
    ):
        async with town.store.transaction() as tx:
            await tx.conn.execute("LOCK TABLE readings")
            for number in range(sent):
                await far.publish(TOPIC, batch(number), qos=0)
            await eventually(lambda: ear.deaf, 5)
            # What a socket brings at once may still come, no more.
            assert ear.held_bytes < 20_000 + 300_000 < sent * len(batch(0))
        async with asyncio.timeout(30):
            assert await acks(far, sent) == [(number + 1) * ROWS for number in range(sent)]
        assert not ear.deaf
    assert len(await town.rows("SELECT FROM readings")) == sent * ROWS


async def test_a_broker_that_comes_back_is_heard_again(town: Town, broker: Broker) -> None:
    """And so is what is sent then."""
    async with hearing(town, BrokerSettings(broker.host, broker.port)) as ear:
        await asyncio.to_thread(broker.kill9)
        await eventually(lambda: not ear.connected, 10)
        await asyncio.to_thread(broker.start)
        await eventually(lambda: ear.connected, 20)
        async with gateway(broker.host, broker.port) as far:
            await far.publish(TOPIC, batch(0), qos=1)
            async with asyncio.timeout(10):
                assert await acks(far, 1) == [ROWS]
