"""Whether the hourly canary of a gateway is overdue: it beats, and its events do not come through.

Law of this file: pure. Only who has ever sent one is missed, and only when nothing of ours or of its line
explains the delay.
"""

from __future__ import annotations

from datetime import datetime, timedelta

EVERY = timedelta(hours=1)
"""As the agent records them, counted from its start."""
SLACK = timedelta(minutes=15)


def is_overdue(
    canary_at: datetime | None, heard_at: datetime, settled_at: datetime | None, uptime: timedelta
) -> bool:
    """Whether it was overdue at the heartbeat of `heard_at`.

    `canary_at`: when the last one was stored; `settled_at`: when the gateway, or we, last came back from a
    silence; `uptime`: of the agent, at least.
    """
    if canary_at is None or uptime < EVERY + SLACK:
        return False
    if settled_at is not None and heard_at - settled_at < SLACK:
        return False
    return heard_at - canary_at > EVERY + SLACK
