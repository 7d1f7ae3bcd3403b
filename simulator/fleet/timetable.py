"""When something comes, again and again. Pure: `now` is an argument."""

from __future__ import annotations

from collections.abc import Iterator


class Metronome:
    """Beats `per_s` times a second from `start` on, `count` times or for ever. It never skips a beat."""

    __slots__ = ("_count", "_next", "_per_s", "_start")

    def __init__(self, per_s: float, start: float = 0.0, count: int | None = None) -> None:
        self._per_s = per_s
        self._start = start
        self._count = count if per_s > 0 else 0
        self._next = 0

    @property
    def over(self) -> bool:
        """Whether no beat will come any more."""
        return self._count is not None and self._next >= self._count

    def due(self, now: float) -> Iterator[tuple[int, float]]:
        """Number and moment of every beat that has come since the last call."""
        while not self.over:
            at = self._start + self._next / self._per_s
            if at > now:
                return
            self._next += 1
            yield self._next - 1, at

    def stop(self) -> None:
        """No beat comes any more."""
        self._count = self._next
