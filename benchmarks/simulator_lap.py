"""How truly the simulator keeps the time of a line: laps of a bare master against the formula, and its CPU.

    python -m benchmarks.simulator_lap --json [--buses 4] [--detectors 32] [--laps 5]

Formula for one exchange: request and answer on the wire, twice 3.5 characters of silence, the device's delay.
The master is as simple as can be and waits the second silence itself, so what exceeds the formula is the
simulator's error and that of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tty
from pathlib import Path

from simulator.rtu import crc

_REGISTERS = 5
_ANSWER = 5 + 2 * _REGISTERS


def formula_s(baud: int, delay_ms: float) -> float:
    """Seconds one exchange takes on the line, 8N1."""
    character = 10 / baud
    return (8 + _ANSWER + 2 * 3.5) * character + delay_ms / 1000


def laps(path: str, units: int, count: int, baud: int, into: list[float]) -> None:
    """Poll units 1 to `units` in turn; the seconds of each lap."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    gap = 3.5 * 10 / baud
    frames = []
    for unit in range(1, units + 1):
        body = bytes((unit, 4, 0, 0, 0, _REGISTERS))
        frames.append(body + crc(body))
    for _ in range(count):
        start = time.perf_counter()
        for frame in frames:
            os.write(fd, frame)
            heard = b""
            while len(heard) < _ANSWER:
                if not select.select([fd], [], [], 2)[0]:
                    raise SystemExit(f"no answer to {frame.hex(' ')} after {heard.hex(' ')}")
                heard += os.read(fd, 256)
            if crc(heard[:-2]) != heard[-2:]:
                raise SystemExit(f"wrong checksum: {heard.hex(' ')}")
            time.sleep(gap)
        into.append(time.perf_counter() - start)
    os.close(fd)


def main() -> None:
    """Run it and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--buses", type=int, default=1)
    parser.add_argument("--detectors", type=int, default=32)
    parser.add_argument("--laps", type=int, default=5)
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--delay-ms", type=float, default=30.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = []
        for bus in range(given.buses):
            lines += [
                f'[[bus]]\nid = "b-{bus}"\nlink = "b-{bus}"\nbaud = {given.baud}\ndelay_ms = {given.delay_ms}'
            ]
            lines += [
                f'[[bus.detector]]\nid = "d-{bus}-{unit}"\nunit = {unit}\nseed = {unit}'
                for unit in range(1, given.detectors + 1)
            ]
        (folder / "site.toml").write_text("\n".join(lines))
        with subprocess.Popen(
            [sys.executable, "-m", "simulator", "bus", folder / "site.toml"],
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            taken: list[list[float]] = [[] for _ in range(given.buses)]
            before, start = _cpu_s(child.pid), time.perf_counter()
            threads = [
                threading.Thread(
                    target=laps,
                    args=(str(folder / f"b-{n}"), given.detectors, given.laps, given.baud, taken[n]),
                )
                for n in range(given.buses)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            cpu, wall = _cpu_s(child.pid) - before, time.perf_counter() - start
            child.terminate()
    every = [lap for bus in taken for lap in bus]
    expected = formula_s(given.baud, given.delay_ms) * given.detectors
    polls = given.buses * given.detectors * given.laps
    print(
        json.dumps(
            {
                "name": "simulator_lap",
                "lap_s": round(statistics.median(every), 4),
                "lap_formula_s": round(expected, 4),
                "lap_ratio": round(statistics.median(every) / expected, 4),
                "lap_ratio_max": round(max(every) / expected, 4),
                "lap_ratio_min": round(min(every) / expected, 4),
                "cpu_share": round(cpu / wall, 4),
                "cpu_ms_per_poll": round(cpu / polls * 1000, 3),
                "settings": vars(given) | {"registers": _REGISTERS, "cores": os.cpu_count()},
            }
        )
    )


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
