"""Who may say what on the broker of production: a real Mosquitto with the files of `deploy/mosquitto`."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from tests.harness.secure_broker import CENTRE, DEPLOY, HOST, SecureBroker, running_secure_broker
from tests.harness.wait import eventually

A, B = "danshuichi/gw-a", "danshuichi/gw-b"


def _client(broker: SecureBroker, name: str | None) -> aiomqtt.Client:
    """A client with the certificate of `name`, or with none."""
    context = ssl.create_default_context(cafile=broker.ca)
    if name:
        context.load_cert_chain(*broker.pair(name))
    return aiomqtt.Client(HOST, broker.port, tls_context=context, timeout=5 if name else 1)


@pytest.fixture(scope="module")
def secure_broker() -> Iterator[SecureBroker]:
    """One broker for all tests of this file."""
    with running_secure_broker(A, B) as broker:
        yield broker


async def _heard_by_centre(broker: SecureBroker, sender: str, topics: list[str]) -> list[str]:
    """Which of the topics reach the server when `sender` publishes on them, a topic of its own last."""
    heard: list[str] = []
    last = f"smokewatch/v1/{sender}/up/status"

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            heard.append(str(message.topic))

    async with _client(broker, CENTRE) as centre, asyncio.TaskGroup() as group:
        await centre.subscribe("smokewatch/v1/+/+/up/+", qos=1)
        listening = group.create_task(listen(centre))
        async with _client(broker, sender) as gateway:
            for topic in [*topics, last]:
                await gateway.publish(topic, b"x", qos=1)
        await eventually(lambda: last in heard)
        listening.cancel()
    return heard[: heard.index(last)]


async def test_a_gateway_publishes_as_itself(secure_broker: SecureBroker) -> None:
    """What it says on its own topics reaches the server."""
    own = [f"smokewatch/v1/{A}/up/events", f"smokewatch/v1/{A}/up/readings"]
    assert await _heard_by_centre(secure_broker, A, own) == own


@pytest.mark.parametrize(
    "topic",
    [
        f"smokewatch/v1/{B}/up/events",
        "smokewatch/v1/other/gw-a/up/events",
        f"smokewatch/v1/{A}/up/other",
        f"smokewatch/v1/{A}/down/ack",
        "smokewatch/v1/central/alive",
    ],
)
async def test_a_gateway_cannot_publish_as_anybody_else(secure_broker: SecureBroker, topic: str) -> None:
    """Not as its neighbour, not in another area, not as the server, not on topics outside the contract."""
    assert await _heard_by_centre(secure_broker, A, [topic]) == []


async def test_a_gateway_hears_only_what_is_said_to_it(secure_broker: SecureBroker) -> None:
    """Subscribing to everything still gives only its own messages and the server's sign of life."""
    heard: list[str] = []
    own = [f"smokewatch/v1/{A}/down/{what}" for what in ("ack", "config", "command")]
    async with _client(secure_broker, A) as gateway, asyncio.TaskGroup() as group:
        for wanted in ("smokewatch/v1/#", f"smokewatch/v1/{A}/down/+", "smokewatch/v1/central/alive"):
            await gateway.subscribe(wanted, qos=1)

        async def listen() -> None:
            async for message in gateway.messages:
                heard.append(str(message.topic))

        listening = group.create_task(listen())
        async with _client(secure_broker, CENTRE) as centre:
            for topic in [f"smokewatch/v1/{B}/down/config", *own, "smokewatch/v1/central/alive"]:
                await centre.publish(topic, b"x", qos=1)
        await eventually(lambda: "smokewatch/v1/central/alive" in heard)
        listening.cancel()
    assert set(heard) == {*own, "smokewatch/v1/central/alive"}


async def test_nobody_gets_in_without_a_certificate(secure_broker: SecureBroker) -> None:
    """The broker ends the connection of a client that shows none."""
    with pytest.raises(aiomqtt.MqttError):
        async with _client(secure_broker, None):
            pass


@pytest.mark.parametrize("name", ["gw", "Area/gw", "area/+", "area/gw/more", "area/" + "g" * 33])
def test_no_certificate_is_made_for_a_name_outside_the_contract(name: str, tmp_path: Path) -> None:
    """A name with a wildcard would open other gateways' topics."""
    made = subprocess.run([DEPLOY / "make-certificates", tmp_path, name], capture_output=True, text=True)
    assert made.returncode == 2
    assert not list(tmp_path.glob("*gw*"))
