"""The two lanes up: what goes into the next message, and what an answer means.

Law of this file: no MQTT. A lane joins a store (outbox, reading buffer) with its `Sender`; batches are made
at the moment of sending, never mix boots and stay small enough that an alarm never waits long behind one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from edge_agent.clock import Clock
from edge_agent.outbox import Outbox
from edge_agent.readings import Readings
from wire.codec import encode
from wire.messages import Ack, EventBatch, Lane
from wire.sender import Outcome, Range, Sender

EVENT_BYTES = 32_000
"""Events in a batch at most; half the limit: an alarm may have to wait for one batch on a slow line."""
LEAST_EVENT_BYTES = 4_000
SLOW_ANSWER_MS = 800
"""The centre judges a gateway's batches one after the other, and an alarm waits for the one it is at: answers
that take longer make the batches smaller, quick ones larger again."""
BACKLOG_ROWS = 200
"""While so many events wait for their answer readings wait too: both cost the centre the same processor."""
READING_BYTES = 16_000
EVENT_WINDOW = 8
READING_WINDOW = 4
ALONE_MESSAGES = 100
"""So many messages carry one event each after the centre could not read an envelope."""
NEW_STREAM_EVERY_S = 10.0
"""A centre that asks for new streams faster than this is not obeyed."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message ready to go."""

    payload: bytes
    urgent: bool


