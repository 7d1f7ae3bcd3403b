"""Everything together. Law of this file: pure; a month is one of China's clock."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime

from central.engine.policy import CHINA
from central.reports.load import load
from central.reports.model import Gathered, Month
from central.reports.noise import by_detector, causes_of, false_of, judged, ratio
from central.reports.times import by_place

NOISIEST = 20
_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")


def month_of(text: str) -> tuple[datetime, datetime]:
    """Begin and end of a month written as 2026-10. Raises ValueError."""
    found = _MONTH.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:20]!r} is no month: write it as 2026-10")
    year, month = int(found[1]), int(found[2])
    following = (year + 1, 1) if month == 12 else (year, month + 1)
    return datetime(year, month, 1, tzinfo=CHINA), datetime(*following, 1, tzinfo=CHINA)


def month(gathered: Gathered) -> Month:
    """The report."""
    fires = gathered.fires
    told = judged(fires)
    return Month(
        area=gathered.area,
        begin=gathered.begin,
        end=gathered.end,
        fires=len(fires),
        open=sum(fire.closed_at is None for fire in fires),
        dispositions=dict(sorted(Counter(fire.disposition or "" for fire in told).items())),
        false_ratio=ratio(len(false_of(fires)), len(told)),
        causes=causes_of(fires),
        nobody_reachable=gathered.nobody_reachable,
        times=by_place(fires, gathered.names),
        noisiest=by_detector(fires)[:NOISIEST],
        load=load(gathered.calls, gathered.begin, gathered.end, gathered.standing),
        unreached=gathered.unreached,
        watched=gathered.watched,
        cut=gathered.cut,
    )
