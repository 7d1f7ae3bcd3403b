"""The demo as a newcomer meets it: it plays a fire, leaves no mess, keeps its data, names a busy port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from simulator.parts import free_port
from tests.harness.wait import eventually_now

DEMO = [sys.executable, "-m", "simulator", "demo"]


def test_one_fire_ends_in_a_closed_alarm_and_nothing_is_lost() -> None:
    """--once --json: 120 detectors, one message, one person, one object of figures, exit status 0."""
    run = subprocess.run(
        [*DEMO, "--once", "--json"], capture_output=True, text=True, timeout=170, check=False
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    print(told)
    assert (told["detectors"], told["gateways"], told["grids"]) == (120, 4, 58)
    assert told["delivered"] >= 1
    assert told["acknowledged"] >= 1
    assert told["closed"] >= 1
    assert told["events_recorded"] == told["events_stored"] > 0
    assert (told["duplicates"], told["lost"]) == (0, 0)
    assert told["alarm_latency_s"] > 0


def test_ctrl_c_leaves_nothing_running_and_the_next_start_finds_its_data(folder: Path) -> None:
    """The second start has the first one's events; even a killed demo leaves no process behind."""
    port = free_port()
    with _demo(folder, port) as demo:
        recorded = eventually_now(lambda: _rows(folder), 60, "events are on record at the edge")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    assert _left(folder) == []
    with _demo(folder, port) as demo:
        assert _rows(folder) >= recorded
        demo.kill()
        demo.wait(10)
    eventually_now(lambda: _left(folder) == [], 40, "nothing runs after a kill -9 of the demo")


def test_a_busy_port_is_named(folder: Path) -> None:
    """Somebody else listens there: the message says which port, and nothing is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        run = subprocess.run(
            [*DEMO, "--folder", str(folder), "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert run.returncode == 1
    assert str(port) in run.stderr
    assert _left(folder) == []


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="smokewatch-demo-test-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


@contextmanager
def _demo(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "demo.log").open("ab") as log:
        demo = subprocess.Popen(
            [*DEMO, "--folder", str(folder), "--port", str(port)], stdout=log, stderr=log, cwd=Path.cwd()
        )
    try:
        eventually_now(lambda: demo.poll() is not None or _serves(port), 90, "the demo serves its page")
        eventually_now(
            lambda: demo.poll() is not None or "Ctrl-C" in (folder / "demo.log").read_text(), 60, "all is up"
        )
        assert demo.poll() is None, (folder / "demo.log").read_text()
        yield demo
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait(10)


def _serves(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return "网格" in answer.read().decode()
    except (URLError, OSError):
        return False


def _rows(folder: Path) -> int:
    """How many events the first gateway's file has ever held."""
    shown = subprocess.run(
        [sys.executable, "-m", "edge_agent", "outbox", str(folder / "gw-1.toml"), "--json"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return int(json.loads(shown.stdout)["recorded"]) if shown.returncode == 0 else 0


def _left(folder: Path) -> list[str]:
    """Command lines of processes that still work on this folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(file.parent.name) != os.getpid():
            found.append(line)
    return found