class Stamps:
    """Echo stamps: the monotonic clock in ms, but never the same one twice."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        """A stamp for a message sent now."""
        self._last = max(self._last + 1, self._clock.mono_ms())
        return self._last


class EventLane:
    """Events from the outbox. An event is forgotten when the centre has answered it, and only then."""

    def __init__(self, outbox: Outbox, clock: Clock, stamps: Stamps) -> None:
        self._outbox = outbox
        self._clock = clock
        self._stamps = stamps
        self._alone = 0
        self._streamed_at: float | None = None
        self._log = structlog.get_logger()
        self._seen = 0
        self._fire: tuple[int, float] | None = None
        self._most_bytes = LEAST_EVENT_BYTES  # until the centre shows what it can take
        # Numbers mean something in one stream only: no step may see the stream change in its middle.
        self._turn = asyncio.Lock()
        self.sender = self._fresh_sender()

    @property
    def behind(self) -> bool:
        """Whether a backlog is being drained."""
        return self.sender.depth >= BACKLOG_ROWS

    async def fire_at(self) -> float | None:
        """When the newest urgent event that is held was first seen here, monotonic; None when none is."""
        held = await asyncio.to_thread(self._outbox.urgent, 0, 1)
        if not held:
            self._fire = None
        elif self._fire is None or self._fire[0] != held[-1]:
            self._fire = (held[-1], self._clock.mono_s())
        return self._fire[1] if self._fire else None

    async def refresh(self) -> None:
        """Learn what was recorded since."""
        async with self._turn:
            await self._refresh()

    async def next(self, backlog_may_go: bool) -> Parcel | None:
        """The next message: an urgent one at any time, another only when `backlog_may_go`."""
        async with self._turn:
            return await self._next(backlog_may_go)

    async def on_ack(self, ack: Ack) -> Outcome:
        """Take an answer: forget, go to a new stream, remember the epoch."""
        async with self._turn:
            return await self._on_ack(ack)

    async def on_epoch(self, epoch: str) -> bool:
        """Hear which database the centre has; True when it is another than before."""
        async with self._turn:
            changed = self.sender.on_epoch(epoch)
            await self._keep_epoch()
            return changed

    async def _refresh(self) -> None:
        stands = self._outbox.standing
        if stands.stream != self.sender.stream:
            # Folded, or gone to memory, or mended: what is held has other numbers now.
            await self._start_over(self.sender.stream)
            return
        if stands.highest_seq <= self._seen:
            return
        urgent = await asyncio.to_thread(self._outbox.urgent, self._seen)
        if self._outbox.stream != stands.stream:
            return
        for seq in urgent:
            self.sender.recorded(seq, urgent=True)
        self.sender.recorded(stands.highest_seq)
        self._seen = stands.highest_seq

    async def _next(self, backlog_may_go: bool) -> Parcel | None:
        rows = self.sender.next_range(self._clock.mono_s())
        if rows is None or not (rows.urgent or backlog_may_go):
            return None
        last = rows.first if self._alone else rows.last
        stream = self.sender.stream
        held = await asyncio.to_thread(self._outbox.batch, rows.first, last, self._most_bytes, stream)
        if self._outbox.stream != stream:
            return None  # the next refresh begins the new one
        if not held.events:
            # Never seen: rows have no holes. Going on without it beats standing still before it.
            self._log.error("events_missing", first=rows.first, last=last)
            self.sender.evicted(last)
            return None
        self._alone = max(0, self._alone - 1)
        stamp = self._stamps.next()
        batch = EventBatch(
            stream=self.sender.stream,
            first_seq=held.events[0].seq,
            oldest_seq=held.oldest_seq,
            boot=held.boot,
            sent_boot=self._clock.boot,
            clock=self._clock.sending(stamp),
            events=held.events,
        )
        payload = encode(batch)
        self.sender.sent(
            Range(rows.first, held.events[-1].seq, rows.urgent), self._clock.mono_s(), echo_ms=stamp
        )
        return Parcel(payload, rows.urgent)

    async def _on_ack(self, ack: Ack) -> Outcome:
        outcome = self.sender.on_ack(ack, self._clock.mono_s())
        if outcome.forget_through is not None:
            await asyncio.to_thread(self._outbox.forget, outcome.forget_through, self.sender.stream)
        if outcome.one_by_one:
            self._alone = ALONE_MESSAGES
        if outcome.answered:
            self._keep_pace(self._clock.mono_ms() - (ack.echo_ms or 0))
            await self._keep_epoch()
        if outcome.new_stream:
            await self._new_stream()
        return outcome

    def _keep_pace(self, answer_ms: int) -> None:
        if answer_ms > SLOW_ANSWER_MS:
            self._most_bytes = max(LEAST_EVENT_BYTES, self._most_bytes // 2)
        elif answer_ms < SLOW_ANSWER_MS // 2:
            self._most_bytes = min(EVENT_BYTES, self._most_bytes * 2)

    async def _keep_epoch(self) -> None:
        if self.sender.epoch is not None and self.sender.epoch != self._outbox.epoch:
            await asyncio.to_thread(self._outbox.save_epoch, self.sender.epoch)

    async def _new_stream(self) -> None:
        now = self._clock.mono_s()
        if self._streamed_at is not None and now - self._streamed_at < NEW_STREAM_EVERY_S:
            return
        self._streamed_at = now
        old = self._outbox.stream
        await asyncio.to_thread(self._outbox.new_stream)
        await self._start_over(old)

    async def _start_over(self, old: str) -> None:
        self.sender = await asyncio.to_thread(self._fresh_sender)
        self._log.warning("new_stream", old=old, new=self.sender.stream, held=self.sender.depth)

    def _fresh_sender(self) -> Sender:
        stands, urgent = self._outbox.standing, self._outbox.urgent()
        while self._outbox.stream != stands.stream:
            stands, urgent = self._outbox.standing, self._outbox.urgent()
        sender = Sender(
            stands.stream,
            Lane.EVENTS,
            highest=stands.highest_seq,
            acked=stands.oldest_seq - 1,
            window=EVENT_WINDOW,
            epoch=self._outbox.epoch,
        )
        for seq in urgent:
            sender.recorded(seq, urgent=True)
        self._seen = sender.highest
        return sender


class ReadingLane:
    """Readings, one stream after the other: what an outage left on disk first, then those of this start."""

    def __init__(self, readings: Readings, clock: Clock, stamps: Stamps) -> None:
        self._readings = readings
        self._clock = clock
        self._stamps = stamps
        self.sender = self._fresh_sender()

    async def next(self) -> Parcel | None:
        """The next message, or None when there is nothing or the window is full."""
        now = self._clock.mono_s()
        if self.sender.stream != self._readings.stream:
            self.sender = self._fresh_sender()
        self.sender.recorded(self._readings.highest_seq)
        self.sender.evicted(self._readings.oldest_seq - 1)
        rows = self.sender.next_range(now)
        if rows is None:
            return None
        stamp = self._stamps.next()
        sender = self.sender
        batch = await self._readings.batch(rows.first, rows.last, self._clock.sending(stamp), READING_BYTES)
        if batch is None or batch.stream != sender.stream or self.sender is not sender:
            return None
        payload = encode(batch)
        sender.sent(Range(rows.first, rows.first + len(batch.t) - 1), now, echo_ms=stamp)
        return Parcel(payload, urgent=False)

    async def on_ack(self, ack: Ack) -> Outcome:
        """Take an answer: forget."""
        outcome = self.sender.on_ack(ack, self._clock.mono_s())
        if outcome.forget_through is not None:
            await self._readings.forget(outcome.forget_through, ack.stream)
        return outcome

    def _fresh_sender(self) -> Sender:
        return Sender(
            self._readings.stream,
            Lane.READINGS,
            highest=self._readings.highest_seq,
            acked=self._readings.oldest_seq - 1,
            window=READING_WINDOW,
        )
