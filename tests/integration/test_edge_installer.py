"""The installer's commands on the real simulator: alone on the line, and through the running agent."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.control import ask as tell_simulator
from tests.harness.wait import eventually_now

ROOT = Path(__file__).parents[2]
SITE = """
[[bus]]
id = "riser"
link = "{folder}/riser"
baud = 19200
delay_ms = 5
detector = [
  {{ id = "a", unit = 1 }},
  {{ id = "b", unit = 2 }},
  {{ id = "new", unit = 9, profile = "sonbest-sm7571b" }},
]
"""
CONFIG = """
area = "danshuichi"
gateway = "gw-1"
state_dir = "state"
machine_id_file = "machine-id"
clock = "trusted"
[mqtt]
host = "127.0.0.1"
port = 1
[[bus]]
bus = "riser"
transport = "serial"
address = "{folder}/riser"
baud = 19200
"""
DETECTOR = '[[bus.detectors]]\ndetector = "det-{unit}"\nunit = {unit}\nprofile = "smokewatch-reference"\n'


class Line:
    """A simulated riser, a configuration for it, and the commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "site.toml").write_text(SITE.format(folder=folder))
        (folder / "machine-id").write_text("0123456789abcdef\n")
        self.config = folder / "edge.toml"
        units = "".join(DETECTOR.format(unit=unit) for unit in (1, 2, 3))
        self.config.write_text(CONFIG.format(folder=folder) + units)
        self.socket = folder / "sim.sock"
        self.simulator = subprocess.Popen(
            [sys.executable, "-m", "simulator", "bus", folder / "site.toml", "--control", self.socket],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert self.simulator.stdout is not None
        self.simulator.stdout.readline()
        self.agent: subprocess.Popen[bytes] | None = None

    def run(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "edge_agent", command, str(self.config), *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def start_agent(self) -> None:
        with (self.folder / "agent.log").open("wb") as log:
            self.agent = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", "run", str(self.config)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        eventually_now((self.folder / "state" / "control.sock").is_socket, 10)

    def polls(self) -> dict[str, int]:
        counts: dict[str, int] = tell_simulator(self.socket, "polls")["polls"]
        return counts

    def close(self) -> None:
        for process in (self.agent, self.simulator):
            if process is not None:
                process.terminate()
                process.wait(10)
        assert self.simulator.stdout is not None
        self.simulator.stdout.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    one = Line(tmp_path)
    yield one
    one.close()


def _found(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_alone_on_the_line_a_probe_tells_known_unknown_and_missing(line: Line) -> None:
    """Before the agent ever ran; it leaves no state folder behind, which the agent's user could not open."""
    found = _found(line.run("probe", "--units", "1-9", "--json"))
    by_unit = {one["unit"]: one for one in found["found"]}
    assert sorted(by_unit) == [1, 2, 9]
    assert by_unit[1]["detectors"] == ["det-1"]
    assert by_unit[1]["fits"] is True
    # Clean air is a small number, and so is a state: one register alone may fit two models.
    fitting = [one["profile"] for one in by_unit[9]["guess"]["candidates"] if one["score"] == 1]
    assert "sonbest-sm7571b" in fitting
    assert not by_unit[9]["guess"]["sure"]
    assert found["missing"] == [{"detector": "det-3", "unit": 3}]
    assert not (line.folder / "state").exists()


def test_through_the_running_agent_the_living_are_read_all_the_while(line: Line) -> None:
    """The same findings, and the scan does not hold up the watch."""
    line.start_agent()
    command = [sys.executable, "-m", "edge_agent", "probe", str(line.config), "--units", "1-9"]
    scan = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    read_at: list[float] = []
    count = line.polls()["a"]
    while scan.poll() is None:
        if (now := line.polls()["a"]) != count:
            count = now
            read_at.append(time.monotonic())
    assert scan.stdout is not None
    said = scan.stdout.read()
    scan.stdout.close()
    assert scan.returncode == 0
    assert "unit 1: det-1 (smokewatch-reference): answers" in said
    assert "unit 9: unknown: perhaps" in said
    assert "det-3 is configured and does NOT answer" in said
    # A lap of 0.2 s, one timeout for det-3 and one for the scan; the rest is room for a busy machine. A scan
    # that held the line would show as some five seconds.
    assert max(after - before for before, after in itertools.pairwise(read_at)) < 0.2 + 0.3 + 0.3 + 1.2


def test_a_device_is_moved_through_the_agent_and_alone(line: Line) -> None:
    """Each time the simulator's device answers at its new unit, and a taken unit is left alone."""
    move = ("--profile", "sonbest-sm7571b")
    taken = line.run("set-address", "--from", "9", "--to", "1", *move)
    assert taken.returncode == 1
    assert "belongs to det-1" in taken.stderr
    assert line.run("set-address", "--from", "9", "--to", "20", *move).returncode == 0
    assert tell_simulator(line.socket, "list")["detectors"]["new"]["unit"] == 20
    line.start_agent()
    moved = line.run("set-address", "--from", "20", "--to", "21", *move)
    assert moved.returncode == 0, moved.stderr
    assert "answers at unit 21" in moved.stdout
    assert tell_simulator(line.socket, "list")["detectors"]["new"]["unit"] == 21


def test_other_settings_are_not_tried_on_a_bus_that_answers(line: Line) -> None:
    """Where the configured detectors answer, the settings are right."""
    answering = line.run("probe", "--all-settings", "--units", "1")
    assert answering.returncode == 1
    assert "settings are right already" in answering.stderr


def test_all_settings_are_tried_on_an_idle_bus(line: Line) -> None:
    """A new riser without a configured detector; a port that lacks a parity is no end."""
    line.config.write_text(CONFIG.format(folder=line.folder))
    found = _found(line.run("probe", "--all-settings", "--units", "9", "--json"))
    assert "9600 8N1" in found["scans"][0]["settings"]
    assert [one["unit"] for one in found["scans"][0]["found"]] == [9]


def test_a_dry_run_says_what_is_read_and_leaves_the_line_to_a_running_agent(line: Line) -> None:
    """Smoke is seen, a silent one is told; no outbox, no state folder; nothing deafens a watched bus."""
    tell_simulator(line.socket, "flip", "b", on=True)
    done = line.run("run", "--dry-run", "--laps", "1")
    assert done.returncode == 0, done.stderr
    lines = {text.split(" ")[1]: text for text in done.stdout.splitlines()}
    assert "正常 clear" in lines["det-1"]
    assert "烟雾报警 SMOKE" in lines["det-2"]
    assert "无应答 no answer" in lines["det-3"]
    assert not (line.folder / "state").exists()
    line.start_agent()
    assert "an agent runs" in line.run("run", "--dry-run", "--laps", "1").stderr
    watched = line.run("probe", "--all-settings")
    assert watched.returncode == 1
    assert "an agent watches this bus" in watched.stderr


def test_a_dry_run_without_its_port_says_so_and_goes_on(line: Line) -> None:
    """The adapter is plugged in while the installer watches."""
    line.config.write_text(line.config.read_text().replace("/riser", "/not-there"))
    done = line.run("run", "--dry-run", "--laps", "1")
    assert done.returncode == 0
    assert "look at the adapter" in done.stdout
    checked = line.run("check-config")
    assert checked.returncode == 0
    assert "not-there is not there now" in checked.stdout
