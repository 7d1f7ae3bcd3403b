"""Which policy holds for an alarm.

Law of this file: pure; a policy that cannot be read is as if it were not there, and stops no alarm.
The most specific holds: that of the grid, of the area, of everywhere, and where there is none the built-in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from central.engine.model import Condition, Severity
from central.engine.policy import SEVERITY, Policy, named, policy_for
from central.engine.policy_body import PolicyError, read

EVERYWHERE = "everywhere"
Key = tuple[str, Severity]
"""A scope (`everywhere`, `area:<id>` or `grid:<id>`) and a severity."""


def scope(area: str | None = None, grid: str | None = None) -> str:
    """The word for a place; without any it is everywhere."""
    return f"grid:{grid}" if grid is not None else f"area:{area}" if area is not None else EVERYWHERE


class Book:
    """All policies on record."""

    def __init__(self, bodies: Mapping[Key, Any]) -> None:
        """From what is written down, whoever wrote it; `unreadable` says what is wrong with the rest."""
        self._policies: dict[Key, Policy] = {}
        self.unreadable: dict[Key, str] = {}
        for key, body in bodies.items():
            try:
                self._policies[key] = read(body, key[1])
            except PolicyError as error:
                self.unreadable[key] = str(error)

    def policy_for(self, condition: Condition, area: str, grid: str | None) -> Policy:
        """The climb of a condition at a place."""
        severity = SEVERITY[condition]
        return next((policy for _, policy in self._that_hold(severity, area, grid)), policy_for(condition))

    def holds(self, severity: Severity, area: str | None, grid: str | None) -> tuple[str, Policy] | None:
        """The policy on record that holds at a place, and whose it is; None where the built-in does."""
        return next(self._that_hold(severity, area, grid), None)

    def named(self, area: str, grid: str | None) -> set[str]:
        """The workers who are named, and not called by their duty, for alarms of a place."""
        if not self._policies:
            return set()
        held = (self.holds(severity, area, grid) for severity in Severity)
        return {name for one in held if one is not None for name in names_of(one[1])}

    def _that_hold(
        self, severity: Severity, area: str | None, grid: str | None
    ) -> Iterator[tuple[str, Policy]]:
        if not self._policies:
            return
        for of in (scope(area, grid), scope(area), EVERYWHERE):
            if (policy := self._policies.get((of, severity))) is not None:
                yield of, policy


def names_of(policy: Policy) -> set[str]:
    """The workers whom a policy names."""
    words = [word for step in policy.steps for word in step.targets] + list(policy.disposition_targets)
    return {name for word in words if (name := named(word)) is not None}


BUILT_IN = Book({})
