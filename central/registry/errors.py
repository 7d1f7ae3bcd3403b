"""What is wrong with something that should be registered: what, where, and the mend, in both languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `place` is a field, or `file:line` of an import."""

    place: str
    what: str
    zh: str
    mend: str

    def at(self, prefix: str) -> Problem:
        """The same problem, found at `prefix`."""
        return Problem(f"{prefix}, {self.place}" if self.place else prefix, self.what, self.zh, self.mend)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"{where}{self.what} ({self.zh}). {self.mend}"


class RegistryError(Exception):
    """It was refused and nothing was changed. `problems` is never empty."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class MissingError(RegistryError):
    """There is no such thing on record."""


class TakenError(RegistryError):
    """Something else already holds the place that was asked for."""
