"""A store for a recorder whose every group is handed to a function of the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edge_agent.observation import Observation, Seen, Stamp

Take = Callable[[Sequence[Observation], Stamp, Mapping[str, bytes]], object]


class Handed:
    """Calls `take` for each group; what that raises is the store's refusal."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self.trouble: str | None = None

    def record(self, groups: Sequence[Seen]) -> None:
        for seen in groups:
            self._take(seen.observations, seen.stamp, seen.tracked)

    def tend(self, stamp: Stamp) -> None:
        """Nothing is due."""
