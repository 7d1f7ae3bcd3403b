"""The poller against the simulator's detectors, on all three transports; two codecs that share no code."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from device_profiles.load import load_profiles
from edge_agent.estimate import lap_s, read_s
from edge_agent.observation import Observation, Sample
from edge_agent.plan import plan
from edge_agent.poller import Poller
from edge_agent.rules import configured
from tests.harness.wait import eventually
from wire.messages import BusConfig, Condition, DetectorConfig, EventKind, Transport

ROOT = Path(__file__).parents[2]
PROFILES = load_profiles()
ASK = {Transport.SERIAL: "--link", Transport.TCP: "--tcp-port", Transport.RTU_TCP: "--rtu-tcp-port"}


class Watch:
    """A simulated bus and the poller on it."""

    def __init__(self, folder: Path, transport: Transport, units: int, baud: int, delay_ms: int) -> None:
        self.control = folder / "sim.sock"
        where = str(folder / "riser") if transport is Transport.SERIAL else "0"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "simulator", "bus", ASK[transport], where),
                *("--detectors", str(units), "--baud", str(baud), "--delay-ms", str(delay_ms)),
                *("--control", str(self.control)),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        self.bus = BusConfig(
            bus="bus-1",
            transport=transport,
            address=ready["buses"][0]["address"],
            baud=baud,
            detectors=[
                DetectorConfig(detector=f"d-{unit:03}", unit=unit, profile="smokewatch-reference")
                for unit in range(1, units + 1)
            ],
        )
        self.told: list[Observation] = []
        self.samples: list[Sample] = []
        self.poller = Poller(self.bus, PROFILES, self._record, self.samples.append, time.monotonic)
        self.task = asyncio.create_task(self.poller.run())

    async def _record(self, told: Sequence[Observation], tracked: Mapping[str, bytes]) -> None:
        self.told += told

    async def order(self, *words: str) -> None:
        run = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulator", "control", str(self.control), *words),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        assert await run.wait() == 0

    async def laps(self, count: int) -> list[float]:
        """How long each of the next laps took."""
        found: list[float] = []
        ended = self.poller._lap_ended
        while len(found) < count:
            await eventually(lambda before=ended: self.poller._lap_ended != before, 10)
            ended = self.poller._lap_ended
            found.append(self.poller._last_lap_s or 0.0)
        return found

    def waited_s(self) -> float:
        """How long both ends together could run and were given no processor, since they began."""
        runs = (Path(f"/proc/{pid}/schedstat").read_text().split() for pid in ("self", self.process.pid))
        return sum(int(waited_ns) for _, waited_ns, _ in runs) / 1e9

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@asynccontextmanager
async def _watch(
    folder: Path, transport: Transport, units: int = 4, baud: int = 19200, delay_ms: int = 5
) -> AsyncIterator[Watch]:
    watch = Watch(folder, transport, units, baud, delay_ms)
    try:
        yield watch
    finally:
        await watch.close()


@pytest.mark.parametrize("transport", list(Transport))
async def test_every_transport_brings_values_and_smoke(tmp_path: Path, transport: Transport) -> None:
    """All detectors are read with believable values, and a flipped register is told."""
    async with _watch(tmp_path, transport) as watch:
        await eventually(lambda: watch.poller.status().answering == 4, 10)
        await eventually(lambda: len({sample.detector for sample in watch.samples}) == 4, 5)
        assert all(sample.temperature is not None and sample.battery for sample in watch.samples[:4])
        await watch.order("flip", "d-003", "on")
        await eventually(
            lambda: any(
                (o.kind, o.condition, o.detector) == (EventKind.ASSERT, Condition.SMOKE, "d-003")
                for o in watch.told
            ),
            5,
        )
        assert watch.poller.status().errors == 0


async def test_a_lap_takes_what_the_wire_takes(tmp_path: Path) -> None:
    """16 detectors at 9600 8N1 that take 30 ms: the best of some laps is within 5 % of the wire's time."""
    async with _watch(tmp_path, Transport.SERIAL, 16, 9600, 30) as watch:
        await watch.poller.first_lap.wait()
        laps: list[tuple[float, float]] = []
        for _ in range(4):
            before = watch.waited_s()
            (taken,) = await watch.laps(1)
            # What a busy machine kept from us is not the bus's.
            laps.append((taken, taken - (watch.waited_s() - before)))
        reads = plan(configured(watch.bus, PROFILES))
        least_slow = min(sum(read_s(watch.bus, r, 0.03) for r in reads.slow_part(lap)) for lap in range(100))
        wire = lap_s(watch.bus, reads) + least_slow
        assert wire * 0.98 <= min(taken for taken, _ in laps), (laps, wire)
        assert min(ours for _, ours in laps) <= wire * 1.05 + 0.06, (laps, wire)


async def test_dead_detectors_do_not_slow_the_living(tmp_path: Path) -> None:
    """Two of eight fall silent: every later lap costs at most one timeout more than a healthy one."""
    async with _watch(tmp_path, Transport.SERIAL, 8) as watch:
        await watch.poller.first_lap.wait()
        healthy = max(await watch.laps(3))
        await watch.order("fault", "d-002", "silent")
        await watch.order("fault", "d-005", "silent")
        await eventually(lambda: watch.poller.status().silent == 2, 10)
        await watch.laps(2)
        worst = max(await watch.laps(5))
        assert worst <= healthy + 0.3 + 0.15, (worst, healthy)
        await watch.order("clear_fault", "d-002")
        await watch.order("clear_fault", "d-005")
        await eventually(lambda: watch.poller.status().answering == 8, 5)


async def test_a_riser_without_power_for_five_seconds_is_whole_in_one_lap(tmp_path: Path) -> None:
    """All fall silent and return together: the lap of the first answer brings all of them back."""
    async with _watch(tmp_path, Transport.SERIAL, 24) as watch:
        await watch.poller.first_lap.wait()
        (healthy,) = await watch.laps(1)
        await watch.order("fault", "bus=bus-1", "silent")
        await eventually(lambda: watch.poller.status().silent == 24, 20)
        off = time.monotonic()
        await eventually(lambda: time.monotonic() - off >= 5.0, 6)
        await watch.order("clear_fault", "bus=bus-1")
        await eventually(lambda: watch.poller.status().answering > 0, 5)
        first = time.monotonic()
        await eventually(lambda: watch.poller.status().answering == 24, 5)
        # Who they are is asked as well: two reads each.
        assert time.monotonic() - first <= 2 * healthy + 0.3
