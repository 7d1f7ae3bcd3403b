"""Several ways to the broker: WebSocket over TLS, one that is dead, one on which the centre is not."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from edge_agent import publisher as publisher_module
from edge_agent.clock import Clock
from edge_agent.config import MqttSettings
from edge_agent.observation import Observation
from edge_agent.outbox import Outbox
from edge_agent.publisher import Publisher
from edge_agent.readings import ReadingBuffer, Readings
from edge_agent.ways import UNHEARD_S
from simulator.parts import Nats, free_port
from simulator.parts.broker import nats_server
from simulator.parts.child import Child
from simulator.parts.ports import is_free
from tests.harness.centre import centre
from tests.harness.chaos import chaos_proxy
from tests.harness.secure_broker import HOST, make_certificate
from tests.harness.wait import eventually
from wire.clock import TimeQuality, corrected_event_ms
from wire.messages import Condition, EventBatch, EventKind, Status

AREA, GATEWAY, BOOT = "street", "gw-1", "b" * 32
SMOKE = Observation(EventKind.ASSERT, Condition.SMOKE, "d-1")
NAME = "broker.example"
# The MQTT library drops a socket whose handshake failed without closing it; the collector does.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def _dropped_sockets_are_collected_here() -> Iterator[None]:
    """Not in some later test, whose fault they would be taken for."""
    yield
    gc.collect()


class Agent:
    """The uplink of a gateway; `ahead_s` moves its monotonic clock, `wall_ms` is its wall clock."""

    def __init__(self, folder: Path, *ways: MqttSettings, wall_ms: int | None = None) -> None:
        self.ahead_s = 0.0
        self.wall_ms = wall_ms
        self.synchronised = wall_ms is None
        self.outbox = Outbox.open(folder / "outbox.db", "machine")
        self.clock = Clock(
            wall_ms=lambda: int(time.time() * 1000) if self.wall_ms is None else self.wall_ms,
            mono_s=lambda: time.monotonic() + self.ahead_s,
            boot=BOOT,
            synchronised=lambda: self.synchronised,
        )
        first = ways[0]
        settings = MqttSettings(
            **{name: getattr(first, name) for name in MqttSettings.__slots__ if name != "also"},
            also=tuple(ways[1:]),
        )
        self.publisher = Publisher(
            settings, AREA, GATEWAY, self.outbox, Readings(ReadingBuffer("f" * 32, BOOT)), self.clock,
            lambda: Status(online=True, boot=BOOT, outbox_depth=self.outbox.depth),
            self._nothing, self._nothing, self._nothing, random=random.Random(1),
        )  # fmt: skip

    async def _nothing(self, *_: object) -> None:
        pass

    def smoke(self) -> None:
        self.outbox.append([SMOKE], self.clock.stamp())
        self.publisher.wake()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.publisher.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.outbox.close()


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    made = Nats(tmp_path / "broker")
    made.start()
    yield made
    made.kill9()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[int, int, Path]]:
    """A broker behind port 443, so to say: its plain port, its wss port, the authority's certificate."""
    folder = tmp_path / "web"
    folder.mkdir()
    make_certificate(folder, "broker", NAME)
    plain, secure = free_port(), free_port()
    (folder / "nats.conf").write_text(
        f'server_name: web\nhost: "{HOST}"\nport: -1\njetstream {{ store_dir: "{folder}/store" }}\n'
        f'mqtt {{ host: "{HOST}"\n port: {plain} }}\nwebsocket {{ host: "{HOST}"\n port: {secure}\n'
        f' tls {{ cert_file: "{folder}/server.crt"\n key_file: "{folder}/server.key" }} }}\n'
    )
    child = Child("the broker", folder / "log")
    child.start(
        [nats_server(), "-c", str(folder / "nats.conf")], lambda _pid: not (is_free(plain) or is_free(secure))
    )
    yield plain, secure, folder / "ca.crt"
    child.kill9()


@asynccontextmanager
async def deaf_port() -> AsyncIterator[int]:
    """Takes connections and never says a word, as a firewall that swallows does."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in held:
            writer.close()


def _downs(logs: list[dict[str, object]]) -> list[str]:
    return [str(line["why"]) for line in logs if line["event"] == "uplink_down"]


async def test_where_8883_is_swallowed_the_websocket_with_its_server_name_carries_the_fire(web, tmp_path):
    """The first way takes the connection and is dumb; the second asks for the name in the certificate."""
    plain, secure, ca = web
    async with deaf_port() as deaf, centre(HOST, plain, AREA, GATEWAY) as far:
        first = MqttSettings(HOST, deaf, tls=True, ca_file=ca, server_name=NAME)
        second = MqttSettings(HOST, secure, "websocket", "/mqtt", NAME, tls=True, ca_file=ca)
        agent = Agent(tmp_path, first, second)
        agent.smoke()
        with structlog.testing.capture_logs() as logs:
            async with agent.running():
                await eventually(lambda: far.of_kind(EventKind.ASSERT, "d-1"), 15)
                await eventually(lambda: agent.outbox.depth == 0)
        assert len(_downs(logs)) == 1
        ups = [line["way"] for line in logs if line["event"] == "uplink_up"]
        assert ups == [f"{HOST}:{secure}/mqtt"]


async def test_a_wrong_server_name_is_told_once(web, tmp_path):
    """Which key it is, on one line, however often it is tried."""
    _, secure, ca = web
    way = MqttSettings(HOST, secure, "websocket", server_name="other.example", tls=True, ca_file=ca)
    agent = Agent(tmp_path, way)
    with structlog.testing.capture_logs() as logs:
        async with agent.running():
            await eventually(lambda: _downs(logs))
            await asyncio.sleep(1.2)  # two more tries
    assert len(_downs(logs)) == 1
    assert "not for mqtt.server_name 'other.example'" in _downs(logs)[0]


async def test_a_web_server_that_knows_no_mqtt_is_told_once_and_tried_again(tmp_path):
    """A proxy or a captive portal answers the WebSocket's request with a page."""
    asked: list[bytes] = []

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(page, HOST, 0)
    way = MqttSettings(HOST, server.sockets[0].getsockname()[1], "websocket", "/mqtt")
    with structlog.testing.capture_logs() as logs:
        async with Agent(tmp_path, way).running():
            await eventually(lambda: len(asked) >= 3)
    server.close()
    assert len(_downs(logs)) == 1
    assert "WebSocket handshake error" in _downs(logs)[0]
    assert asked[0].startswith(b"GET /mqtt HTTP/1.1")


