"""Readings that wait for the centre: in memory while it answers, on disk in an outage.

Law of this file: bounded. When all is full the oldest readings give way and are counted; `oldest_seq` moves
on, so that the centre learns of the gap. Each start of the agent makes a new stream; what an earlier one left
on disk keeps its own and is sent first. Alarms never come here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from edge_agent.observation import Sample
from edge_agent.spool import Segment, Spool, part_of
from wire.messages import Clock, ReadingBatch

T = TypeVar("T", int, float)

CAPACITY = 60_000
"""About eight hours of 128 detectors at one reading a minute; some 10 MB."""
SPOOL_AFTER_S = 600.0
"""Readings that have waited so long go to disk; a power cut costs no more than these minutes."""
SPOOL_ROWS = 1500
"""Rows in a file: quick to unpack, some 15 kB."""
TEND_S = 20.0
ROW_BYTES = 110
"""A generous encoded row: time, id of 32 characters, four numbers, status."""
ENVELOPE_BYTES = 600


class _Row(NamedTuple):
    at_ms: int
    sample: Sample


class ReadingBuffer:
    """Rows `oldest_seq` to `highest_seq` of one stream. For one thread (the event loop's)."""

    def __init__(self, stream: str, boot: str, capacity: int = CAPACITY, first: int = 1) -> None:
        self.stream = stream
        self.boot = boot
        self.dropped = 0
        """Readings that gave way since the start."""
        self._capacity = capacity
        self._rows: deque[_Row] = deque()
        self._oldest = first

    @property
    def oldest_seq(self) -> int:
        """The lowest row held; one above the highest when none is."""
        return self._oldest

    @property
    def highest_seq(self) -> int:
        """The last row ever added; 0 before the first."""
        return self._oldest + len(self._rows) - 1

    @property
    def depth(self) -> int:
        """Rows held."""
        return len(self._rows)

    @property
    def oldest_at_ms(self) -> int | None:
        """When the oldest row held was read, by the agent's wall clock; None: none is held."""
        return self._rows[0].at_ms if self._rows else None

    def add(self, sample: Sample, at_ms: int) -> int:
        """Take a reading seen at `at_ms` (agent's wall clock); returns its seq."""
        if len(self._rows) >= self._capacity:
            self._rows.popleft()
            self._oldest += 1
            self.dropped += 1
        self._rows.append(_Row(at_ms, sample))
        return self.highest_seq

    def forget(self, through: int) -> None:
        """The centre has everything up to here."""
        while self._rows and self._oldest <= through:
            self._rows.popleft()
            self._oldest += 1

    def batch(self, first: int, last: int, clock: Clock, max_bytes: int) -> ReadingBatch | None:
        """Rows `first` to at most `last` as far as `max_bytes` reach; None when `first` is not held."""
        if not self._oldest <= first <= self.highest_seq:
            return None
        count = max(1, min(last, self.highest_seq) - first + 1)
        count = max(1, min(count, (max_bytes - ENVELOPE_BYTES) // ROW_BYTES))
        start = first - self._oldest
        rows = [self._rows[start + index] for index in range(count)]
        samples = [row.sample for row in rows]
        return ReadingBatch(
            stream=self.stream,
            first_seq=first,
            oldest_seq=self._oldest,
            boot=self.boot,
            clock=clock,
            t=[row.at_ms for row in rows],
            detector=[sample.detector for sample in samples],
            smoke=_column([sample.smoke for sample in samples]),
            temperature=_column([sample.temperature for sample in samples]),
            battery=_column([sample.battery for sample in samples]),
            contamination=_column([sample.contamination for sample in samples]),
            status=_column([sample.status for sample in samples]),
        )


class Readings:
    """All readings of this box. For the event loop's thread; what touches the disk is awaited.

    `room` says how many bytes the readings on disk may take just now; `now_ms` is the wall clock the samples
    are stamped with.
    """

    def __init__(
        self,
        buffer: ReadingBuffer,
        spool: Spool | None = None,
        room: Callable[[], int] = lambda: 0,
        now_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._buffer = buffer
        self._spool = spool
        self._room = room
        self._now_ms = now_ms
        self._lock = asyncio.Lock()
        self._held: deque[Segment] = deque([] if spool is None else spool.segments)
        self._open: ReadingBatch | None = None
        """The segment that is being sent, unpacked."""
        self._refused = False
        self._log = structlog.get_logger()

    @property
    def stream(self) -> str:
        """The stream whose turn it is: the oldest with anything held."""
        return self._held[0].stream if self._held else self._buffer.stream

    @property
    def oldest_seq(self) -> int:
        """The lowest row held of that stream."""
        return self._held[0].first if self._held else self._buffer.oldest_seq

    @property
    def highest_seq(self) -> int:
        """The last row of that stream."""
        stream = self.stream
        if stream == self._buffer.stream:
            return self._buffer.highest_seq
        return max(segment.last for segment in self._held if segment.stream == stream)

    @property
    def depth(self) -> int:
        """Readings held."""
        return self._buffer.depth + sum(segment.rows for segment in self._held)

    @property
    def dropped(self) -> int:
        """Readings that gave way since the start."""
        return self._buffer.dropped + (0 if self._spool is None else self._spool.rows_dropped)

    def add(self, sample: Sample, at_ms: int) -> None:
        """Take a reading seen at `at_ms` (agent's wall clock)."""
        self._buffer.add(sample, at_ms)

    async def batch(self, first: int, last: int, clock: Clock, max_bytes: int) -> ReadingBatch | None:
        """Rows `first` to at most `last` of `stream`, as far as `max_bytes` reach; None: not held."""
        async with self._lock:
            stream, oldest = self.stream, self.oldest_seq
            for segment in self._held:
                if segment.stream == stream and segment.first <= first <= segment.last:
                    return await self._from_disk(segment, first, last, oldest, clock, max_bytes)
            if stream != self._buffer.stream:
                return None
            found = self._buffer.batch(first, last, clock, max_bytes)
            return found if found is None else msgspec.structs.replace(found, oldest_seq=oldest)

    async def forget(self, through: int, stream: str) -> None:
        """The centre has everything of a stream up to here."""
        async with self._lock:
            while self._held and self._held[0].stream == stream and self._held[0].last <= through:
                assert self._spool is not None
                try:
                    await asyncio.to_thread(self._spool.forget, self._held[0])
                except OSError as error:
                    self._log.warning("a spooled file cannot be removed", why=str(error))
                self._held.popleft()
            if stream == self._buffer.stream:
                self._buffer.forget(through)

    async def run(self) -> None:
        """Spool what waits too long, for ever."""
        while True:
            await asyncio.sleep(TEND_S)
            await self.tend()

    async def tend(self) -> None:
        """Put on disk what has waited too long, and keep to the room there is."""
        oldest = self._buffer.oldest_at_ms
        late = oldest is not None and self._now_ms() - oldest > SPOOL_AFTER_S * 1000
        if late or self._buffer.depth > CAPACITY // 2:
            await self.spool_all()
        elif self._held:
            async with self._lock:
                await self._keep_to_room()

    async def spool_all(self) -> None:
        """Put on disk all that is in memory: in an outage, and before the agent ends."""
        async with self._lock:
            while self._spool is not None and self._buffer.depth:
                await self._keep_to_room()
                first = self._buffer.oldest_seq
                limit = SPOOL_ROWS * ROW_BYTES + ENVELOPE_BYTES
                batch = self._buffer.batch(first, first + SPOOL_ROWS - 1, Clock(0, 0), limit)
                if batch is None:
                    return
                try:
                    segment = await asyncio.to_thread(self._spool.write, batch)
                except OSError as error:
                    if not self._refused:
                        self._log.error("readings stay in memory: the disk refuses them", why=str(error))
                    self._refused = True
                    return
                self._refused = False
                self._held.append(segment)
                self._buffer.forget(segment.last)

    async def _from_disk(
        self, segment: Segment, first: int, last: int, oldest: int, clock: Clock, max_bytes: int
    ) -> ReadingBatch | None:
        assert self._spool is not None
        whole = self._open
        if whole is None or (whole.stream, whole.first_seq) != (segment.stream, segment.first):
            whole = self._open = await asyncio.to_thread(self._spool.read, segment)
        if whole is None:
            # Damaged: it is a gap in the middle that only `oldest_seq` can tell, so all before it has gone.
            self._log.error("spooled readings are damaged", first=segment.first, rows=segment.rows)
            self._held.remove(segment)
            return None
        most = max(1, (max_bytes - ENVELOPE_BYTES) // ROW_BYTES)
        part = part_of(whole, first, min(last, segment.last, first + most - 1))
        return msgspec.structs.replace(part, oldest_seq=oldest, clock=clock)

    async def _keep_to_room(self) -> None:
        spool = self._spool
        if spool is None:
            return
        await asyncio.to_thread(lambda: spool.shrink(self._room()))
        held = set(spool.segments)
        self._held = deque(segment for segment in self._held if segment in held)


def _column(values: list[T | None]) -> list[T | None]:
    """A column without any value travels as an empty one."""
    return values if any(value is not None for value in values) else []
