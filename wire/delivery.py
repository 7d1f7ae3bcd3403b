"""The centre's end of a lane: sequence, acknowledgement, gap, repeat, conflict. The edge's end is `sender`.

Law of this file: pure. The centre stores what these functions call new, moves its cursor (the end of what it
holds without a hole) where they say, and answers *every* batch after the commit, at the cursor, with the
asks and with the batch's `clock.mono_ms` as echo: without the echo the edge forgets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wire.codec import event_digest
from wire.messages import Ask, Event, EventBatch, ReadingBatch
from wire.sender import Outcome, Range, Sender

__all__ = ["EventsTaken", "Outcome", "Range", "ReadingsTaken", "Sender", "take_events", "take_readings"]


@dataclass(frozen=True, slots=True)
class EventsTaken:
    """What a batch of events means for the centre."""

    new: tuple[Event, ...]
    """Store and judge these, in this order; also those ahead of the cursor."""
    cursor: int
    """Everything up to here is stored or can never come."""
    gap: tuple[int, int] | None
    """First and last row that can never come: record it and raise `data_gap`."""
    conflicts: tuple[Event, ...]
    """Same name, other content than stored: quarantine these and raise `clone_suspected`."""
    asks: tuple[Ask, ...]
    """What the answer asks of the gateway."""


@dataclass(frozen=True, slots=True)
class ReadingsTaken:
    """What a batch of readings means for the centre."""

    skip: int
    """Rows at the start of the batch that are not to be stored: stored already, or all of them when ahead."""
    cursor: int
    """Everything up to here is stored or can never come."""
    gap: tuple[int, int] | None
    """First and last row that can never come."""
    ahead: bool
    """Something before this batch is missing and may still come: answered, not stored."""


def take_events(cursor: int, stored: Mapping[int, bytes], batch: EventBatch) -> EventsTaken:
    """Judge a batch of (gateway, stream) against what is stored of it.

    `stored` holds `event_digest` by seq for every stored event within the batch and above the cursor; the
    rest may be left out.
    """
    new: list[Event] = []
    conflicts: list[Event] = []
    for event in batch.events:
        digest = stored.get(event.seq)
        if digest is None:
            # Also below the cursor: a row once given up for lost is welcome when it comes after all.
            new.append(event)
        elif digest != event_digest(event):
            conflicts.append(event)
    gap = _missing(cursor, batch.oldest_seq, stored)
    cursor = max(cursor, batch.oldest_seq - 1)
    last = batch.first_seq + len(batch.events) - 1
    while cursor + 1 in stored or batch.first_seq <= cursor + 1 <= last:
        cursor += 1
    asks: list[Ask] = []
    if conflicts:
        asks.append(Ask.NEW_STREAM)
    if gap is not None:
        asks.append(Ask.SNAPSHOT)
    return EventsTaken(tuple(new), cursor, gap, tuple(conflicts), tuple(asks))


def take_readings(cursor: int, batch: ReadingBatch) -> ReadingsTaken:
    """Judge a batch of readings of (gateway, stream) against the cursor."""
    gap = _missing(cursor, batch.oldest_seq, {})
    cursor = max(cursor, batch.oldest_seq - 1)
    rows = len(batch.t)
    if batch.first_seq > cursor + 1:
        return ReadingsTaken(skip=rows, cursor=cursor, gap=gap, ahead=True)
    skip = min(rows, cursor + 1 - batch.first_seq)
    return ReadingsTaken(skip=skip, cursor=max(cursor, batch.first_seq + rows - 1), gap=gap, ahead=False)


def _missing(cursor: int, oldest: int, stored: Mapping[int, bytes]) -> tuple[int, int] | None:
    """The span between the cursor and the oldest row the edge holds, without what is stored at its ends."""
    first, last = cursor + 1, oldest - 1
    while first <= last and first in stored:
        first += 1
    while last >= first and last in stored:
        last -= 1
    return (first, last) if first <= last else None
