"""The agent as a process: detectors on a real pseudo-terminal, a real broker, a centre that answers."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.outbox_file import Look, look
from tests.harness.box import AREA, GATEWAY, ROOT, SMOKE, Box
from tests.harness.broker import Broker
from tests.harness.centre import Centre, centre
from tests.harness.wait import eventually
from wire.codec import config_hash, seal_config
from wire.messages import (
    Action,
    BusConfig,
    Command,
    Condition,
    DetectorConfig,
    EventKind,
    GatewayConfig,
)


@pytest.fixture
async def box(tmp_path: Path, broker: Broker) -> AsyncIterator[Box]:
    box = Box(tmp_path, {"host": broker.host, "port": broker.port}, [1, 2, 3])
    yield box
    box.close()


@pytest.fixture
async def far(broker: Broker) -> AsyncIterator[Centre]:
    async with centre(broker.host, broker.port, AREA, GATEWAY) as one:
        yield one


def _asserted(far: Centre, detector: str) -> bool:
    return any(e.condition is Condition.SMOKE for e in far.of_kind(EventKind.ASSERT, detector))


async def test_smoke_on_the_line_is_an_event_on_the_topic(box: Box, far: Centre) -> None:
    """A snapshot first, then the flip within a lap and a second; forgotten only after the answer."""
    box.start()
    await eventually(lambda: far.of_kind(EventKind.SNAPSHOT), 15, box.log)
    states = far.of_kind(EventKind.SNAPSHOT)[0].states
    assert states == {"det-1": [], "det-2": [], "det-3": []}
    flipped = time.monotonic()
    box.state[2] = SMOKE
    await eventually(lambda: _asserted(far, "det-2"), 5)
    assert time.monotonic() - flipped < 1.5
    await eventually(lambda: look(box.outbox).depth == 0, 5)
    status = far.status
    assert status is not None
    assert status.online
    await eventually(lambda: far.readings >= 3, 10)
    assert box.stop() == 0
    await eventually(lambda: far.status is not None and not far.status.online, 5)


async def test_smoke_while_no_centre_listens_is_kept_and_sent_later(box: Box, broker: Broker) -> None:
    """The broker is gone when it burns; the record arrives when it is back, after a restart in between."""
    broker.stop()
    box.state[1] = SMOKE
    box.start()
    await eventually(lambda: box.depth() > 0, 10, box.log)
    box.kill9()
    broker.start()
    async with centre(broker.host, broker.port, AREA, GATEWAY) as far:
        box.start()
        await eventually(lambda: _asserted(far, "det-1"), 15)


def _all_arrived(box: Box, far: Centre) -> Look | None:
    """What the file holds, once nothing of it waits and the centre has all of it."""
    seen = look(box.outbox)
    return seen if seen.depth == 0 and far.cursors.get(seen.stream) == seen.highest_seq else None


async def test_whenever_the_agent_is_killed_each_recorded_event_arrives_once(box: Box, far: Centre) -> None:
    """Smoke flips all the time, the agent dies five times without warning."""
    await _kill_loop(box, far, 5)


@pytest.mark.soak
async def test_killed_a_thousand_times_each_recorded_event_arrives_once(box: Box, far: Centre) -> None:
    """The same with the full count (SMOKEWATCH_SOAK_LOOPS, 1,000 where it is not given)."""
    await _kill_loop(box, far, int(os.environ.get("SMOKEWATCH_SOAK_LOOPS", "1000")))


async def _kill_loop(box: Box, far: Centre, kills: int) -> None:
    seeded = random.Random(7)
    box.start()
    for _ in range(kills):
        for _ in range(4):
            box.state[seeded.choice([1, 2, 3])] ^= SMOKE
            await asyncio.sleep(seeded.uniform(0.3, 0.6))
        far.answering = seeded.random() < 0.7
        box.kill9()
        box.start()
    far.answering = True
    before = len(far.statuses)
    await eventually(lambda: any(status.online for status in far.statuses[before:]), 15)
    seen = await eventually(lambda: _all_arrived(box, far), 20)
    assert seen is not None
    assert box.stop() == 0
    # What it recorded after that look, a snapshot say, may have arrived as well: in order, or not at all.
    assert len(far.stored) >= seen.highest_seq
    assert sorted(far.stored) == [(seen.stream, seq) for seq in range(1, len(far.stored) + 1)]
    assert any(_asserted(far, f"det-{unit}") for unit in (1, 2, 3))
    assert far.conflicts == 0
    print(f"{kills} kills, {len(far.stored)} events recorded = stored")


def _sealed(version: int, *buses: BusConfig, epoch: str) -> GatewayConfig:
    return seal_config(epoch, version, list(buses), 60.0)


async def test_a_pushed_configuration_is_applied_kept_and_judged(box: Box, far: Centre) -> None:
    """Applied without a restart, told in the status, kept over a restart; a wrong or older one is refused."""
    box.state[9] = 0
    box.start()
    await eventually(lambda: far.of_kind(EventKind.SNAPSHOT), 15)
    good = _sealed(2, box.bus([1, 9]), epoch=far.epoch)
    await far.push(good)
    await eventually(lambda: far.status is not None and far.status.config_hash == good.hash, 10)
    await eventually(lambda: far.of_kind(EventKind.SNAPSHOT)[-1].states == {"det-1": [], "det-9": []}, 10)
    assert far.of_kind(EventKind.SNAPSHOT)[-1].config_version == 2

    await far.push(_sealed(1, box.bus([1]), epoch=far.epoch))
    await eventually(lambda: "older" in str(far.status and far.status.config_error), 10)
    twice = _twins(box.bus([1]), 2)
    await far.push(_sealed(3, twice, epoch=far.epoch))
    await eventually(lambda: "same unit" in str(far.status and far.status.config_error), 10)
    await eventually(lambda: any("same unit" in str(e.text) for e in far.of_kind(EventKind.NOTE)), 5)
    assert far.status is not None
    assert far.status.config_hash == good.hash == config_hash(good)
    assert far.status.buses[0].answering == 2

    assert box.stop() == 0
    before = len(far.statuses)
    box.start()
    await eventually(
        lambda: any(s.online and s.config_hash == good.hash for s in far.statuses[before:]), 15, box.log()
    )


def _twins(bus: BusConfig, times: int) -> BusConfig:
    """The same unit given to several detectors."""
    one = bus.detectors[0]
    doubles = [DetectorConfig(detector=f"twin-{i}", unit=one.unit, profile=one.profile) for i in range(times)]
    return BusConfig(bus=bus.bus, transport=bus.transport, address=bus.address, detectors=doubles)


async def test_commands_are_done_once_or_refused_on_record(box: Box, far: Centre) -> None:
    """Mute is written where writes are allowed; a repeat is not; what makes no sense is refused."""
    box.start()
    await eventually(lambda: far.of_kind(EventKind.SNAPSHOT), 15)
    pushed = _sealed(1, box.bus([1, 2], allow_writes=True), epoch=far.epoch)
    await far.push(pushed)
    await eventually(lambda: far.status is not None and far.status.config_hash == pushed.hash, 10)
    expires = int(time.time() * 1000) + 60_000
    mute = Command(id=uuid.uuid4().hex, action=Action.MUTE, expires_ms=expires, detector="det-1")
    await far.order(mute)
    await far.order(mute)
    for action in (Action.WALK_TEST, Action.POLL_NOW):
        await far.order(Command(id=uuid.uuid4().hex, action=action, expires_ms=expires, bus="bus-1"))
    await far.order(Command(id=uuid.uuid4().hex, action=Action.RESET, expires_ms=1, detector="det-1"))
    await eventually(lambda: len(far.of_kind(EventKind.NOTE)) >= 4, 10)
    texts = [str(event.text) for event in far.of_kind(EventKind.NOTE)]
    assert any("mute" in text and "done" in text for text in texts)
    assert any("walk_test" in text and "refused: name the detectors" in text for text in texts)
    assert any("poll_now" in text and "done" in text for text in texts)
    assert any("expired" in text for text in texts)
    assert len([request for request in box.slave.requests if request[1] == 6]) == 1


async def test_when_no_write_succeeds_the_agent_watches_on_and_sends_from_memory(
    box: Box, far: Centre
) -> None:
    """No byte can be written: smoke arrives all the same, `storage` is told and ends with the fault."""
    box.start()
    await eventually(lambda: far.of_kind(EventKind.SNAPSHOT), 15)
    on_disk = look(box.outbox).stream
    assert box.process is not None
    resource.prlimit(box.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    box.state[2] = SMOKE
    await eventually(lambda: _asserted(far, "det-2"), 5, box.log)
    await eventually(lambda: far.status is not None and far.status.storage_error, 5)
    box.state[1] = SMOKE
    await eventually(lambda: _asserted(far, "det-1"), 5)
    await eventually(lambda: _storage(far) == [EventKind.ASSERT], 5)
    assert look(box.outbox).stream == on_disk
    resource.prlimit(box.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    await eventually(lambda: _storage(far) == [EventKind.ASSERT, EventKind.CLEAR], 40, box.log)
    await eventually(lambda: far.status is not None and far.status.storage_error is None, 5)
    await eventually(lambda: _all_arrived(box, far), 5)
    assert look(box.outbox).stream != on_disk
    assert box.process.poll() is None


def _storage(far: Centre) -> list[EventKind]:
    """What was told of the gateway's storage, in the order of its arrival."""
    return [event.kind for event in far.stored.values() if event.condition is Condition.STORAGE]


