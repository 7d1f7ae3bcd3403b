"""How a rule of profiles says what is wrong. Law of this file: data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    key: str
    """Where: `registers[2].scale`; empty for the file as a whole."""
    wrong: str
    mend: str

    def __str__(self) -> str:
        where = f"{self.key}: " if self.key else ""
        return f"{where}{self.wrong}; {self.mend}"
