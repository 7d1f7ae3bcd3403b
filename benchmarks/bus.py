"""One RS-485 line at 9600 8N1, detectors that take 30 ms: laps, and how soon a flipped register is on record.

    python -m benchmarks.bus --json [--repeats 3] [--flips 70] [--peer no]
    python -m benchmarks.bus --json --only outage [--outage-s 60]    # or laps, peer

The simulator plays the line as a process of its own and keeps the line's time; the agent's own poller,
recorder and outbox (SQLite, FULL) watch it. A flip is timed from the simulator's register to the committed
row. Beside it stand a peer on the same line (`bus_peer`), and what both lose when the broker is out of reach
and they are killed meanwhile (`bus_outage`). What each key means stands in docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from benchmarks import bus_outage, bus_peer
from benchmarks.simulated import BAUD, DELAY_S, formula_s, p99, simulated, spread_evenly
from device_profiles.load import load_profiles
from edge_agent.observation import Observation, Stamp
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from edge_agent.poller import Poller
from edge_agent.recorder import Recorder
from edge_agent.ticks import fine_loop
from edge_agent.tracker import TrackPolicy
from simulator.control import ControlClient
from wire.messages import BusConfig, Condition, DetectorConfig, EventKind, Transport

SCENARIOS = ((32, 0), (32, 3), (100, 0), (100, 10))
QUIET_LAPS = 6
PARTS = ("laps", "peer", "outage")
PROFILE = "smokewatch-reference"


class Bench:
    """A simulated line, the agent's poller on it, and when each detector's smoke was on record."""

    def __init__(self, folder: Path, address: str, devices: int) -> None:
        self.outbox = Outbox.open(folder / "outbox.db", "0" * 32)
        self.profiles = load_profiles()
        detectors = [
            DetectorConfig(detector=f"d-{unit:03}", unit=unit, profile=PROFILE)
            for unit in range(1, devices + 1)
        ]
        self.bus = BusConfig(
            bus="bus-1", transport=Transport.SERIAL, address=address, baud=BAUD, detectors=detectors
        )
        self.recorder = Recorder(self.outbox, _stamp, lambda: None, StorageError)
        self.recorded: dict[str, asyncio.Future[float]] = {}
        self.cleared: dict[str, asyncio.Event] = {}
        # Each detector flips more often in a run than in its life: chatter is not what is measured here.
        policy = TrackPolicy(chatter_changes=1_000_000, urgent_clear_s=0.0)
        self.poller = Poller(
            self.bus, self.profiles, self._record, lambda _: None, time.monotonic, policy=policy
        )

    async def _record(self, told: Sequence[Observation], tracked: Mapping[str, bytes]) -> None:
        await self.recorder.record(told, tracked)
        at = time.time()
        for one in told:
            if one.condition is Condition.SMOKE and one.detector is not None:
                if one.kind is EventKind.ASSERT and (waiting := self.recorded.get(one.detector)):
                    waiting.set_result(at)
                elif one.kind is EventKind.CLEAR and (over := self.cleared.get(one.detector)):
                    over.set()

    async def laps(self, into: list[float]) -> None:
        """Note how long each lap takes, for ever."""
        age = math.inf
        while True:
            status = self.poller.status()
            now_age = math.inf if status.lap_age_s is None else status.lap_age_s
            if now_age < age and status.last_lap_s is not None:
                into.append(status.last_lap_s)
            age = now_age
            await asyncio.sleep(0.05)

    async def flip(self, control: ControlClient, detector: str) -> float:
        """Put smoke to it; seconds until that is on record. Clears it again."""
        self.recorded[detector] = asyncio.get_running_loop().create_future()
        told = await control.ask("flip", detector, on=True)
        at = await asyncio.wait_for(self.recorded[detector], 60)
        del self.recorded[detector]
        self.cleared[detector] = asyncio.Event()
        await control.ask("flip", detector, on=False)
        await asyncio.wait_for(self.cleared[detector].wait(), 60)
        return at - float(told["at"])


async def scenario(devices: int, dead: int, flips: int, seed: int) -> dict[str, Any]:
    """One run; times in seconds."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with simulated(folder, devices) as (address, control):
            bench = Bench(folder, address, devices)
            healthy: list[float] = []
            laps: list[float] = []
            jobs = [asyncio.create_task(bench.recorder.run()), asyncio.create_task(bench.poller.run())]
            await bench.poller.first_lap.wait()
            watch = asyncio.create_task(bench.laps(healthy))
            while len(healthy) < QUIET_LAPS + 1:  # noqa: ASYNC110 -- the first also asks who they are
                await asyncio.sleep(0.1)
            watch.cancel()
            gone = spread_evenly(devices, dead)
            for detector in gone:
                await control.ask("fault", detector, fault="silent")
            while bench.poller.status().silent < dead:  # noqa: ASYNC110 -- looked at from outside
                await asyncio.sleep(0.05)
            jobs.append(asyncio.create_task(bench.laps(laps)))
            idle = [d.detector for d in bench.bus.detectors if d.detector not in gone]
            taken: list[float] = []
            busy: set[asyncio.Task[None]] = set()

            async def one(detector: str) -> None:
                taken.append(await bench.flip(control, detector))
                idle.append(detector)

            for _ in range(flips):
                while not idle:  # noqa: ASYNC110 -- one comes back with its clear
                    await asyncio.sleep(0.05)
                task = asyncio.create_task(one(idle.pop(chance.randrange(len(idle)))))
                busy.add(task)
                await asyncio.sleep(chance.uniform(0.1, 0.7))
            await asyncio.gather(*busy)
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            bench.outbox.close()
            quiet = statistics.median(healthy[1:])
            return {
                "healthy": quiet,
                "lap": quiet if not dead else statistics.median(laps),
                "living_formula": formula_s(devices - dead),
                "taken": taken,
                "timeout": bench.profiles[PROFILE].poll.response_timeout_ms / 1000,
            }


