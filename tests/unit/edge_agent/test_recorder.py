"""The way into the outbox while the disk refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from edge_agent import recorder as module
from edge_agent.observation import Observation, Stamp
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

    def append(self, told: Sequence[Observation], stamp: Stamp, tracked: Mapping[str, bytes] | None) -> None:
        if self.full:
            raise FullError("no room")
        if self.poison in told:
            raise ValueError("cannot be written")
        self.rows += [(one, stamp.at_ms) for one in told]
        self.tracked.update(tracked or {})

    def stamp(self) -> Stamp:
        self.moment += 1
        return Stamp(at_ms=self.moment, mono_ms=self.moment, boot="0" * 32, synchronised=True)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    return Disk()


def _recorder(disk: Disk) -> Recorder:
    return Recorder(disk.append, disk.stamp, lambda: None, FullError, lambda: disk.changes.append(disk.full))


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
    assert [at for _, at in disk.rows] == list(range(1, 11))
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
