"""The lane of events: no step sees the stream change in its middle."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.lanes import EventLane, Stamps
from edge_agent.ledger import Rows
from edge_agent.observation import Observation, Stamp
from edge_agent.outbox import Outbox
from wire.codec import decode
from wire.messages import Ack, Ask, Condition, EventBatch, EventKind, Lane
from wire.topics import Channel

BOOT, EPOCH = "b" * 32, "e" * 32


class SlowDisk(Outbox):
    """The real outbox on a disk that takes its time over one read."""

    reading: threading.Event
    go_on: threading.Event

    def batch(self, first: int, last: int, max_bytes: int, stream: str | None = None) -> Rows:
        self.reading.set()
        assert self.go_on.wait(10)
        return super().batch(first, last, max_bytes, stream)


async def test_a_new_stream_that_is_asked_for_while_a_batch_is_read_loses_no_event(tmp_path: Path) -> None:
    """The answer waits for the read; then everything held goes out under the new stream."""
    outbox = SlowDisk.open(tmp_path / "outbox.db", "machine")
    assert isinstance(outbox, SlowDisk)
    outbox.reading, outbox.go_on = threading.Event(), threading.Event()
    outbox.go_on.set()
    clock = Clock(wall_ms=lambda: 1_800_000_000_000, mono_s=lambda: 100.0, boot=BOOT)
    stamp = Stamp(at_ms=1_800_000_000_000, mono_ms=1000, boot=BOOT, synchronised=True)
    for number in range(1, 5):
        outbox.append([Observation(EventKind.ASSERT, Condition.FAULT, f"d-{number}")], stamp)
    outbox.forget(2)
    lane = EventLane(outbox, clock, Stamps(clock))
    before = outbox.stream
    first = await lane.next(backlog_may_go=True)
    assert first is not None
    sent = decode(Channel.EVENTS, first.payload)
    assert isinstance(sent, EventBatch)
    outbox.append([Observation(EventKind.ASSERT, Condition.SMOKE, "d-9")], stamp)
    await lane.refresh()

    outbox.go_on.clear()
    outbox.reading.clear()
    reading = asyncio.create_task(lane.next(backlog_may_go=True))
    await asyncio.to_thread(outbox.reading.wait, 10)
    conflict = Ack(
        stream=before,
        lane=Lane.EVENTS,
        through_seq=4,
        epoch=EPOCH,
        server_ms=1_800_000_000_000,
        echo_ms=sent.clock.mono_ms,
        ask=[Ask.NEW_STREAM],
    )
    answering = asyncio.create_task(lane.on_ack(conflict))
    early, _ = await asyncio.wait({answering}, timeout=0.3)
    assert not early, "the stream changed under a batch that was being read"
    outbox.go_on.set()
    assert await reading is not None
    assert (await answering).new_stream

    assert outbox.stream != before
    found = []
    while (parcel := await lane.next(backlog_may_go=True)) is not None:
        batch = decode(Channel.EVENTS, parcel.payload)
        assert isinstance(batch, EventBatch)
        assert batch.stream == outbox.stream
        found += [event.detector for event in batch.events]
    assert set(found) == {"d-3", "d-4", "d-9"}
    assert found[0] == "d-9"
    outbox.close()
