"""P1: a fire that is committed reaches the fire brigade's centre, whenever its sender is killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.parts.child import Child
from tests.harness.fire_centre import TRANSMITTER, US, FireCentre, components
from tests.harness.town import Town, batch, event, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind


@pytest.fixture
def centre() -> Iterator[FireCentre]:
    made = FireCentre().start()
    yield made
    made.stop()
    assert made.wrong == []


@pytest.fixture
def worker(tmp_path: Path, database: str, centre: FireCentre) -> Iterator[Child]:
    """`smokewatch-central worker`, a process of its own; not started."""
    (tmp_path / "central.toml").write_text(
        f'[database]\ndsn = "{database}"\n[broker]\nhost = "127.0.0.1"\n[channels.console]\n'
        f'[[forward]]\nid = "fire-119"\nhost = "127.0.0.1"\nport = {centre.port}\n'
        f"source_address = {TRANSMITTER}\ndestination_address = {US}\n"
    )
    made = Child("worker", tmp_path / "worker.log")
    yield made
    made.stop(timeout_s=10)


async def start(worker: Child, tmp_path: Path, centre: FireCentre) -> None:
    """Until it has spoken to the centre."""
    before = len(centre.packets)
    command = [sys.executable, "-m", "central", "worker", str(tmp_path / "central.toml")]
    worker.start(command, lambda _: True, timeout_s=30)
    await eventually(lambda: len(centre.packets) > before, 30, "the worker speaks to the centre")


async def test_a_fire_survives_a_kill_between_commit_and_send_and_one_between_send_and_confirmation(
    town: Town, centre: FireCentre, worker: Child, tmp_path: Path
) -> None:
    """The first was never sent and arrives once; the second is repeated under its own serial number."""
    await start(worker, tmp_path, centre)
    await eventually(lambda: centre.of_kind(21), 10, "it is there")
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)  # from here on it sends nothing
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    worker.kill9()
    assert centre.told() == []

    await start(worker, tmp_path, centre)
    await eventually(centre.fires, 10, "the fire")
    await eventually(lambda: all_confirmed(town), 10, "confirmed")

    centre.behaviour = "silent"
    await send(town, batch([event(2, EventKind.ASSERT, Condition.SMOKE, detector="det-2")]))
    await eventually(lambda: len(centre.fires()) == 2, 10, "the second fire")
    worker.kill9()
    assert not await all_confirmed(town)
    centre.behaviour = "confirm"
    await start(worker, tmp_path, centre)
    await eventually(lambda: all_confirmed(town), 10, "confirmed")

    assert [one.point for one in centre.fires()] == [1, 2, 2]
    serials = [packet.serial for packet in centre.packets if components(packet)]
    assert serials[1] == serials[2] != serials[0]


async def all_confirmed(town: Town) -> bool:
    return await town.rows("SELECT FROM forward WHERE confirmed_at IS NULL") == []