async def test_a_broker_on_which_the_centre_is_not_is_left_for_the_next(nats, web, tmp_path):
    """It lets us in and confirms everything, and nobody hears us there."""
    plain, _, _ = web
    async with centre(HOST, plain, AREA, GATEWAY) as far:
        agent = Agent(tmp_path, MqttSettings(HOST, nats.port), MqttSettings(HOST, plain))
        async with agent.running():
            agent.smoke()
            await eventually(lambda: agent.publisher.connected)
            agent.ahead_s += UNHEARD_S + 1
            await eventually(lambda: far.of_kind(EventKind.ASSERT, "d-1"))
            await eventually(lambda: agent.outbox.depth == 0)


async def test_no_name_and_no_listener_are_told_once_each_and_recover_alone(tmp_path):
    """DNS fails, the other address refuses; then a broker starts there."""
    late = Nats(tmp_path / "late")
    agent = Agent(tmp_path, MqttSettings("no-such-host.invalid", 1883), MqttSettings(HOST, late.port))
    with structlog.testing.capture_logs() as logs:
        async with agent.running():
            await eventually(lambda: len(_downs(logs)) == 2)
            late.start()
            await eventually(lambda: agent.publisher.connected, 15)
    late.kill9()
    assert len(_downs(logs)) == 2


async def test_a_line_that_swallows_everything_is_left_and_what_it_swallowed_arrives(
    nats, tmp_path, monkeypatch
):
    """Half-open: no reset ever comes; the broker's silence about one message is enough."""
    monkeypatch.setattr(publisher_module, "CONFIRM_S", 0.5)
    async with chaos_proxy(HOST, nats.port) as proxy, centre(HOST, nats.port, AREA, GATEWAY) as far:
        agent = Agent(tmp_path, MqttSettings(HOST, proxy.port))
        with structlog.testing.capture_logs() as logs:
            async with agent.running():
                await eventually(lambda: agent.publisher.connected)
                proxy.swallow_up = proxy.swallow_down = True
                agent.smoke()
                await eventually(lambda: _downs(logs))
                proxy.swallow_up = proxy.swallow_down = False
                await proxy.cut()  # the try that fell into the hole meanwhile
                await eventually(lambda: far.of_kind(EventKind.ASSERT, "d-1"))
                await eventually(lambda: agent.outbox.depth == 0)


async def test_a_gateway_that_boots_in_1970_has_its_fire_dated_right(nats, tmp_path):
    """Recorded before anybody knew the time; by its age first, exactly once an answer has come back."""
    agent = Agent(tmp_path, MqttSettings(HOST, nats.port), wall_ms=5_000)
    before = int(time.time() * 1000)
    agent.smoke()
    assert agent.clock.server_ms() is None  # so commands are refused
    batches: list[EventBatch] = []
    async with centre(HOST, nats.port, AREA, GATEWAY) as far:
        take = far._take_events

        async def keep(batch: EventBatch) -> None:
            batches.append(batch)
            await take(batch)

        far._take_events = keep
        async with agent.running():
            await eventually(lambda: agent.outbox.depth == 0)
            await eventually(lambda: agent.clock.offset_ms is not None)
            agent.wall_ms = 7_000_000  # the wall clock jumps by two hours
            agent.smoke()
            await eventually(lambda: agent.outbox.depth == 0)
            server_ms = agent.clock.server_ms()
    now = int(time.time() * 1000)
    dated = [corrected_event_ms(batch, event, now) for batch in batches for event in batch.events]
    assert [each.quality for each in dated] == [TimeQuality.AGED, TimeQuality.EXACT]
    assert all(before - 1000 <= each.at_ms <= now + 1000 for each in dated)
    assert server_ms is not None
    assert abs(server_ms - now) < 5_000


async def test_a_fire_does_not_wait_for_a_long_pause(
    tmp_path: Path, nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker was away until the pauses were a minute long; smoke seen in one is told in seconds."""
    monkeypatch.setattr("edge_agent.ways.FIRST_PAUSE_S", 60.0)
    monkeypatch.setattr("edge_agent.ways.LONGEST_PAUSE_S", 60.0)
    monkeypatch.setattr("edge_agent.ways.BURNING_PAUSE_S", 0.5)
    nats.stop()
    agent = Agent(tmp_path, MqttSettings(nats.host, nats.port))
    with structlog.testing.capture_logs() as said:
        async with agent.running():
            await eventually(lambda: any(line["event"] == "uplink_down" for line in said), 10)
            nats.start()
            async with centre(nats.host, nats.port, AREA, GATEWAY) as far:
                agent.smoke()
                await eventually(lambda: far.of_kind(EventKind.ASSERT, "d-1"), 10)
