"""What the shell tells the deciding core: which fires the centre has answered for, by whatever numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import edge_agent.calling
from edge_agent.calling import Calling
from edge_agent.clock import Clock
from edge_agent.fallback_settings import FallbackSettings
from edge_agent.observation import Observation
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from edge_agent.recorder import Recorder
from tests.harness.store import Handed
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind
from wire.sender import Range

SMOKE = Observation(EventKind.ASSERT, Condition.SMOKE, "det-1")
FAULT = Observation(EventKind.ASSERT, Condition.FAULT, "det-2")


@dataclass
class Box:
    """The shell over a real outbox, a clock that is set by hand, and a sounder."""

    outbox: Outbox
    now: float = 1000.0
    sounded: list[str] = field(default_factory=list)
    refuses: bool = False
    looks: int = 0

    def __post_init__(self) -> None:
        clock = Clock(wall_ms=lambda: int(self.now * 1000), mono_s=lambda: self.now, boot="b" * 32)
        self.recorder = Recorder(Handed(self._append), clock.stamp, lambda: None, StorageError)
        self.calling = Calling(
            FallbackSettings(sounders=("siren",)),
            "gw-1",
            self.outbox,
            self._record,
            clock,
            self._alive,
            list,
            lambda _: "",
            self._sound,
        )
        self.recorder.on_seen, self.recorder.on_written = self.calling.seen, self.calling.written
        self.task = asyncio.create_task(self.calling.run())

    def _append(self, *what: object) -> object:
        if self.refuses:
            raise StorageError("no room")
        return self.outbox.append(*what)  # type: ignore[arg-type]

    async def _record(self, said: Sequence[Observation], tracked: Mapping[str, bytes]) -> None:
        await self.recorder.record(said, tracked)
        await self.recorder.close()

    def _alive(self) -> float:
        self.looks += 1
        return self.now

    async def _sound(self, detector: str) -> str | None:
        self.sounded.append(detector)
        return None

    async def seen(self, *what: Observation) -> None:
        await self.recorder.record(what, {})
        await self.recorder.close()

    async def pass_time(self, seconds: float) -> None:
        """Move the clock, and wait until the shell has looked at it."""
        await self.look()
        self.now += seconds
        await self.look()

    async def look(self) -> None:
        from_now = self.looks + 2
        await eventually(lambda: self.looks >= from_now)


@pytest.fixture
async def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Box]:
    monkeypatch.setattr(edge_agent.calling, "LOOK_EVERY_S", 0.01)
    made = Box(Outbox.open(tmp_path / "outbox.db", "machine"))
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)
    made.outbox.close()


async def test_a_fire_that_was_answered_ahead_of_a_backlog_has_a_centre(box: Box) -> None:
    """It still waits in the outbox for what lies before it, but the centre has alarmed it long ago."""
    await box.seen(FAULT)
    await box.seen(SMOKE)
    box.calling.stored(box.outbox.stream, Range(2, 2, urgent=True))
    await box.pass_time(100)
    assert box.sounded == []
    assert box.outbox.depth == 2


async def test_a_fire_that_the_outbox_forgot_was_answered(box: Box) -> None:
    """Also when the answer came before anybody looked at its number."""
    await box.seen(SMOKE)
    box.outbox.forget(1)
    box.calling.stored(box.outbox.stream, Range(1, 1))
    await box.pass_time(100)
    assert box.sounded == []


async def test_an_answer_to_another_stream_is_none_for_the_fire_of_this_number(box: Box) -> None:
    """A new stream counts from 1 again: the fire has another number now, and waits for its own answer."""
    await box.seen(FAULT)
    await box.seen(SMOKE)
    before = box.outbox.stream
    box.outbox.forget(1)
    box.outbox.new_stream()
    box.calling.stored(before, Range(1, 1))
    await box.pass_time(25)
    await eventually(lambda: box.sounded == ["siren"])


async def test_a_fire_gets_its_number_again_in_a_new_stream(box: Box) -> None:
    """And the answer to that counts."""
    await box.seen(FAULT)
    await box.seen(SMOKE)
    await box.look()
    box.outbox.forget(1)
    box.outbox.new_stream()
    box.calling.stored(box.outbox.stream, Range(1, 1))
    await box.pass_time(100)
    assert box.sounded == []


async def test_a_fire_that_the_disk_refuses_is_called_as_well(box: Box) -> None:
    """It cannot be sent either: all the more."""
    box.refuses = True
    await box.seen(SMOKE)
    await box.pass_time(25)
    await eventually(lambda: box.sounded == ["siren"])


async def test_what_was_done_is_on_record_with_what_a_restart_must_know(box: Box) -> None:
    """Begun, told, ended; then another start on the same file calls nobody."""
    await box.seen(SMOKE)
    await box.pass_time(25)
    await eventually(lambda: box.outbox.highest_seq == 4)
    events = box.outbox.batch(2, 4, 64_000).events
    assert {event.kind for event in events} == {EventKind.FALLBACK}
    assert {(event.detector, event.condition) for event in events} == {("det-1", Condition.SMOKE)}
    box.task.cancel()
    await asyncio.gather(box.task, return_exceptions=True)
    again = Box(box.outbox, now=box.now)
    await again.pass_time(25)
    assert again.sounded == []
    again.task.cancel()
    await asyncio.gather(again.task, return_exceptions=True)


async def test_a_fire_that_the_outbox_lost_without_an_answer_is_called(box: Box) -> None:
    """A damaged file was set aside: that the row is gone proves nothing of the centre."""
    await box.seen(SMOKE)
    box.outbox.forget(1)
    await box.pass_time(25)
    await eventually(lambda: box.sounded == ["siren"])
