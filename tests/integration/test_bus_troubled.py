"""The poller on lines that break: adapters that move, devices that are others, garbage, two masters."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from device_profiles.load import load_profiles
from edge_agent.observation import Observation
from edge_agent.poller import Poller
from edge_agent.tracker import TrackPolicy
from tests.harness.chaos import chaos_proxy
from tests.harness.slave import Answer, Pieces, PtySlave, framed, registers
from tests.harness.wait import eventually
from wire.messages import BusConfig, Condition, DetectorConfig, EventKind, Transport

PROFILES = load_profiles()
SMOKE = 1
UNITS = (1, 2, 3, 4)


def detectors(units: Sequence[int] = UNITS, burning: Sequence[int] = (), serial: int = 0) -> Answer:
    """Reference detectors; their serial numbers are `serial` + unit."""

    def answer(request: bytes) -> Pieces:
        unit = request[0]
        if unit not in units:
            return []
        if request[2:4] != b"\0\0":
            return [(0, registers(request, 0, serial + unit))]
        return [(0.002, registers(request, SMOKE if unit in burning else 0, 12, 215, 3000, 10))]

    return answer


class Watch:
    """A poller on any line, and all it told."""

    def __init__(self, transport: Transport, address: str, units: Sequence[int] = UNITS) -> None:
        self.told: list[Observation] = []
        bus = BusConfig(
            bus="bus-1",
            transport=transport,
            address=address,
            baud=19200,
            detectors=[
                DetectorConfig(detector=f"det-{unit}", unit=unit, profile="smokewatch-reference")
                for unit in units
            ],
        )
        self.poller = Poller(
            bus,
            PROFILES,
            self._record,
            lambda _: None,
            time.monotonic,
            policy=TrackPolicy(lost_s=0.5, urgent_clear_s=0.1, port_s=0.5, bus_silent_s=1.0),
        )
        self.task = asyncio.create_task(self.poller.run())

    async def _record(self, told: Sequence[Observation], tracked: Mapping[str, bytes]) -> None:
        self.told += told

    def count(self, kind: EventKind, condition: Condition | None = None, words: str = "") -> int:
        return sum(
            (one.kind, one.condition) == (kind, condition) and words in (one.text or "") for one in self.told
        )

    async def all_answer(self) -> None:
        await eventually(lambda: self.poller.status().answering == len(self.poller.states), 15)

    async def close(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
async def slaves() -> AsyncIterator[Callable[[Answer], PtySlave]]:
    """Makes slaves and closes what the test leaves open."""
    made: list[PtySlave] = []

    def make(answer: Answer) -> PtySlave:
        made.append(PtySlave(answer))
        return made[-1]

    yield make
    for slave in made:
        slave.close()


Slaves = Callable[[Answer], PtySlave]


def _point(link: Path, slave: PtySlave) -> None:
    """What udev does: the name leads to another port, at once."""
    new = link.with_name("new")
    new.symlink_to(os.path.realpath(slave.path))
    new.replace(link)


async def _plug_in(link: Path, slaves: Slaves, watch: Watch) -> None:
    """Put an adapter behind the name, and another one when a foreign program has got hold of its number."""
    for _ in range(3):
        _point(link, slaves(detectors()))
        with contextlib.suppress(AssertionError):
            await eventually(lambda: watch.poller._line.line.is_open, 6)
            return
    raise AssertionError("the poller opened none of three ports")


async def test_an_adapter_that_comes_back_as_another_port_is_found(tmp_path: Path, slaves: Slaves) -> None:
    """Unplugged, its name gone; back under the same name, which leads elsewhere: one line each way."""
    link = tmp_path / "usb-FTDI_A50285BI-if00"
    first = slaves(detectors())
    _point(link, first)
    with capture_logs() as logs:
        watch = Watch(Transport.SERIAL, str(link))
        await watch.all_answer()
        link.unlink()
        first.close()
        await eventually(lambda: watch.count(EventKind.ASSERT, Condition.BUS_DOWN) == 1, 8)
        await _plug_in(link, slaves, watch)
        await eventually(lambda: watch.count(EventKind.CLEAR, Condition.BUS_DOWN) == 1, 10)
        await watch.all_answer()
        await watch.close()
    events = [one["event"] for one in logs]
    assert events.count("line is lost") == 1
    assert events.count("line is back") == 1
    assert watch.count(EventKind.NOTE) == 0


async def test_an_adapter_that_dies_without_a_word_is_left_for_its_name(
    tmp_path: Path, slaves: Slaves
) -> None:
    """The old port stays open and mute while the name leads to a new one: nobody answers, so look again."""
    link = tmp_path / "by-path"
    old = slaves(detectors())
    _point(link, old)
    watch = Watch(Transport.SERIAL, str(link))
    await watch.all_answer()
    old.answer = lambda _: []
    await eventually(lambda: watch.poller.status().answering == 0, 5)
    assert watch.poller._line.line.is_open  # silence alone never closes it
    new = slaves(detectors())
    _point(link, new)
    await eventually(lambda: bool(new.requests), 10)
    await watch.all_answer()
    await watch.close()


async def test_the_wrong_riser_behind_the_adapter_ends_nothing(tmp_path: Path, slaves: Slaves) -> None:
    """Smoke stands; the name comes back on another riser: other devices, smoke unknown, never clear."""
    link = tmp_path / "adapter"
    first = slaves(detectors(burning=[2]))
    _point(link, first)
    watch = Watch(Transport.SERIAL, str(link))
    await eventually(lambda: watch.count(EventKind.ASSERT, Condition.SMOKE) == 1, 5)
    await watch.all_answer()
    first.close()
    _point(link, slaves(detectors(serial=1000)))
    await eventually(lambda: watch.count(EventKind.NOTE, words="another device") == 4, 10)
    assert watch.count(EventKind.UNKNOWN, Condition.SMOKE) == 1
    await eventually(lambda: watch.poller.status().answering == 4, 5)
    assert watch.count(EventKind.CLEAR, Condition.SMOKE) == 0
    await watch.close()


async def test_two_devices_at_one_address_are_told_once(slaves: Slaves) -> None:
    """One unit's answers collide, the others are fine: a note for people, and the heartbeat says so."""
    noise, good = random.Random(5), detectors()
    slave = slaves(lambda request: [(0.002, noise.randbytes(15))] if request[0] == 3 else good(request))
    watch = Watch(Transport.SERIAL, slave.path)
    await eventually(lambda: watch.count(EventKind.NOTE, words="two devices at one address? unit 3"), 15)
    assert watch.poller.status().answering == 3
    assert "unit 3" in (watch.poller.status().hint or "")
    before = len(slave.requests)
    await eventually(lambda: len(slave.requests) > before + 20, 10)
    assert watch.count(EventKind.NOTE) == 1
    await watch.close()


