"""The centre's scan and identify on a real pseudo-terminal: beside the watch, and on record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from device_profiles.load import load_profiles
from edge_agent import probe
from edge_agent.commands import Commands
from edge_agent.observation import Observation, Stamp
from edge_agent.probe import Prober
from edge_agent.recorder import Recorder
from edge_agent.site import Site
from tests.harness.slave import Pieces, PtySlave, framed, registers
from tests.harness.store import Handed
from tests.harness.wait import eventually
from wire.messages import (
    Action,
    BusConfig,
    Command,
    Condition,
    DetectorConfig,
    EventKind,
    GatewayConfig,
    Transport,
)

PROFILES = load_profiles()


class Kept:
    """Keeps nothing."""

    def tracked(self) -> dict[str, bytes]:
        return {}

    def forget_tracked(self, names: Sequence[str]) -> None:
        del names

    config_standing: bytes | None = None

    def save_config(self, config: GatewayConfig | None, standing: bytes) -> None:
        del config, standing


class Bench:
    """Two reference detectors, one of them not configured; commands in, notes out."""

    def __init__(self) -> None:
        self.slave = PtySlave(self._answer)
        self.notes: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.recorder = Recorder(Handed(self._append), self._stamp, lambda: None, OSError)
        self.site = Site(
            PROFILES, self.recorder, lambda _: None, time.monotonic, Kept(), self._spawn, lambda: None
        )
        prober = Prober(self.site, PROFILES, self.recorder)
        self.commands = Commands(
            self.site, self.recorder, prober, self._spawn, lambda: int(time.monotonic() * 1000)
        )

    async def start(self) -> None:
        self._spawn(self.recorder.run())
        detector = DetectorConfig(detector="det-1", unit=1, profile="smokewatch-reference", allow_writes=True)
        bus = BusConfig(
            bus="bus-1",
            transport=Transport.SERIAL,
            address=self.slave.path,
            baud=19200,
            detectors=[detector],
        )
        await self.site.start([bus], 300, None)

    def order(self, action: Action, **about: Any) -> Command:
        return Command(id="0" * 32, action=action, expires_ms=0, **about)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.slave.close()

    def _spawn(self, work) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]

    def _stamp(self) -> Stamp:
        return Stamp(at_ms=0, mono_ms=0, boot="0" * 32, synchronised=True, config_version=0)

    def _append(self, seen: Sequence[Observation], stamp: Stamp, tracked: Mapping[str, bytes] | None) -> None:
        del stamp, tracked
        self.notes += [one.text or "" for one in seen if one.kind is EventKind.NOTE]

    def _answer(self, request: bytes) -> Pieces:
        if request[0] not in (1, 4):
            return []
        if request[1] == 6:
            return [(0, request)]
        if request[1] != 4:
            return [(0, framed(bytes((request[0], request[1] | 0x80, 1))))]
        if request[2:4] == b"\0\0" and request[5] == 5:
            return [(0, registers(request, 0, 12, 215, 3000, 100))]
        if request[2:4] == b"\0\x10":
            return [(0, registers(request, 0, 7))]
        return [(0, framed(bytes((request[0], 0x84, 2))))]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    one = Bench()
    await one.start()
    yield one
    await one.close()


async def test_a_scan_does_not_hold_up_the_next_order_and_its_result_is_on_record(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan takes minutes; a mute must not wait for it, and a second scan of the same bus is refused."""
    monkeypatch.setattr(probe.Prober.scan, "__defaults__", (range(1, 6), None, lambda _: None))
    await bench.commands.carry_out(bench.order(Action.SCAN, bus="bus-1"))
    await bench.commands.carry_out(bench.order(Action.POLL_NOW, detector="det-1"))
    await bench.commands.carry_out(bench.order(Action.SCAN, bus="bus-1"))
    await eventually(lambda: [note for note in bench.notes if "units asked" in note], 15)
    last = bench.notes[-1]
    assert "1=det-1" in last
    assert "4=未知 unknown (smokewatch-reference)" in last
    assert any("poll_now" in note and "done" in note for note in bench.notes[:-1])
    assert any("being scanned already" in note for note in bench.notes[:-1])


async def test_a_scan_of_a_bus_that_is_not_here_is_refused_on_record(bench: Bench) -> None:
    """The centre learns which buses there are."""
    await bench.commands.carry_out(bench.order(Action.SCAN, bus="bus-9"))
    await eventually(lambda: [note for note in bench.notes if "watches bus-1" in note], 5)


async def test_a_walk_test_marks_what_the_named_detectors_say_and_is_refused_for_others(bench: Bench) -> None:
    """All or none; the outcome is on record."""
    smoke = Observation(EventKind.ASSERT, Condition.SMOKE, "det-1")
    for detectors, said in ((["det-1", "det-9"], "not here: det-9"), (["det-1"], "done: 1")):
        assert bench.recorder.mark(smoke, int(time.monotonic() * 1000)).window is None
        order = bench.order(Action.WALK_TEST, window="7", detectors=detectors, lasts_s=60.0)
        await bench.commands.carry_out(order)
        await eventually(lambda said=said: [note for note in bench.notes if said in note], 5)
    assert bench.recorder.mark(smoke, int(time.monotonic() * 1000)).window == "7"


async def test_identify_blinks_where_the_model_can_and_says_so_where_not(bench: Bench) -> None:
    """The write is the profile's own; a detector that is not here cannot blink."""
    await bench.commands.carry_out(bench.order(Action.IDENTIFY, detector="det-1"))
    await eventually(lambda: [note for note in bench.notes if "identify" in note and "done" in note], 5)
    assert any(request[1:6] == b"\x06\x01\x00\x00\x49" for request in bench.slave.requests)
    await bench.commands.carry_out(bench.order(Action.IDENTIFY, detector="det-9"))
    await eventually(lambda: [note for note in bench.notes if "no such detector" in note], 5)
