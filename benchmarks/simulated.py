"""The simulated line that the agent and its peer are measured on: 9600 8N1, devices that take 30 ms."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from simulator.control import ControlClient

BAUD, DELAY_S = 9600, 0.030
CHARACTER_S = 10 / BAUD
READ_BYTES = 8 + 5 + 2 * 5
"""Request and answer of the five registers that are read in every lap."""


def formula_s(devices: int) -> float:
    """The wire's time for one read of each: request, answer, twice 3.5 characters, the device's own time."""
    return devices * ((READ_BYTES + 2 * 3.5) * CHARACTER_S + DELAY_S)


@asynccontextmanager
async def simulated(folder: Path, devices: int) -> AsyncIterator[tuple[str, ControlClient]]:
    """A line of reference detectors d-001, d-002, ... as a process; its address and its control."""
    control = folder / "sim.sock"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "bus", "--link", str(folder / "riser")),
        *("--detectors", str(devices), "--baud", str(BAUD), "--delay-ms", str(DELAY_S * 1000)),
        *("--control", str(control)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        address = json.loads(await child.stdout.readline())["buses"][0]["address"]
        async with ControlClient(control) as client:
            yield address, client
    finally:
        child.terminate()
        await child.wait()


def spread_evenly(devices: int, dead: int) -> list[str]:
    """Which of them are dead."""
    return [f"d-{1 + place * devices // dead:03}" for place in range(dead)]


def p99(values: Sequence[float]) -> float:
    """The smallest value that 99 in 100 do not exceed."""
    return sorted(values)[max(0, math.ceil(0.99 * len(values)) - 1)]
