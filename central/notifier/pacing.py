"""How many messages a minute a provider is asked to take, so that it need not punish us; pure.

Law of this file: what is not urgent leaves half of the room to what is.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta


class Allowance:
    """At most `most` messages in any `within`, of which those that are not urgent take at most half."""

    def __init__(self, most: int, within: timedelta) -> None:
        self._most = most
        self._within = within
        self._sent: deque[datetime] = deque()

    def take(self, now: datetime, *, urgent: bool) -> timedelta | None:
        """None: the message may go, and is counted. Else how long until there is room for one like it."""
        while self._sent and not timedelta(0) <= now - self._sent[0] < self._within:
            self._sent.popleft()  # over, or of a clock that has gone back since
        room = self._most if urgent else max(1, self._most // 2)
        if len(self._sent) < room:
            self._sent.append(now)
            return None
        return max(self._sent[len(self._sent) - room] + self._within - now, timedelta(seconds=1))
