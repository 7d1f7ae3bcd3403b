"""Which alarms are not told because another stands for them.

Law of this file: pure; it filters messages, never state. Smoke, heat and tests are never folded, nor anything
that falls silent while smoke is behind it. What is folded is judged again when its parent is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from central.engine.effects import Decision, DueKind, Open, Schedule
from central.engine.model import Condition

CHILDREN = frozenset({Condition.NO_RESPONSE, Condition.BUS_DOWN, Condition.BUS_STUCK, Condition.EVENTS_STUCK})
"""What a gateway that is silent, or has just come back, is the reason of."""
UP_AND_DOWN = CHILDREN | {Condition.GATEWAY_SILENT}
"""What may come and go so often that it is one incident."""
SETTLE = timedelta(minutes=2)
"""After a return things get so long to fall into place; what still stands then is told."""
WITHIN = timedelta(minutes=2)
AT_LEAST = 5
PART = 5
"""More than a fifth of an area's gateways, no fewer than five, silent within two minutes: one incident."""
GATHER = timedelta(seconds=35)
"""Heartbeats come every 30 s, so leases that end by one cause end within that: the message waits for all."""
FLAPS = 4
FLAPS_WITHIN = timedelta(minutes=30)
"""So often in so long: it is unstable."""
QUIET = timedelta(minutes=30)
"""Without a change for so long it is stable again."""


class Fold(Struct, frozen=True):
    """It is not told now: until its `parent` is over, or until a moment."""

    parent: int | None = None
    until: datetime | None = None


def after_return(condition: Condition, back_at: datetime | None, now: datetime) -> Fold | None:
    """What comes while a gateway (or we) settle after a silence is told when that time is over."""
    if condition not in CHILDREN or back_at is None or now >= back_at + SETTLE:
        return None
    return Fold(until=back_at + SETTLE)


def fold(decision: Decision, how: Fold) -> Decision:
    """The same alarm, untold for now. Only a new one can be folded."""
    assert decision.effects, "nothing is opened"
    assert isinstance(decision.effects[0], Open), "nothing is opened"
    later = () if how.until is None else (Schedule(DueKind.STEP, how.until),)
    return Decision(decision.after, decision.reason, (decision.effects[0], *later), decision.what)


def area_wide(silent: int, gateways: int) -> bool:
    """Whether so many silent ones of an area's gateways are one incident."""
    return silent >= AT_LEAST and silent * PART > gateways


def to_count(silent: int) -> int:
    """How many gateways must be counted, at most, to answer `area_wide`, and whether it can ever be."""
    return PART * max(silent, 1)


def unstable(ended: int) -> bool:
    """Whether one that begins is one too many, after `ended` of its kind within `FLAPS_WITHIN`."""
    return ended + 1 >= FLAPS
