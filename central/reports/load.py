"""What alarms ask of people, after ISA-18.2 / IEC 62682 (performance monitoring). Law of this file: pure.

The standard counts what is annunciated to one operating position; here that is everybody who is called of a
street. A return of an alarm counts again. Ten-minute and hourly windows are regular, from the period's begin.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from central.reports.model import Call, Chatter, Flood, Load
from central.reports.noise import ratio

TEN_MINUTES = timedelta(minutes=10)
HOUR = timedelta(hours=1)
FLOOD_OVER = 10
FLOOD_ENDS_BELOW = 5
CHATTER_CALLS = 3
CHATTER_WITHIN = timedelta(minutes=1)
BUSY_HOUR = 30
STANDING_AFTER = timedelta(hours=24)


def load(calls: Sequence[Call], begin: datetime, end: datetime, standing: int) -> Load:
    """Of the calls from `begin` (inclusive) to `end` (exclusive)."""
    within = sorted((call for call in calls if begin <= call.at < end), key=lambda call: call.at)
    tens, hours = _windows(within, begin, TEN_MINUTES), _windows(within, begin, HOUR)
    floods = _floods(tens, begin, end)
    span = max(end - begin, timedelta(0))
    flooded = sum((flood.end - flood.begin for flood in floods), timedelta(0))
    by_source = Counter(call.source for call in within)
    top = sum(count for _, count in by_source.most_common(10))
    return Load(
        hours=span / HOUR,
        calls=len(within),
        per_hour=ratio(len(within), span / HOUR),
        busiest_hour=max(hours.values(), default=0),
        busiest_ten_minutes=max(tens.values(), default=0),
        hours_over_30=sum(count > BUSY_HOUR for count in hours.values()),
        flood_ratio=ratio(flooded / HOUR, span / HOUR),
        floods=tuple(floods),
        top_ten_ratio=ratio(top, len(within)),
        chattering=_chattering(within, by_source),
        standing=standing,
    )


def _windows(calls: Iterable[Call], begin: datetime, width: timedelta) -> dict[int, int]:
    """How many calls lie in each window, by its number; empty ones are left out."""
    return Counter((call.at - begin) // width for call in calls)


def _floods(tens: dict[int, int], begin: datetime, end: datetime) -> list[Flood]:
    floods: list[Flood] = []
    first: int | None = None
    alarms = 0
    for number in sorted({*tens, *(number + 1 for number in tens)}):
        count = tens.get(number, 0)
        if first is not None and count < FLOOD_ENDS_BELOW:
            floods.append(_flood(first, number, alarms, begin, end))
            first = None
        if first is None and count > FLOOD_OVER:
            first, alarms = number, 0
        alarms += count
    return floods


def _flood(first: int, until: int, alarms: int, begin: datetime, end: datetime) -> Flood:
    return Flood(begin + first * TEN_MINUTES, min(begin + until * TEN_MINUTES, end), alarms)


def _chattering(calls: Iterable[Call], by_source: Counter[str]) -> tuple[Chatter, ...]:
    last: dict[str, deque[datetime]] = {}
    found: set[str] = set()
    for call in calls:
        moments = last.setdefault(call.source, deque(maxlen=CHATTER_CALLS))
        moments.append(call.at)
        if len(moments) == CHATTER_CALLS and call.at - moments[0] <= CHATTER_WITHIN:
            found.add(call.source)
    ranked = sorted(found, key=lambda source: (-by_source[source], source))
    return tuple(Chatter(source, by_source[source]) for source in ranked)