async def test_nothing_but_garbage_names_the_wiring(slaves: Slaves) -> None:
    """Every answer is spoilt: A/B, termination or baud; nothing of it becomes a state."""
    noise = random.Random(6)
    slave = slaves(lambda _: [(0.002, noise.randbytes(12))])
    watch = Watch(Transport.SERIAL, slave.path)
    await eventually(lambda: watch.count(EventKind.NOTE, words="A/B swapped"), 15)
    assert {one.kind for one in watch.told} <= {EventKind.NOTE, EventKind.ASSERT}
    assert {one.condition for one in watch.told} <= {None, Condition.BUS_DOWN, Condition.NO_RESPONSE}
    await watch.close()


async def test_another_masters_answers_are_never_ours(slaves: Slaves) -> None:
    """A second master asks the same units for other registers: its answers, alarming, are not believed."""
    turn = itertools.count()

    def collide(request: bytes) -> Pieces:
        right = detectors()(request)
        if request[2:4] != b"\0\0" or next(turn) % 3:
            return right
        foreign = framed(request[:2] + b"\x01\x00" + request[4:6])
        return [(0, foreign), (0.004, registers(request, SMOKE, 9999, 900, 1, 1)), *right]

    slave = slaves(collide)
    watch = Watch(Transport.SERIAL, slave.path)
    await eventually(lambda: watch.count(EventKind.NOTE, words="another master"), 15)
    slave.answer = detectors()  # the other one is unplugged
    await watch.all_answer()
    assert watch.count(EventKind.ASSERT, Condition.SMOKE) == 0
    await watch.close()


async def test_a_serial_server_may_reboot_refuse_and_go_half_open() -> None:
    """Cut, refused, then swallowing: each time whole again alone; one line lost, one back, each."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readexactly(8)
                for _, piece in detectors()(request):
                    writer.write(piece)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with capture_logs() as logs:
        async with chaos_proxy("127.0.0.1", port) as proxy:
            watch = Watch(Transport.RTU_TCP, f"{proxy.host}:{proxy.port}")
            await watch.all_answer()
            proxy.refuse = True
            await proxy.cut()
            await eventually(lambda: watch.count(EventKind.ASSERT, Condition.BUS_DOWN) == 1, 10)
            proxy.refuse = False
            await eventually(lambda: watch.count(EventKind.CLEAR, Condition.BUS_DOWN) == 1, 15)
            await watch.all_answer()
            accepted = proxy.accepted
            proxy.swallow_down = True
            await eventually(lambda: proxy.accepted > accepted, 15)
            proxy.swallow_down = False
            await watch.all_answer()
            await watch.close()
    server.close()
    await server.wait_closed()
    events = [one["event"] for one in logs]
    assert events.count("line is lost") >= 2
    assert abs(events.count("line is lost") - events.count("line is back")) <= 1
    assert watch.count(EventKind.NOTE) == 0
