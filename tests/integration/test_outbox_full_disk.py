"""A file system without a free block: an alarm is written, what is less waits its turn elsewhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.config import OutboxSettings
from edge_agent.observation import Observation, Sample, Stamp
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import held_events
from edge_agent.readings import ReadingBuffer, Readings
from edge_agent.spool import Spool
from tests.harness.programs import lacking
from wire.messages import Condition, EventKind

BOOT = "b" * 32
SMOKE = Observation(EventKind.ASSERT, Condition.SMOKE, "d-1")
LIMITS = OutboxSettings(10_000_000, 1_000_000)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 8 MB; mounting takes root."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "smokewatch-test", str(place)],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        lacking(f"cannot mount, which takes root: {done.stderr.decode()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def stamp(second: int) -> Stamp:
    return Stamp(1_800_000_000_000, second * 1000, BOOT, True)


def fault(number: int) -> Observation:
    return Observation(EventKind.ASSERT, Condition.FAULT, f"d-{number}", text="x" * 400)


def fill_up(place: Path) -> Path:
    """Another program takes every block there is."""
    hog = place / "hog"
    with hog.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\xff" * 4096)
        except OSError:
            pass
    return hog


def on_disk(path: Path) -> list[str]:
    return [str(event.get("condition")) for event in held_events(path)]


def test_on_a_full_disk_smoke_is_written_and_everything_comes_home_later(disk: Path) -> None:
    """Faults go on in memory, the reserve is spent on the smoke, and is kept again when there is room."""
    path = disk / "outbox.db"
    box = Outbox.open(path, "m-1", limits=LIMITS)
    assert (disk / "reserve").stat().st_blocks * 512 >= 1_000_000
    hog = fill_up(disk)
    number = 0
    while box.trouble is None:
        box.append([fault(number)] * 5, stamp(number))
        number += 1
    assert "smoke" not in on_disk(path)
    box.append([SMOKE], stamp(number))
    assert box.trouble is None
    assert not (disk / "reserve").exists()
    assert on_disk(path).count("smoke") == 1
    assert on_disk(path).count("fault") == number * 5, "what was in memory came along"
    hog.unlink()
    box.tend(stamp(number + 1))
    assert (disk / "reserve").exists()
    held = box.batch(box.oldest_seq, box.highest_seq, 10**7).events
    assert [e.condition for e in held][-2:] == [Condition.STORAGE] * 2
    box.close()


async def test_readings_give_way_before_anything_else(disk: Path) -> None:
    """A fault needs room: the oldest spooled readings go, and the fault is on disk."""
    spool = Spool(disk / "readings")
    box = Outbox.open(
        disk / "outbox.db", "m-1", limits=OutboxSettings(10_000_000, 0),
        make_room=lambda: spool.shrink(spool.bytes // 2),
    )  # fmt: skip
    readings = Readings(ReadingBuffer("a" * 32, BOOT), spool, lambda: 10**9)
    for minute in range(200):
        for each in range(50):
            readings.add(Sample(f"d-{each}", smoke=os.urandom(2)[0] / 7), minute * 60_000)
        await readings.spool_all()
    before = spool.bytes
    fill_up(disk)
    for number in range(100):
        box.append([fault(number)], stamp(number))
    assert box.trouble is None
    assert spool.bytes < before
    assert spool.rows_dropped > 0
    assert on_disk(disk / "outbox.db").count("fault") == 100
    box.close()
