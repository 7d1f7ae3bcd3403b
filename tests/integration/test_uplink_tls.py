"""The agent as a process against the broker of production: its certificates and its access list."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.harness.box import AREA, GATEWAY, SMOKE, Box
from tests.harness.centre import Centre
from tests.harness.secure_broker import CENTRE, HOST, SecureBroker, make_certificate, running_secure_broker
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind
from wire.topics import up_filter

ME = f"{AREA}/{GATEWAY}"


@pytest.fixture(scope="module")
def secure_broker() -> Iterator[SecureBroker]:
    """One broker for all tests of this file."""
    with running_secure_broker(ME) as broker:
        yield broker


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of the same names by another authority."""
    folder = tmp_path_factory.mktemp("strangers")
    make_certificate(folder, "broker", HOST)
    make_certificate(folder, ME)
    return folder


@asynccontextmanager
async def _centre(broker: SecureBroker) -> AsyncIterator[Centre]:
    context = ssl.create_default_context(cafile=broker.ca)
    context.load_cert_chain(*broker.pair(CENTRE))
    async with aiomqtt.Client(HOST, broker.port, tls_context=context) as client:
        await client.subscribe(up_filter(AREA), qos=1)
        far = Centre(client, AREA, GATEWAY)
        listening = asyncio.create_task(far.listen())
        yield far
        listening.cancel()


def _right(broker: SecureBroker) -> dict[str, str | int | bool]:
    certificate, key = broker.pair(ME)
    return {
        "host": HOST,
        "port": broker.port,
        "tls": True,
        "ca_file": str(broker.ca),
        "cert_file": str(certificate),
        "key_file": str(key),
    }


def _said(box: Box, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in box.log().splitlines()]
    return [line for line in lines if line["event"] == event]


async def test_events_arrive_and_are_acknowledged_through_the_broker_of_production(
    secure_broker: SecureBroker, tmp_path: Path
) -> None:
    """With its own certificate the agent gets in, is heard, hears the answer and says goodbye."""
    box = Box(tmp_path, _right(secure_broker), [1, 2])
    async with _centre(secure_broker) as far:
        box.start()
        await eventually(lambda: far.of_kind(EventKind.SNAPSHOT), 20)
        box.state[2] = SMOKE
        await eventually(lambda: far.of_kind(EventKind.ASSERT, "det-2"), 5)
        assert far.of_kind(EventKind.ASSERT, "det-2")[0].condition is Condition.SMOKE
        await eventually(lambda: box.depth() == 0, 5)
        assert box.stop() == 0
        await eventually(lambda: far.status is not None and not far.status.online, 5)
    assert _said(box, "uplink_down") == []
    box.close()


Change = Callable[[dict[str, str | int | bool], Path], object]


def _without_own(mqtt: dict[str, str | int | bool], _: Path) -> None:
    del mqtt["cert_file"], mqtt["key_file"]


def _foreign_own(mqtt: dict[str, str | int | bool], strangers: Path) -> None:
    mqtt.update(
        cert_file=str(strangers / f"{AREA}_{GATEWAY}.crt"), key_file=str(strangers / f"{AREA}_{GATEWAY}.key")
    )


@pytest.mark.parametrize(
    ("change", "called", "words"),
    [
        pytest.param(
            lambda mqtt, strangers: mqtt.update(ca_file=str(strangers / "ca.crt")),
            True,
            ["not vouched for by mqtt.ca_file {strangers}/ca.crt", "self-signed", "as mqtt.ca_file"],
            id="wrong-authority",
        ),
        pytest.param(
            lambda mqtt, _: mqtt.update(host="localhost"),
            True,
            ["not for mqtt.host 'localhost'", "give the name that is in it"],
            id="wrong-host-name",
        ),
        pytest.param(
            _without_own,
            True,
            ["refuses a client without a certificate", "mqtt.cert_file and mqtt.key_file"],
            id="no-certificate",
        ),
        pytest.param(
            _foreign_own,
            True,
            [
                "refuses the certificate in mqtt.cert_file {strangers}/",
                "that the broker trusts",
            ],
            id="certificate-of-another-authority",
        ),
        pytest.param(
            lambda mqtt, strangers: mqtt.update(key_file=str(strangers / f"{AREA}_{GATEWAY}.key")),
            False,
            ["mqtt.key_file {strangers}/", "key values mismatch", "its unencrypted key"],
            id="key-of-another-certificate",
        ),
        pytest.param(
            lambda mqtt, strangers: mqtt.update(ca_file=str(strangers / f"{AREA}_{GATEWAY}.key")),
            False,
            ["mqtt.ca_file {strangers}/", "cannot be used", "as PEM"],
            id="no-authority-in-the-file",
        ),
    ],
)
async def test_without_the_right_papers_it_says_why_once_and_keeps_watching(
    secure_broker: SecureBroker,
    strangers: Path,
    tmp_path: Path,
    change: Change,
    called: bool,
    words: list[str],
) -> None:
    """No connection; file, reason and mend on one line, however often it tries; smoke is put on record."""
    mqtt = _right(secure_broker)
    change(mqtt, strangers)
    box = Box(tmp_path, mqtt, [1, 2])
    tries = _tries(secure_broker)
    box.start()
    await eventually(lambda: _said(box, "uplink_down"), 25)
    held = box.depth()
    box.state[1] = SMOKE
    await eventually(lambda: box.depth() > held, 10)
    if called:
        # A try lasts for several of the library's timeouts of 10 s: it waits for an answer on a dead socket.
        await eventually(lambda: _tries(secure_broker) >= tries + 2, 120)
    told = _said(box, "uplink_down")
    assert len(told) == 1
    for word in words:
        assert word.format(strangers=strangers) in told[0]["why"]
    assert _said(box, "uplink_up") == []
    assert box.stop() == 0
    box.close()


def _tries(broker: SecureBroker) -> int:
    return (broker.certificates / "log").read_text().count("New connection from")