def summed_up(devices: int, dead: int, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over the runs, their spread, and the p99 over all flips together."""
    taken = [each for run in runs for each in run["taken"]]
    ratios = [run["lap"] / run["living_formula"] for run in runs]
    return {
        "devices": devices,
        "dead": dead,
        "lap_s": round(statistics.median(run["lap"] for run in runs), 4),
        "lap_ratio": round(statistics.median(ratios), 4),
        "lap_ratio_spread": [round(min(ratios), 4), round(max(ratios), 4)],
        "healthy_lap_s": round(statistics.median(run["healthy"] for run in runs), 4),
        "timeout_s": runs[0]["timeout"],
        "alive_p50_s": round(statistics.median(taken), 4),
        "alive_p99_s": round(p99(taken), 4),
        "alive_max_s": round(max(taken), 4),
        "alive_p99_spread": [round(edge(p99(run["taken"]) for run in runs), 4) for edge in (min, max)],
        "flips": len(taken),
    }


async def measure(repeats: int, flips: int) -> list[dict[str, Any]]:
    """All scenarios, in turn so that a busy minute of the machine hits them alike."""
    runs: dict[tuple[int, int], list[dict[str, Any]]] = {pair: [] for pair in SCENARIOS}
    for repeat in range(repeats):
        for devices, dead in SCENARIOS:
            run = await scenario(devices, dead, flips, seed=repeat)
            runs[devices, dead].append(run)
            print(
                f"run {repeat + 1}/{repeats}: {devices} detectors, {dead} dead: lap {run['lap']:.3f} s, "
                f"p99 {p99(run['taken']):.3f} s",
                file=sys.stderr,
                flush=True,
            )
    return [summed_up(*pair, found) for pair, found in runs.items()]


def main() -> None:
    """Run it and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--flips", type=int, default=70, help="in each run of each scenario")
    parser.add_argument("--peer", choices=["yes", "no"], default="yes")
    parser.add_argument("--outage-s", type=float, default=60.0, help="how long the broker is out of reach")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="these parts, not all")
    given = parser.parse_args()
    try:
        bus_outage.flips_of(given.outage_s)
    except ValueError as error:
        parser.error(f"--outage-s: {error}")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    found: dict[str, Any] = {"name": "bus"}
    if "laps" in given.only:
        with asyncio.Runner(loop_factory=fine_loop) as runner:  # the agent's own
            scenarios = runner.run(measure(given.repeats, given.flips))
        found |= {"lap_ratio": scenarios[0]["lap_ratio"], "scenarios": scenarios}
    if given.peer == "no":
        found |= {"peer": None, "peer_why": "not asked for"}
    elif "peer" in given.only:
        found |= bus_peer.measure(given.repeats, given.flips)
    if "outage" in given.only:
        found |= bus_outage.measure(given.outage_s, with_peer=given.peer == "yes")
    found["settings"] = {
        "baud": BAUD,
        "character_bits": 10,
        "device_ms": DELAY_S * 1000,
        "profile": PROFILE,
        "repeats": given.repeats,
        "flips_per_run": given.flips,
        "outage_s": given.outage_s,
        "recorded": "SQLite WAL, synchronous=FULL, committed",
        "cores": os.cpu_count(),
    }
    print(json.dumps(found))


def _stamp() -> Stamp:
    return Stamp(
        at_ms=int(time.time() * 1000), mono_ms=int(time.monotonic() * 1000), boot="0" * 32, synchronised=True
    )


if __name__ == "__main__":
    main()
