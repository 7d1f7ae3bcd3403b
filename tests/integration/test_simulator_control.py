"""Orders over the local socket, and the command line as a process."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from device_profiles.load import load_profiles
from simulator.control import ControlClient, ControlError, ControlServer
from simulator.faults import Kind
from simulator.orders import Do
from simulator.runner import Runner
from simulator.scenario import BusSpec, DetectorSpec, SiteFile, Step
from tests.harness.wait import eventually

PROFILES = load_profiles()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ControlClient]:
    """A client of a simulator with two detectors."""
    detectors = (DetectorSpec(id="d-1", unit=1), DetectorSpec(id="d-2", unit=2))
    plan = SiteFile(bus=(BusSpec(id="riser", link=str(tmp_path / "riser"), detector=detectors),))
    async with (
        Runner(plan, PROFILES, time.time) as runner,
        ControlServer(runner, tmp_path / "c"),
        ControlClient(tmp_path / "c") as one,
    ):
        yield one


async def test_an_order_is_answered_with_the_moment_it_was_done(client: ControlClient) -> None:
    """Seconds since 1970 to the millisecond."""
    before = time.time()
    told = await client.ask("flip", "d-1", on=True)
    assert before - 0.001 <= told["at"] <= time.time() + 0.001
    state = await client.ask("state", "d-1")
    assert (state["conditions"], state["smoke_since"]) == (["smoke"], told["at"])


async def test_the_lists_tell_what_there_is(client: ControlClient, tmp_path: Path) -> None:
    """Buses with their addresses, detectors with their places, requests served."""
    told = await client.ask("list")
    assert told["addresses"] == {"riser": str(tmp_path / "riser")}
    assert told["detectors"]["d-2"] == {"bus": "riser", "unit": 2, "profile": "smokewatch-reference"}
    assert (await client.ask("polls"))["polls"] == {"d-1": 0, "d-2": 0}


async def test_a_bus_is_unplugged_and_plugged_by_order(client: ControlClient, tmp_path: Path) -> None:
    """Twice is as good as once."""
    for _ in range(2):
        await client.ask("unplug", bus="riser")
        assert not (tmp_path / "riser").is_symlink()
    for _ in range(2):
        await client.ask("plug", bus="riser")
        assert (tmp_path / "riser").is_symlink()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"\n\n{}", "missing required field `do`"),
        (b"fire!", "malformed"),
        (b'{"do": "explode", "detector": "d-1"}', "use one of: ignite"),
        (b'{"do": "ignite", "detector": "d-3"}', "did you mean 'd-"),
        (b'{"do": "ignite", "detector": 7}', "Expected `str"),
        (b'{"do": "ignite", "detector": "d-1", "colour": "red"}', "unknown field `colour`"),
        (b'{"do": "fault", "detector": "d-1", "fault": "slow", "ms": 1e9}', "<= 600000"),
        (b'{"do": ' + b"[" * 3000, "str"),
        (b'{"do": "ignite", "detector": "\xff"}', "utf-8"),
        (b'{"do": "ignite", "detector": ' + b'{"a":' * 800, "str"),
        (b'{"x": ' + b'{"a":' * 800, "unknown field `x`"),
        (b"\xff\xfe", "malformed"),
    ],
)
async def test_a_bad_order_is_answered_plainly_and_the_next_is_done(
    client: ControlClient, tmp_path: Path, line: bytes, says: str
) -> None:
    """The connection stays."""
    reader, writer = await asyncio.open_unix_connection(tmp_path / "c")
    writer.write(line + b"\n" + b'{"do": "ignite", "detector": "d-1"}\n')
    told, then = [json.loads(await asyncio.wait_for(reader.readline(), 3)) for _ in range(2)]
    writer.close()
    await writer.wait_closed()
    assert told["ok"] is False
    assert says.lower() in told["error"].lower()
    assert then["ok"] is True
    assert (await client.ask("state", "d-1"))["air"] == "fire"


async def test_an_endless_line_is_cut_off_and_others_go_on(client: ControlClient, tmp_path: Path) -> None:
    """Input is bounded."""
    reader, writer = await asyncio.open_unix_connection(tmp_path / "c")
    writer.write(b"x" * 100_000)
    assert b"longer than 4096 bytes" in await asyncio.wait_for(reader.readline(), 3)
    writer.close()
    assert (await client.ask("polls"))["polls"]["d-1"] == 0


async def test_a_story_is_told_in_its_order(tmp_path: Path) -> None:
    """A step that fails does not end it."""
    detectors = (DetectorSpec(id="d-1", unit=1),)
    step: dict[str, Any] = {"detector": "d-1"}
    story = (
        Step(at=0.02, do=Do.FAULT, fault=Kind.ECHO, **step),
        Step(at=0.05, do=Do.REMOVE, **step),
        Step(at=0.0, do=Do.BREAK, **step),
    )
    plan = SiteFile(bus=(BusSpec(id="b", link=str(tmp_path / "b"), detector=detectors),), story=story)
    async with Runner(plan, PROFILES, time.time) as runner:
        await eventually(lambda: runner.site.detectors["d-1"].state.removed, 3)
        assert runner.site.detectors["d-1"].state.faulty


async def test_a_living_simulator_keeps_its_socket_and_a_dead_ones_is_taken(
    client: ControlClient, tmp_path: Path
) -> None:
    """Neither is mistaken for the other; a file is left alone."""
    plan = SiteFile(bus=(BusSpec(id="x", link=str(tmp_path / "x")),))
    runner = Runner(plan, PROFILES, time.time)
    with pytest.raises(ControlError, match="another simulator listens there"):
        await ControlServer(runner, tmp_path / "c").__aenter__()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    async with ControlServer(runner, tmp_path / "dead"), ControlClient(tmp_path / "dead") as other:
        assert (await other.ask("polls"))["polls"] == {}
    assert not (tmp_path / "dead").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ControlError, match="is no socket"):
        await ControlServer(runner, tmp_path / "file").__aenter__()
    with pytest.raises(ControlError, match="use a shorter path"):
        await ControlServer(runner, tmp_path / ("x" * 120)).__aenter__()
    assert (await client.ask("polls"))["polls"]["d-1"] == 0


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulator", *words], capture_output=True, text=True, timeout=30, check=False
    )


def test_the_command_line_plays_a_line_takes_orders_and_leaves_nothing(tmp_path: Path) -> None:
    """Ready line, one order of each outcome, SIGTERM, exit 0."""
    link, control = tmp_path / "riser", tmp_path / "c"
    child = subprocess.Popen(
        [sys.executable, "-m", "simulator", "bus", "--link", link, "--detectors", "3", "--control", control],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        ready = json.loads(child.stdout.readline())
        assert ready == {
            "ready": True,
            "buses": [{"id": "bus-1", "transport": "pty", "address": str(link)}],
            "detectors": 3,
            "control": str(control),
        }
        assert link.is_symlink()
        assert control.stat().st_mode & 0o777 == 0o600
        done = run("control", str(control), "flip", "d-002", "on")
        assert (done.returncode, list(json.loads(done.stdout))) == (0, ["at"])
        done = run("control", str(control), "fault", "d-003", "slow", "ms=400")
        assert done.returncode == 0
        told = json.loads(run("control", str(control), "state", "*").stdout)["states"]
        assert (told["d-002"]["conditions"], told["d-003"]["fault"]) == (["smoke"], "slow")
        refused = run("control", str(control), "ignite", "d-004")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "there is no detector 'd-004'" in refused.stderr
        assert "Traceback" not in refused.stderr
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["bus"], 2, "give SITE.toml"),
        (["bus", "none.toml"], 1, "cannot be read"),
        (["bus", "--link", "no/such/folder"], 1, "No such file"),
        (["bus", "--tcp-port", "0", "--detectors", "300"], 1, "<= 247"),
        (["bus", "--tcp-port", "0", "--profile", "smokewatch-referense"], 1, "did you mean"),
        (["control", "no.sock", "list"], 1, "no simulator listens"),
        (["control", "no.sock", "flip", "d-1", "sideways"], 2, "sideways"),
        (["explode"], 2, "invalid choice"),
    ],
)
def test_wrong_arguments_are_told_plainly(words: list[str], status: int, says: str) -> None:
    """On stderr, without a traceback."""
    done = run(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_help_shows_examples() -> None:
    """For both commands."""
    assert "--detectors 32 --baud 9600 --delay-ms 30" in run("bus", "--help").stdout
    assert "ignite d-001" in run("control", "--help").stdout
