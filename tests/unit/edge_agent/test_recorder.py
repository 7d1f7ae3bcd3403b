"""The way into the outbox while the disk refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from edge_agent import recorder as module
from edge_agent.observation import Observation, Seen, Stamp
from edge_agent.recorder import Recorder, is_urgent
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind

SMOKE = Observation(EventKind.ASSERT, Condition.SMOKE, "det-1")
FAULT = Observation(EventKind.ASSERT, Condition.FAULT, "det-1")


class FullError(Exception):
    """The disk is full."""


class Disk:
    """An outbox that may refuse, and stamps that count."""

    def __init__(self) -> None:
        self.full = False
        self.poison: Observation | None = None
        self.rows: list[tuple[Observation, int]] = []
        self.tracked: dict[str, bytes] = {}
        self.moment = 0
        self.changes: list[bool] = []
        self.trouble: str | None = None
        self.writes: list[int] = []
        self.tended = 0

    def record(self, groups: Sequence[Seen]) -> None:
        if self.full:
            raise FullError("no room")
        if any(self.poison in seen.observations for seen in groups):
            raise ValueError("cannot be written")
        self.writes.append(len(groups))
        for seen in groups:
            self.rows += [(one, seen.stamp.at_ms) for one in seen.observations]
            self.tracked.update(seen.tracked)

    def tend(self, stamp: Stamp) -> None:
        self.tended += 1

    def stamp(self) -> Stamp:
        self.moment += 1
        return Stamp(at_ms=self.moment, mono_ms=self.moment, boot="0" * 32, synchronised=True)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    monkeypatch.setattr(module, "GROUP_S", 0.05)
    return Disk()


def _recorder(disk: Disk) -> Recorder:
    return Recorder(disk, disk.stamp, lambda: None, FullError, lambda: disk.changes.append(disk.full))


async def test_what_is_not_urgent_shares_one_write(disk: Disk) -> None:
    """Each write is a flush of the card: ten changes of one second cost one."""
    recorder = _recorder(disk)
    task = asyncio.create_task(recorder.run())
    for number in range(10):
        await recorder.record([FAULT], {f"det-{number}": b"x"})
    await eventually(lambda: recorder.waiting == 0, 2)
    assert disk.writes == [10]
    assert len(disk.tracked) == 10
    task.cancel()


async def test_an_alarm_takes_what_waits_along_and_waits_for_nobody(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the group's time is an hour."""
    monkeypatch.setattr(module, "GROUP_S", 3600.0)
    recorder = _recorder(disk)
    task = asyncio.create_task(recorder.run())
    await recorder.record([FAULT], {})
    await recorder.record([SMOKE], {})
    assert disk.writes == [2]
    task.cancel()


async def test_the_store_is_tended_and_its_trouble_is_told_once_each_way(disk: Disk) -> None:
    """The centre learns at once that events are in memory only, and that they are not any more."""
    changes = []
    recorder = Recorder(
        disk, disk.stamp, lambda: None, FullError, lambda: changes.append(disk.trouble), tend_s=0.01
    )
    task = asyncio.create_task(recorder.run())
    await eventually(lambda: disk.tended > 2, 2)
    assert changes == []
    for trouble in ("read-only", None):
        disk.trouble, before = trouble, disk.tended
        await eventually(lambda before=before: disk.tended > before + 3, 2)
    assert changes == ["read-only", None]
    task.cancel()


async def test_what_is_urgent_is_on_record_when_record_returns(disk: Disk) -> None:
    """Nothing else needs to run for it, and what was seen before it is written before it."""
    recorder = _recorder(disk)
    await recorder.record([FAULT], {})
    assert not disk.rows
    await recorder.record([SMOKE], {"det-1": b"x"})
    assert disk.rows == [(FAULT, 1), (SMOKE, 2)]
    assert disk.tracked == {"det-1": b"x"}


async def test_a_full_disk_delays_but_loses_nothing(disk: Disk) -> None:
    """Everything seen meanwhile is written in order, with the moment of seeing; told once each way."""
    recorder = _recorder(disk)
    task = asyncio.create_task(recorder.run())
    disk.full = True
    for _ in range(5):
        await recorder.record([SMOKE], {})
        await recorder.record([FAULT], {})
    await eventually(lambda: recorder.error == "no room", 2)
    assert recorder.waiting == 10
    disk.full = False
    await eventually(lambda: recorder.waiting == 0, 2)
    moments = [at for _, at in disk.rows]
    assert moments == sorted(set(moments))
    assert [one for one, _ in disk.rows] == [SMOKE, FAULT] * 5
    await eventually(lambda: recorder.error is None, 2)
    assert disk.changes == [True, False]
    task.cancel()


async def test_a_row_that_cannot_be_written_does_not_hold_up_the_rest(disk: Disk) -> None:
    """It is logged and left out."""
    disk.poison = FAULT
    recorder = _recorder(disk)
    await recorder.record([FAULT], {})
    await recorder.record([SMOKE], {})
    assert disk.rows == [(SMOKE, 2)]


async def test_memory_is_bounded_and_smoke_is_never_given_up(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest that is not urgent gives way, and is counted."""
    monkeypatch.setattr(module, "MOST_WAITING", 10)
    recorder = _recorder(disk)
    disk.full = True
    await recorder.record([SMOKE], {})
    for _ in range(30):
        await recorder.record([FAULT], {})
    await recorder.record([SMOKE], {})
    assert recorder.waiting == 10
    assert recorder.given_up == 22
    disk.full = False
    await recorder.close()
    assert [one for one, _ in disk.rows].count(SMOKE) == 2


def test_only_asserts_of_smoke_heat_and_test_are_urgent() -> None:
    """A clear of smoke can wait its turn."""
    assert is_urgent(SMOKE)
    assert not is_urgent(FAULT)
    assert not is_urgent(Observation(EventKind.CLEAR, Condition.SMOKE, "det-1"))
