"""How fast what waited may go out: a bucket of bytes; pure.

Law of this file: it holds back, it never refuses; a message goes whole when the bucket is not empty and the
debt is paid before the next. Times are monotonic seconds.
"""

from __future__ import annotations

BURST_S = 1.0
"""So many seconds' worth may go at once after a rest."""


class Pace:
    """At most `bytes_per_s` on average."""

    def __init__(self, bytes_per_s: float) -> None:
        self._rate = bytes_per_s
        self._left = bytes_per_s * BURST_S
        self._at: float | None = None

    def wait_s(self, now: float) -> float:
        """Seconds until the next message may go; 0: now."""
        if self._at is not None:
            self._left = min(self._left + (now - self._at) * self._rate, self._rate * BURST_S)
        self._at = now
        return 0.0 if self._left > 0 else -self._left / self._rate

    def spent(self, size: int) -> None:
        """A message of `size` bytes went out."""
        self._left -= size
