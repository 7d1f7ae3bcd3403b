"""Spans of time in which something was away. Pure. Law of this file: from is inclusive, to exclusive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple


class Span(NamedTuple):
    """From one moment to another, and why."""

    begin: datetime
    end: datetime
    why: str = ""


def down_spans(changes: Iterable[Mapping[str, Any]], end: datetime) -> dict[tuple[str, str], list[Span]]:
    """Spans by (gateway, part) from the changes of their alarms, in order; an open one lasts until `end`.

    A change is a row with alarm `id`, `gateway`, `part`, `condition`, `to_state` and `at`.
    """
    found: dict[tuple[str, str], list[Span]] = {}
    since: dict[int, tuple[datetime, Mapping[str, Any]]] = {}
    for change in changes:
        active = str(change["to_state"]).startswith("active")
        if active:
            since.setdefault(change["id"], (change["at"], change))
        elif change["id"] in since:
            began, first = since.pop(change["id"])
            _add(found, first, began, change["at"])
    for began, first in since.values():
        _add(found, first, began, end)
    return found


def _add(
    found: dict[tuple[str, str], list[Span]], row: Mapping[str, Any], begin: datetime, end: datetime
) -> None:
    if begin < end:
        found.setdefault((row["gateway"], row["part"]), []).append(Span(begin, end, row["condition"]))


def merged(spans: Iterable[Span]) -> list[Span]:
    """The time that any of them covers, as spans apart from each other; why is dropped."""
    done: list[Span] = []
    for span in sorted(spans):
        if done and span.begin <= done[-1].end:
            done[-1] = Span(done[-1].begin, max(done[-1].end, span.end))
        else:
            done.append(Span(span.begin, span.end))
    return done


def clipped(spans: Iterable[Span], windows: Sequence[Span]) -> Iterator[Span]:
    """What of the spans lies within the windows."""
    for span in spans:
        for window in windows:
            begin, end = max(span.begin, window.begin), min(span.end, window.end)
            if begin < end:
                yield Span(begin, end, span.why)


def seconds(spans: Iterable[Span]) -> float:
    """Their lengths in all."""
    return sum((span.end - span.begin).total_seconds() for span in spans)


def holes(starts: Sequence[datetime], width: timedelta, within: Span, least: timedelta) -> list[Span]:
    """Where buckets (by their starts, in order) are missing for at least `least`, within a span."""
    found, at = [], within.begin
    for start in [*starts, within.end]:
        if start - at >= least and start > at:
            found.append(Span(at, start))
        at = max(at, start + width)
    return found
