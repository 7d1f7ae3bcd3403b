"""A walk test at the gateway: which asserts bear its number.

Law of this file: smoke is said as smoke, always; a number is added and nothing else changes. It lasts by the
steady clock, in memory only: a start of the agent ends it, and what is said without the number is no test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from edge_agent.observation import Observation
from wire.messages import EventKind

LONGEST_MS = 30 * 60 * 1000


class WalkTests:
    """The walk tests under way, by detector."""

    def __init__(self) -> None:
        self._under_way: dict[str, tuple[str, int]] = {}

    def begin(self, window: str, detectors: Iterable[str], now_ms: int, lasts_s: float) -> None:
        """From `now_ms` (monotonic) on these detectors are tried out; a later test takes its place."""
        until = now_ms + min(LONGEST_MS, int(lasts_s * 1000))
        self._under_way |= dict.fromkeys(detectors, (window, until))

    def mark(self, seen: Observation, now_ms: int) -> Observation:
        """The same observation; an assert of a detector that is tried out now bears the number."""
        if seen.kind is not EventKind.ASSERT or seen.detector not in self._under_way:
            return seen
        window, until = self._under_way[seen.detector]
        if now_ms >= until:
            del self._under_way[seen.detector]
            return seen
        return replace(seen, window=window)
