"""Whose turn it is on a bus: the living in every lap, the silent at the lap's end, one timeout in all; pure.

Law of this file: a unit that does not answer costs the others at most one timeout a lap in total, however
many such units there are; and a line that comes back is asked whole in the lap of its first answer. Whoever
answers keeps its place in every lap: what is urgent is asked once more, before the others, and of such extra
turns there is one for each twenty units, so that no alarm makes a lap longer than by a twentieth. Times are
monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

SETTLED_MISSES = 3
SETTLED_S = 25.0
"""A unit silent for longer, and for as many tries, is asked ever more rarely."""
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 60.0
UNITS_PER_EXTRA = 20
"""A bus of fewer units has a short lap as it is: none is asked twice in it."""
URGENT_AHEAD = 3
"""An urgent one that missed is tried again before others that missed so many times less."""


class Standing(StrEnum):
    """How a unit is treated."""

    ANSWERING = "answering"
    SUSPECT = "suspect"
    """Missed lately: tried at the end of each lap."""
    SILENT = "silent"
    """Missed for long: tried when its wait is over, or when another one has come back."""


@dataclass(slots=True)
class _Unit:
    misses: int = 0
    silent_since: float = 0.0
    tried_at: float = 0.0
    wait_s: float = 0.0
    due_at: float = 0.0
    urgent: bool = False


class Rota:
    """The units of one bus. New ones count as answering: they are owed a first chance at once."""

    def __init__(self, units: Iterable[int]) -> None:
        self._units = {unit: _Unit() for unit in units}
        self._first: set[int] = set()
        self._urgent: list[int] = []
        self._tried: set[int] = set()
        self._passed: set[int] = set()
        self._someone_is_back = False

    def keep(self, units: Iterable[int]) -> None:
        """Other units from now on; those that stay keep their standing."""
        self._units = {unit: self._units.get(unit) or _Unit() for unit in units}
        self._urgent = [unit for unit in self._urgent if unit in self._units]

    def ask_first(self, unit: int) -> None:
        """Ask this one first in the next lap, whatever its standing."""
        if unit in self._units:
            self._first.add(unit)

    def hurry(self, unit: int, *, urgent: bool) -> None:
        """Whether something is the matter there: an alarm, or a change that is not yet proved."""
        one = self._units.get(unit)
        if one is None or one.urgent is urgent:
            return
        one.urgent = urgent
        if urgent:
            self._urgent.append(unit)
        else:
            self._urgent.remove(unit)

    def standing(self, unit: int) -> Standing:
        """How it is treated now."""
        one = self._units[unit]
        if not one.misses:
            return Standing.ANSWERING
        return Standing.SILENT if one.wait_s else Standing.SUSPECT

    def tries(self, unit: int) -> int:
        """Misses in a row."""
        return self._units[unit].misses

    def was_tried(self, unit: int) -> bool:
        """Whether it was asked in this lap."""
        return unit in self._tried

    def begin_lap(self) -> list[int]:
        """The units to ask in order, whether they answer or not."""
        self._tried.clear()
        self._passed.clear()
        self._someone_is_back = False
        first, self._first = self._first & self._units.keys(), set()
        living = [unit for unit, one in self._units.items() if not one.misses]
        # The latest first, then in turn.
        extra = [u for u in reversed(self._urgent) if not self._units[u].misses and u not in first]
        extra = extra[: len(self._units) // UNITS_PER_EXTRA]
        for unit in extra:
            self._urgent.remove(unit)
            self._urgent.insert(0, unit)
        turns = [*sorted(first), *extra, *living]
        return [unit for before, unit in zip([None, *turns], turns, strict=False) if unit != before]

    def next_probe(self, now: float, spent: bool) -> int | None:
        """The next unit that missed before and is worth a try in this lap; `spent`: a probe timed out."""
        if spent:
            return None
        waiting = {
            u: one for u, one in self._units.items() if one.misses and u not in self._tried | self._passed
        }
        if self._someone_is_back:
            # The line may be whole again: those that fell silent with it, last, are the likeliest.
            return max(waiting, key=lambda u: (waiting[u].silent_since, -u), default=None)
        suspects = [u for u in waiting if not waiting[u].wait_s]
        if suspects:
            return min(
                suspects,
                key=lambda u: (
                    waiting[u].misses - URGENT_AHEAD * waiting[u].urgent,
                    waiting[u].tried_at,
                    u,
                ),
            )
        nobody_lives = all(one.misses for one in self._units.values())
        due = [u for u in waiting if nobody_lives or waiting[u].due_at <= now]
        return min(due, key=lambda u: (waiting[u].tried_at, u), default=None)

    def passed_over(self, unit: int) -> None:
        """It cannot be asked in this lap."""
        self._passed.add(unit)

    def once_more(self) -> None:
        """Those passed over in this lap can perhaps be asked by now."""
        self._passed.clear()

    def answered(self, unit: int) -> None:
        """It has answered."""
        one = self._units.get(unit)
        if one is None:
            return
        self._someone_is_back = self._someone_is_back or one.misses > 0
        self._tried.add(unit)
        one.misses, one.wait_s = 0, 0.0

    def missed(self, unit: int, now: float) -> None:
        """It has not answered."""
        one = self._units.get(unit)
        if one is None:
            return
        self._tried.add(unit)
        if not one.misses:
            one.silent_since = now
        one.misses += 1
        one.tried_at = now
        if one.misses >= SETTLED_MISSES and now - one.silent_since >= SETTLED_S:
            one.wait_s = min(max(one.wait_s * 2, FIRST_WAIT_S), LONGEST_WAIT_S)
            one.due_at = now + one.wait_s
