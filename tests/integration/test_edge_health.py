"""The health pages over real HTTP; the watchdog on a real notify socket while loops hang or try in vain."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest

from device_profiles.load import load_profiles
from edge_agent import app, health_http, health_watch
from edge_agent.config import MqttSettings, Settings
from edge_agent.health_http import HealthServer, Page
from edge_agent.outbox import Outbox
from edge_agent.spool import Spool
from tests.harness.slave import Pieces, PtySlave, registers
from tests.harness.wait import eventually
from wire.messages import BusConfig, DetectorConfig, Transport

PROFILES = load_profiles()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def _get(port: int, request: bytes) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    said = (await reader.read()).decode()
    writer.close()
    head, _, body = said.partition("\r\n\r\n")
    return int(head.split()[1]), body


class Ear:
    """What systemd would hear."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._heard: list[bytes] = []
        asyncio.get_running_loop().add_reader(self._socket, self._take)

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._heard.append(self._socket.recv(100))

    def heard(self) -> list[bytes]:
        found, self._heard = self._heard, []
        return found

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


class Running:
    """An agent inside the test, with detectors on a pseudo-terminal and no broker at all."""

    def __init__(self, folder: Path, port: int) -> None:
        self.silent = False
        self.port = port
        self.slave = PtySlave(self._answer)
        detector = DetectorConfig(detector="det-1", unit=1, profile="smokewatch-reference")
        bus = BusConfig(
            bus="bus-1",
            transport=Transport.SERIAL,
            address=self.slave.path,
            baud=19200,
            detectors=[detector],
        )
        settings = Settings(
            "area",
            "gw-1",
            folder,
            MqttSettings("127.0.0.1", _free_port()),
            (bus,),
            clock="trusted",
            http_listen=("127.0.0.1", port),
            control_socket=folder / "c.sock",
        )
        self.outbox = Outbox.open(folder / "outbox.db", "machine")
        self.agent = app.Agent(
            settings, PROFILES, self.outbox, Spool(folder / "readings"), app.real_clock(settings)
        )
        self.task = asyncio.create_task(self.agent.run())

    def _answer(self, request: bytes) -> Pieces:
        if request[2:4] != b"\0\0":
            return [(0, registers(request, 0, 1))]
        return [(0, registers(request, 0, 12, 215, 3000, 10))]

    async def page(self, name: str) -> tuple[int, str]:
        return await _get(self.port, f"GET {name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.outbox.close()
        self.slave.close()


@pytest.fixture
async def ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ear]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    one = Ear(tmp_path / "notify")
    yield one
    one.close()


@pytest.fixture
async def running(tmp_path: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    del ear  # it listens before the agent starts
    monkeypatch.setattr(health_watch, "STALLED_S", 3.0)
    monkeypatch.setattr("edge_agent.turning.LOOK_S", 0.5)
    one = Running(tmp_path, _free_port())
    yield one
    await one.close()


async def _fed_for(ear: Ear, seconds: float) -> int:
    """How often the watchdog is fed from now on."""
    ear.heard()
    await asyncio.sleep(seconds)
    return ear.heard().count(b"WATCHDOG=1")


async def test_without_uplink_and_with_a_lost_port_the_watchdog_is_fed(running: Running, ear: Ear) -> None:
    """Both are states that pass: a restart would mend neither, and end what still works."""
    await eventually(lambda: b"WATCHDOG=1" in ear.heard(), 5)
    running.slave.close()
    # More than the limit after which a hung loop starves it.
    assert await _fed_for(ear, 4.0) >= 20
    status, text = await running.page("/healthz")
    assert (status, text) == (200, "ok\n")


async def test_a_hung_recorder_starves_the_watchdog_and_is_named(
    running: Running, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that never comes back: only a new process has a chance; the bus's loop still turns."""
    await eventually(lambda: b"WATCHDOG=1" in ear.heard(), 5)

    async def never(*_: object) -> bool:
        await asyncio.Event().wait()
        return True

    with monkeypatch.context() as hung:
        hung.setattr(running.agent._recorder, "_flush", never)
        await running.agent._recorder.record([], {})
        await eventually(lambda: _says(running, "/healthz", "loop recorder does not turn"), 8)
        assert await _fed_for(ear, 0.5) == 0
        assert (await running.page("/readyz"))[0] == 503
        lap_age_s = running.agent._site.pollers[0].status().lap_age_s
        assert lap_age_s is not None
        assert lap_age_s < 1


async def _says(running: Running, page: str, words: str) -> bool:
    return words in (await running.page(page))[1]


async def test_the_pages_of_a_running_agent(running: Running) -> None:
    """Ready after its first lap, without any broker; figures count."""
    await eventually(lambda: _is_ready(running), 5)
    _, text = await running.page("/metrics")
    assert 'smokewatch_edge_bus_detectors_answering{bus="bus-1"} 1' in text
    assert "smokewatch_edge_uplink_connected 0" in text
    assert "det-1" not in text


async def _is_ready(running: Running) -> bool:
    try:
        return (await running.page("/readyz"))[0] == 200
    except ConnectionError:
        return False


@pytest.fixture
async def served() -> AsyncIterator[int]:
    port = _free_port()

    def broken() -> Page:
        raise ZeroDivisionError

    pages = {"/x": lambda: Page(HTTPStatus.OK, "fine\n"), "/broken": broken}
    task = asyncio.create_task(HealthServer("127.0.0.1", port, pages).run())
    await eventually(lambda: _listens(port), 3)
    yield port
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /x?y=1 HTTP/1.1\r\n\r\n", 200),
        (b"HEAD /x HTTP/1.0\r\n\r\n", 200),
        (b"POST /x HTTP/1.1\r\n\r\n", 405),
        (b"GET /y HTTP/1.1\r\n\r\n", 404),
        (b"GET /broken HTTP/1.1\r\n\r\n", 500),
        (b"GET /x\r\n\r\n", 400),
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"A" * 9000, 400),
    ],
)
async def test_right_and_wrong_requests(served: int, request_: bytes, status: int) -> None:
    """Whatever is sent, there is one short answer and the server lives."""
    assert (await _get(served, request_))[0] == status
    assert (await _get(served, b"GET /x HTTP/1.1\r\n\r\n")) == (200, "fine\n")


async def test_a_client_that_says_nothing_is_let_go(served: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-open connection costs a few seconds, not a place for ever."""
    monkeypatch.setattr(health_http, "REQUEST_TIMEOUT_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", served)
    began = time.monotonic()
    assert await reader.read() == b""
    assert time.monotonic() - began < 2
    writer.close()


async def test_a_place_that_is_taken_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program on the port must not end the watch."""
    monkeypatch.setattr(health_http, "RETRY_S", 0.05)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        server = HealthServer("127.0.0.1", port, {"/x": lambda: Page(HTTPStatus.OK, "fine\n")})
        task = asyncio.create_task(server.run())
        await asyncio.sleep(0.1)
        assert not task.done()
    await eventually(lambda: _listens(port), 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
