"""What the edge agent costs the box it runs on: processor, memory, flash and mobile data.

    python -m benchmarks.footprint --json [--seconds 60] [--polls 1000000] [--hours 6] [--speed 60]

Three measurements, each in processes of its own, one after the other:

- the real agent on 4 buses of 32 detectors at full lap rate, pseudo-terminals with the time of a 9600 baud
  line and devices that think for 30 ms, on a broker (`cpu_ms_per_poll`, `rss_mb`);
- the poller on a line without any time, 1,000,000 polls (`_endless`: `rss_growth_mb`);
- hours of normal life over TLS with compressed time (`_month`: `uplink_mb_per_month`, `flash_mb_per_day`).

Every key is explained in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import structlog

from benchmarks._month import month
from simulator.control import ask
from simulator.parts import Nats

BUSES, DETECTORS = 4, 32
BAUD, DELAY_MS = 9600, 30
SETTLE_S = 15.0
ROOT = Path(__file__).parents[1]


def site() -> str:
    """The simulator's file."""
    lines = []
    for bus in range(1, BUSES + 1):
        lines.append(f'[[bus]]\nid = "line-{bus}"\nlink = "line-{bus}"\nbaud = {BAUD}\ndelay_ms = {DELAY_MS}')
        lines += [
            f'[[bus.detector]]\nid = "det-{bus}-{unit}"\nunit = {unit}\nseed = {bus * 100 + unit}'
            for unit in range(1, DETECTORS + 1)
        ]
    return "\n".join(lines)


def settings(folder: Path, port: int) -> str:
    """The agent's file."""
    text = f'''area = "danshuichi"
gateway = "gw-0001"
state_dir = "{folder}/state"
machine_id_file = "{folder}/machine-id"
clock = "trusted"
[mqtt]
host = "127.0.0.1"
port = {port}
'''
    for bus in range(1, BUSES + 1):
        text += f'[[bus]]\nbus = "line-{bus}"\ntransport = "serial"\nbaud = {BAUD}\n'
        text += f'address = "{folder}/line-{bus}"\n'
        for unit in range(1, DETECTORS + 1):
            text += f'[[bus.detectors]]\ndetector = "det-{bus}-{unit}"\nunit = {unit}\n'
            text += 'profile = "smokewatch-reference"\n'
    return text


def at_work(seconds: float) -> dict[str, Any]:
    """The real agent on four full lines."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "site.toml").write_text(site())
        (folder / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        broker = Nats(folder / "broker")
        broker.start()
        (folder / "edge.toml").write_text(settings(folder, broker.port))
        control = folder / "sim.sock"
        run = [sys.executable, "-m"]
        lines = subprocess.Popen(
            [*run, "simulator", "bus", str(folder / "site.toml"), "--control", str(control)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert lines.stdout is not None
        lines.stdout.readline()
        agent = subprocess.Popen(
            [*run, "edge_agent", "run", str(folder / "edge.toml")], stdout=subprocess.DEVNULL, cwd=ROOT
        )
        try:
            time.sleep(SETTLE_S)
            polls, cpu, began = _polls(control), _cpu_s(agent.pid), time.monotonic()
            time.sleep(seconds)
            polls, cpu = _polls(control) - polls, _cpu_s(agent.pid) - cpu
            lasted, rss, peak = time.monotonic() - began, _kb(agent.pid, "VmRSS"), _kb(agent.pid, "VmHWM")
            assert agent.poll() is None, "the agent ended"
        finally:
            for child in (agent, lines):
                child.terminate()
                child.wait(20)
            broker.kill9()
    assert polls > 0, "nothing was polled"
    return {
        "cpu_ms_per_poll": round(cpu / polls * 1000, 3),
        "cpu_share": round(cpu / lasted, 4),
        "rss_mb": round(rss * 1024 / 1e6, 1),
        "rss_peak_mb": round(peak * 1024 / 1e6, 1),
        "polls_per_s": round(polls / lasted, 1),
    }


def endless(polls: int) -> dict[str, Any]:
    """The poller alone, in a process that does nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._endless", "--polls", str(polls)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {
        "rss_growth_mb": found.pop("rss_growth_mb"),
        "endless": found,
    }


def main() -> None:
    """Run it and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the real agent at work")
    parser.add_argument("--polls", type=int, default=1_000_000, help="of the poller without line time")
    parser.add_argument("--hours", type=float, default=6.0, help="of normal life that count")
    parser.add_argument("--speed", type=float, default=60.0, help="how often faster they pass")
    parser.add_argument("--report-s", type=float, default=3600.0, help="a reading at least so often")
    given = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    found = at_work(given.seconds)
    found |= endless(given.polls)
    found |= month(given.hours, given.speed, given.report_s, ROOT / ".cache")
    print(
        json.dumps(
            {
                "name": "footprint",
                **found,
                "settings": vars(given)
                | {
                    "cores": os.cpu_count(),
                    "buses": BUSES,
                    "detectors_a_bus": DETECTORS,
                    "line": f"{BAUD} 8N1, devices {DELAY_MS} ms, pseudo-terminals",
                    "broker": "nats-server",
                    "tls": "1.3, client certificates, one connection",
                    "qos": 1,
                    "outbox": "SQLite, WAL, synchronous=FULL",
                },
            }
        )
    )


def _polls(control: Path) -> int:
    answer = ask(control, "polls")
    return sum(int(count) for count in answer["polls"].values())


def _cpu_s(pid: int) -> float:
    """Seconds on a processor, all threads; ticks would miscount what a timer wakes for less than one."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _kb(pid: int, what: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0])


if __name__ == "__main__":
    main()
