"""Which events give way when the outbox is full of them, and what stands in their place.

Law of this file: pure. Smoke, heat and test never come here (the caller keeps them out). Of everything else
that repeats itself the first and the last stay, so that what holds now is still told; the ones between become
one note with their number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from wire.messages import Event, EventKind

_LEAST = 4
"""First, last and two between: fewer are not worth a note."""


class Folded(NamedTuple):
    """What to do with the rows that were looked at."""

    gone: list[int]
    """Rows to delete."""
    notes: dict[int, Event]
    """Row -> the note that takes its place."""


@dataclass(slots=True)
class _Repeats:
    between: list[int] = field(default_factory=list)
    count: int = 0
    """Events between, those counted by earlier notes included."""
    last: tuple[int, Event] | None = None
    last_between: Event | None = None


def fold(rows: Iterable[tuple[int, Event]]) -> Folded:
    """Judge events in the order of their rows. Needs memory for the rows that go, not for all."""
    kinds: dict[tuple[object, ...], _Repeats] = {}
    for row, event in rows:
        key = _key(event)
        if key not in kinds:
            kinds[key] = _Repeats()
            continue
        repeats = kinds[key]
        if repeats.last is not None:
            before, its_event = repeats.last
            repeats.between.append(before)
            repeats.count += _counted(its_event)
            repeats.last_between = its_event
        repeats.last = (row, event)
    gone: list[int] = []
    notes: dict[int, Event] = {}
    for repeats in kinds.values():
        if len(repeats.between) < _LEAST - 2 or repeats.last_between is None:
            continue
        *rest, place = repeats.between
        gone += rest
        notes[place] = _note(repeats.last_between, repeats.count)
    return Folded(sorted(gone), notes)


def _key(event: Event) -> tuple[object, ...]:
    """What makes two events repeats of each other: one condition of one part, told or taken back."""
    if event.condition is not None:
        return (event.condition, event.detector, event.bus)
    return (event.kind, event.detector, event.bus)


def _counted(event: Event) -> int:
    """A note that was made here carries its number as its value."""
    if event.kind is EventKind.NOTE and event.value is not None:
        return max(1, round(event.value))
    return 1


def _note(last: Event, count: int) -> Event:
    what = last.condition.value if last.condition is not None else last.kind.value
    return msgspec.structs.replace(
        last,
        kind=EventKind.NOTE,
        value=float(count),
        states=None,
        text=f"存储已满，{count} 条同类事件已合并 / storage full, {count} repeats folded: {what}",
    )
