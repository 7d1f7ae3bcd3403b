"""Readings that wait for the centre, in memory.

Law of this file: bounded. When it is full the oldest reading gives way and is counted; `oldest_seq` moves on,
so that the centre learns of the gap. A buffer is one stream: each start of the agent makes a new one. Alarms
never come here.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, TypeVar

from edge_agent.observation import Sample
from wire.messages import Clock, ReadingBatch

T = TypeVar("T", int, float)

CAPACITY = 60_000
"""About eight hours of 128 detectors at one reading a minute; some 10 MB."""
ROW_BYTES = 110
"""A generous encoded row: time, id of 32 characters, four numbers, status."""
ENVELOPE_BYTES = 600


class _Row(NamedTuple):
    at_ms: int
    sample: Sample


class ReadingBuffer:
    """Rows `oldest_seq` to `highest_seq` of one stream. For one thread (the event loop's)."""

    def __init__(self, stream: str, boot: str, capacity: int = CAPACITY) -> None:
        self.stream = stream
        self.boot = boot
        self.dropped = 0
        """Readings that gave way since the start."""
        self._capacity = capacity
        self._rows: deque[_Row] = deque()
        self._oldest = 1

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


def _column(values: list[T | None]) -> list[T | None]:
    """A column without any value travels as an empty one."""
    return values if any(value is not None for value in values) else []
