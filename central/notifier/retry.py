"""When a message is tried again.

Law of this file: pure; `now` and the outcome come in, a moment or None goes out.

An urgent message is never given up for a temporary reason: it ends when it is sent, or when the alarm is
taken or closed (the worker looks at each try). Whatever the outcome, the person's next channel is tried at
once beside it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from central.notifier.channel import Outcome, Rejected, Sent, TryLater

_FIRST_S = 2.0
_LONGEST_URGENT_S = 60.0
_LONGEST_S = 600.0
_PATIENCE_URGENT = timedelta(minutes=5)
_PATIENCE = timedelta(hours=1)
_TRIES = 12  # about 40 minutes of a provider that is down


def next_try(attempts: int, outcome: Outcome, now: datetime, *, urgent: bool) -> datetime | None:
    """When to try again after `attempts` tries (at least 1); None: not on this channel.

    A provider that asks for patience gets it, within 1 s and 5 min (urgent) or 1 h.
    """
    match outcome:
        case Sent() | Rejected():
            return None
        case TryLater(after=after):
            if not urgent and attempts >= _TRIES:
                return None
            if after is not None:
                longest = _PATIENCE_URGENT if urgent else _PATIENCE
                return now + min(max(after, timedelta(seconds=1)), longest)
            longest_s = _LONGEST_URGENT_S if urgent else _LONGEST_S
            return now + timedelta(seconds=min(_FIRST_S * 2 ** min(attempts - 1, 20), longest_s))


def longest_wait(*, urgent: bool) -> timedelta:
    """No try is ever planned further ahead than this."""
    return _PATIENCE_URGENT if urgent else _PATIENCE
