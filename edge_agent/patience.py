"""How long to wait for an answer of each unit, learned from its own answers; pure.

Law of this file: never longer than the profile allows, never shorter than FLOOR_S or MARGIN times the slowest
of a unit's recent answers. Only a unit whose last answer came in time is waited for less than the profile
allows: one that missed, and a new one, get all of it, so that a device that has become slower is found again
in its next try and its time is learned anew. Times are seconds from the end of the request to the answer,
without the answer's own time on the wire.
"""

from __future__ import annotations

FLOOR_S = 0.1
"""Six latency periods of a USB adapter; cheap devices take up to 50 ms."""
MARGIN = 2.0
MEMORY = 200
"""Answers after which a slow one is forgotten to a third: about the 99th per cent, and never less."""


class Patience:
    """What is known of the units of one bus."""

    def __init__(self) -> None:
        self._slowest: dict[int, float] = {}
        self._missed: set[int] = set()

    def wait_s(self, unit: int, ceiling_s: float) -> float:
        """How long to wait for its next answer; `ceiling_s` is what its profile allows."""
        slowest = self._slowest.get(unit)
        if slowest is None or unit in self._missed:
            return ceiling_s
        return min(max(slowest * MARGIN, FLOOR_S), ceiling_s)

    def answered(self, unit: int, took_s: float) -> None:
        """It has answered after so long."""
        self._missed.discard(unit)
        before = self._slowest.get(unit, 0.0)
        self._slowest[unit] = max(took_s, before + (took_s - before) / MEMORY)

    def missed(self, unit: int) -> None:
        """It has not answered in time."""
        self._missed.add(unit)

    def forget(self) -> None:
        """Another line, perhaps a slower one: everything is learned anew."""
        self._slowest.clear()
        self._missed.clear()
