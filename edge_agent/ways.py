"""Which way to the broker is tried next, and after what pause; pure.

Law of this file: every way is tried in turn, the preferred one first; a way that works is never left for a
better one. After it broke it is called again at once (the line was lost, not the way), but the preferred one
comes first again when it was not tried for an hour. Times are monotonic seconds.
"""

from __future__ import annotations

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 20.0
"""A connection that lasted this long was a good one: the next pause is the first again."""
PREFER_AGAIN_S = 3600.0
UNHEARD_S = 90.0
"""A way on which the centre says nothing for so long is left for another: the centre may listen elsewhere."""
LONGEST_UNHEARD_S = 900.0
"""While the centre is heard on no way, patience doubles up to this: each change costs data and a moment."""
BURNING_PAUSE_S = 3.0
"""No longer pause than this while a fire waits to be told."""
BURNING_S = 600.0
"""For so long after the last fire was recorded: each try costs data, and somebody has called by then."""


def burning_pause(pause_s: float, fire_age_s: float | None) -> float:
    """The pause when the last untold fire was recorded `fire_age_s` ago; None: all were told."""
    burning = fire_age_s is not None and fire_age_s < BURNING_S
    return min(pause_s, BURNING_PAUSE_S) if burning else pause_s


class Ways:
    """`count` ways, 0 the preferred one."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pause_s = FIRST_PAUSE_S
        self._failed = 0
        self._preferred_at: float | None = None
        self.current = 0
        """The way to try now."""
        self.patience_s: float | None = UNHEARD_S if count > 1 else None
        """A connection that is up is left when the centre was not heard on it for so long; None: never."""

    def began(self, now: float) -> None:
        """The current way is tried now."""
        if self.current == 0:
            self._preferred_at = now

    def heard(self) -> None:
        """The centre was heard on the current way."""
        if self.patience_s is not None:
            self.patience_s = UNHEARD_S

    def unheard(self) -> None:
        """The current way was left because the centre was not heard on it."""
        if self.patience_s is not None:
            self.patience_s = min(self.patience_s * 2, LONGEST_UNHEARD_S)

    def ended(self, now: float, lasted_s: float, *, worked: bool, jitter: float) -> float:
        """The connection is over; seconds to wait before the way that is `current` now.

        `lasted_s` since the broker let us in, `worked` whether it did and the centre was not missing on it,
        `jitter` between 0 and 1.
        """
        if worked:
            self._failed = 0
            if self._preferred_at is None or now - self._preferred_at >= PREFER_AGAIN_S:
                self.current = 0
        else:
            self._failed += 1
            self.current = (self.current + 1) % self._count
        if worked and lasted_s >= STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        if self._failed % self._count:
            return FIRST_PAUSE_S * (0.5 + jitter / 2)  # another way is untried: no reason to wait long
        pause = self._pause_s
        self._pause_s = min(pause * 2, LONGEST_PAUSE_S)
        return pause * (0.5 + jitter / 2)
