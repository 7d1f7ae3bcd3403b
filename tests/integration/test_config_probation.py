"""A pushed configuration under which a bus falls silent, on real lines; time is moved."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from device_profiles.load import load_profiles
from edge_agent.clock import Clock
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from edge_agent.probation import PROBATION_S
from edge_agent.recorder import Recorder
from edge_agent.site import Site
from tests.harness.slave import Pieces, PtySlave, registers
from tests.harness.wait import eventually
from wire.codec import seal_config
from wire.messages import BusConfig, DetectorConfig, Event, EventKind, GatewayConfig, Transport

PROFILES = load_profiles()
EPOCH = "e" * 32


class Flats:
    """Two lines of a gateway; unit 1 hangs on each, nothing else."""

    def __init__(self) -> None:
        self.lines = {name: PtySlave(self._answer) for name in ("bus-1", "bus-2")}

    @staticmethod
    def _answer(request: bytes) -> Pieces:
        if request[0] != 1:
            return []
        return [(0, registers(request, *((0, 1) if request[2:4] != b"\0\0" else (0, 12, 215, 3000, 10))))]

    def bus(self, name: str, unit: int = 1, *more: int) -> BusConfig:
        return BusConfig(
            bus=name,
            transport=Transport.SERIAL,
            address=self.lines[name].path,
            baud=19200,
            detectors=[
                DetectorConfig(detector=f"{name}-{each}", unit=each, profile="smokewatch-reference")
                for each in (unit, *more)
            ],
        )

    def close(self) -> None:
        for line in self.lines.values():
            line.close()


class Watch:
    """A site with a real outbox; `later` moves its clock."""

    def __init__(self, folder: Path) -> None:
        self.ahead_s = 0.0
        self.outbox = Outbox.open(folder / "outbox.db", "machine")
        clock = Clock(wall_ms=lambda: 0, mono_s=self.now, boot="b" * 32)
        self.recorder = Recorder(
            self.outbox, lambda: clock.stamp(self.site.config_version), lambda: None, StorageError
        )
        self.tasks: list[asyncio.Task[None]] = []
        self.site = Site(
            PROFILES, self.recorder, lambda _sample: None, self.now, self.outbox, self._spawn, self._changed
        )
        self.changes = 0

    def _spawn(self, coroutine: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(coroutine)  # type: ignore[arg-type]
        self.tasks.append(task)
        return task

    def _changed(self) -> None:
        self.changes += 1

    def now(self) -> float:
        return time.monotonic() + self.ahead_s

    async def start(self, local: Sequence[BusConfig] = ()) -> None:
        self._spawn(self.recorder.run())
        await self.site.start(local, 3600.0, self.outbox.config)
        self._spawn(self.site.run())

    async def end(self) -> None:
        await self.site.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.recorder.close()
        self.outbox.close()

    def notes(self) -> list[Event]:
        rows = self.outbox.batch(self.outbox.oldest_seq, self.outbox.highest_seq, 60_000)
        return [event for event in rows.events if event.kind is EventKind.NOTE]

    async def until_answering(self, *buses: str) -> None:
        await eventually(
            lambda: {p.bus.bus for p in self.site.pollers if p.status().answering}.issuperset(buses)
        )

    async def push(self, config: GatewayConfig) -> None:
        await self.push_in_vain(config)
        assert self.site.applied == config, self.site.error

    async def push_in_vain(self, config: GatewayConfig) -> None:
        before = self.changes
        self.site.push(config)
        await eventually(lambda: self.changes > before)


@pytest.fixture
async def flats():
    made = Flats()
    yield made
    made.close()


@pytest.fixture
async def watch(tmp_path):
    made = Watch(tmp_path)
    yield made
    await made.end()


async def test_a_bus_silent_for_two_minutes_after_a_push_brings_the_last_good_one_back(flats, watch):
    """Told on record and in the status; the same push is not tried again, a newer one is."""
    await watch.start()
    good = seal_config(EPOCH, 1, [flats.bus("bus-1"), flats.bus("bus-2")])
    await watch.push(good)
    await watch.until_answering("bus-1", "bus-2")
    wrong = seal_config(EPOCH, 2, [flats.bus("bus-1", 1, 3), flats.bus("bus-2", 7)])
    await watch.push(wrong)
    watch.ahead_s += PROBATION_S - 5
    await watch.until_answering("bus-1")
    assert watch.site.applied == wrong
    watch.ahead_s += 6
    await eventually(lambda: watch.site.applied == good)
    await watch.until_answering("bus-1", "bus-2")
    assert "version 2: bus bus-2 answered before" in watch.site.error
    assert "version 1 holds again" in watch.site.error
    await eventually(lambda: any("配置已退回" in str(note.text) for note in watch.notes()))
    assert watch.outbox.config == good

    told, said = len(watch.notes()), watch.site.error
    for _ in range(3):
        await watch.push_in_vain(wrong)
    assert (watch.site.applied, watch.site.error, len(watch.notes())) == (good, said, told)

    again = seal_config(EPOCH, 3, [flats.bus("bus-1", 1, 3), flats.bus("bus-2")])
    await watch.push(again)
    await watch.until_answering("bus-1", "bus-2")
    await eventually(lambda: watch.site._probation is None)
    watch.ahead_s += PROBATION_S + 1
    await watch.until_answering("bus-1", "bus-2")
    assert (watch.site.applied, watch.site.error) == (again, None)


async def test_a_restart_within_the_two_minutes_does_not_make_a_wrong_push_the_good_one(flats, tmp_path):
    """The way back is on disk, also the way back to the local file; so is what was refused."""
    local = [flats.bus("bus-1")]
    first = Watch(tmp_path)
    await first.start(local)
    await first.until_answering("bus-1")
    wrong = seal_config(EPOCH, 5, [flats.bus("bus-1", 7)])
    await first.push(wrong)
    await first.end()

    second = Watch(tmp_path)
    await second.start(local)
    assert second.site.applied == wrong
    second.ahead_s += PROBATION_S + 1
    await eventually(lambda: second.site.applied is None and second.site.error)
    assert "the local file holds again" in second.site.error
    await second.until_answering("bus-1")
    await second.end()

    third = Watch(tmp_path)
    await third.start(local)
    assert third.site.applied is None
    assert "version 5" in third.site.error
    await third.push_in_vain(wrong)
    await third.until_answering("bus-1")
    assert third.site.applied is None
    await third.end()


async def test_a_line_without_any_answer_before_the_push_proves_nothing_against_it(flats, watch):
    """A new line that is not wired yet, and one taken from the watch on purpose, are no reason to go back."""
    await watch.start([flats.bus("bus-1")])
    await watch.until_answering("bus-1")
    wanted = seal_config(EPOCH, 1, [flats.bus("bus-2", 7)])
    await watch.push(wanted)
    assert watch.site._probation is None
    watch.ahead_s += PROBATION_S + 1
    await eventually(lambda: all(poller.first_lap.is_set() for poller in watch.site.pollers))
    assert (watch.site.applied, watch.site.error) == (wanted, None)


async def test_a_push_that_would_take_every_detector_needs_an_administrators_word(flats, watch):
    """Refused and told, the watch goes on; with the flag it is obeyed."""
    await watch.start()
    good = seal_config(EPOCH, 1, [flats.bus("bus-1")])
    await watch.push(good)
    await watch.until_answering("bus-1")
    await watch.push_in_vain(seal_config(EPOCH, 2, []))
    assert "all 1 detectors" in watch.site.error
    assert "stand-down" in watch.site.error
    assert watch.site.applied == good
    await watch.until_answering("bus-1")
    await eventually(lambda: any("配置被拒绝" in str(note.text) for note in watch.notes()))
    await watch.push(seal_config(EPOCH, 3, [], may_watch_nothing=True))
    assert watch.site.pollers == ()
    assert watch.site.error is None


async def test_detectors_come_and_go_without_a_restart_and_the_outbox_keeps_its_rows(flats, watch):
    """The same poller, the same line, the same stream; what was recorded before is still there."""
    await watch.start()
    await watch.push(seal_config(EPOCH, 1, [flats.bus("bus-1")]))
    await watch.until_answering("bus-1")
    poller, stream, held = watch.site.pollers[0], watch.outbox.stream, watch.outbox.depth
    await watch.push(seal_config(EPOCH, 2, [flats.bus("bus-1", 1, 2)]))
    await eventually(lambda: set(watch.site.pollers[0].states) == {"bus-1-1", "bus-1-2"})
    await watch.push(seal_config(EPOCH, 3, [flats.bus("bus-1", 1)]))
    await eventually(lambda: set(watch.site.pollers[0].states) == {"bus-1-1"})
    assert watch.site.pollers[0] is poller
    assert (watch.outbox.stream, watch.outbox.oldest_seq) == (stream, 1)
    assert watch.outbox.depth >= held
