"""A walk test: somebody goes from detector to detector with test smoke. Which of it is a test, and how long.

Law of this file: pure; whatever is odd is smoke. The gateway always says smoke, with the walk test's number,
and counts its half hour by its own steady clock; only what bears that number, of a detector that the walk
test names, while it lasts here too, is a test, and that for three minutes at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from central.engine.window import Window, WindowKind

LASTS = timedelta(minutes=30)
REAL_AFTER = timedelta(minutes=3)
"""Test smoke is gone by then."""


def lasting(windows: Sequence[Window], now: datetime) -> list[Window]:
    """The walk tests among a detector's windows that are under way."""
    return [one for one in windows if one.kind is WindowKind.WALK_TEST and one.lasts(now)]


def counts_until(
    windows: Sequence[Window], named: str | None, seen: datetime, now: datetime
) -> datetime | None:
    """Until when smoke seen at `seen`, with the number of a walk test, is a test; None: it is smoke now."""
    of = next((one for one in lasting(windows, now) if str(one.id) == named), None)
    if of is None:
        return None
    until = min(min(seen, now) + REAL_AFTER, of.ends, of.begins + LASTS)
    return until if until > now else None
