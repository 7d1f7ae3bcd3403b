"""How wide a bucket is and what it is made from, so that a screen gets what it can show. Pure.

Law of this file: a question reads a bounded number of rows, however long its range.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from central.store.rollups import CHINA

MOST_POINTS = 2_000
MOST_SLOTS = 12_000
"""The most buckets of a roll-up that one answer is made of."""
LONGEST = timedelta(days=7310)
_ORIGIN = datetime(2000, 1, 1, tzinfo=CHINA)
_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3600, 86400
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 28)),
)


class Source(StrEnum):
    """What buckets are made from."""

    RAW = "raw"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


_WIDTH = {Source.RAW: _SECOND, Source.MINUTE: _MINUTE, Source.HOUR: _HOUR, Source.DAY: _DAY}


class Kept(NamedTuple):
    """For how long each is kept; days are kept for ever."""

    raw: timedelta = timedelta(days=90)
    minutes: timedelta = timedelta(days=366)
    hours: timedelta = timedelta(days=1827)


KEPT = Kept()
"""As long as the configuration says when it says nothing."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Buckets of one width from `begin` (inclusive) to `end` (exclusive), both on its grid."""

    source: Source
    width: timedelta
    begin: datetime
    end: datetime


def choose(begin: datetime, end: datetime, points: int, now: datetime, kept: Kept = KEPT) -> Resolution:
    """The finest that gives at most about `points` buckets, reads little, and is still kept at `begin`."""
    span_s = (end - begin).total_seconds()
    wanted_s = span_s / points
    least = {
        Source.RAW: now - kept.raw,
        Source.MINUTE: now - kept.minutes,
        Source.HOUR: now - kept.hours,
    }
    for source, above in zip(Source, (_MINUTE, _HOUR, _DAY, None), strict=True):
        last = source is Source.DAY
        # Raw rows are no slots: they serve buckets under a minute, thus ranges of hours.
        few = source is Source.RAW or span_s / _WIDTH[source] <= MOST_SLOTS
        if last or (above is not None and few and begin >= least[source]):
            width_s = next((s for s in _STEPS if s >= max(wanted_s, _WIDTH[source])), _STEPS[-1])
            if last or (above is not None and width_s < above):
                width = timedelta(seconds=width_s)
                return Resolution(source, width, _floor(begin, width), _ceil(end, width))
    raise AssertionError("days serve everything")


def _floor(at: datetime, width: timedelta) -> datetime:
    return _ORIGIN + (at - _ORIGIN) // width * width


def _ceil(at: datetime, width: timedelta) -> datetime:
    return _ORIGIN - (_ORIGIN - at) // width * width