async def test_a_second_agent_on_the_same_state_is_refused(box: Box, far: Centre) -> None:
    """Two agents on one outbox would give numbers twice: the second one says why it cannot run."""
    box.start()
    await eventually(lambda: far.of_kind(EventKind.SNAPSHOT), 15)
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_agent", "run", str(box.config),
        cwd=ROOT, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    _, said = await second.communicate()
    assert second.returncode == 1
    assert b"another agent runs on it" in said


async def test_systemd_is_told_ready_alive_and_stopping(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """READY once it watches, WATCHDOG while the loops turn, STOPPING at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.setblocking(False)
        monkeypatch.setitem(os.environ, "NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setitem(os.environ, "WATCHDOG_USEC", "3000000")
        box.start()
        loop = asyncio.get_running_loop()
        heard = [await asyncio.wait_for(loop.sock_recv(ear, 100), 10) for _ in range(3)]
        assert sorted(set(heard)) == [b"READY=1", b"WATCHDOG=1"]
        assert box.stop() == 0
        while b"STOPPING=1" not in heard:
            heard.append(await asyncio.wait_for(loop.sock_recv(ear, 100), 10))


async def test_the_journal_is_told_how_bad_each_line_is(box: Box, broker: Broker) -> None:
    """A technician asks `journalctl -p warning`; elsewhere lines stay plain JSON."""
    broker.stop()
    reading, writing = os.pipe()
    stream = os.fstat(writing)
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_agent", "run", str(box.config),
        cwd=ROOT, stdout=writing, env={**os.environ, "JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}"},
    )  # fmt: skip
    os.close(writing)
    said: dict[str, str] = {}
    with os.fdopen(reading) as log:
        while not {"agent runs", "uplink_down"} <= said.keys():
            line = await asyncio.wait_for(asyncio.to_thread(log.readline), 15)
            said[json.loads(line[3:])["event"]] = line[:3]
        agent.terminate()
        await agent.wait()
    assert (said["agent runs"], said["uplink_down"]) == ("<6>", "<4>")


def test_check_config_says_what_would_be_read(tmp_path: Path) -> None:
    """Requests a lap and how long it takes; a wrong file ends with 2 and the mend."""
    config = tmp_path / "edge.toml"
    config.write_text((ROOT / "docs" / "examples" / "edge.toml").read_text())
    run = [sys.executable, "-m", "edge_agent", "check-config", str(config)]
    right = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert right.returncode == 0, right.stderr
    assert "bus bus-1" in right.stdout
    assert "2 detectors, 2 requests a lap" in right.stdout
    plain = '[[bus]]\nbus = "flat"\ntransport = "serial"\naddress = "/dev/ttyUSB7"\n'
    plain += 'detectors = [{ detector = "d", unit = 1, profile = "gira-dual-vds" }]\n'
    config.write_text(f"{config.read_text()}\n{plain}")
    right = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "1 detectors, gira-dual-vds, asked every 10 s and heard at once" in right.stdout, right.stderr
    config.write_text(config.read_text().replace("unit = 2", "unit = 1"))
    wrong = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "det-0002" in wrong.stderr


async def test_the_outbox_can_be_looked_at_while_the_agent_runs(box: Box, far: Centre) -> None:
    """`outbox --json` is one object with what was recorded and what is not acknowledged."""
    far.answering = False
    box.start()
    await eventually(lambda: box.depth() > 0, 15)
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge_agent", "outbox", str(box.config), "--json",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await run.communicate()
    facts = json.loads(said)
    assert facts["depth"] == facts["recorded"] == facts["highest_seq"] >= 1
    assert facts["oldest_age_s"] >= 0
