"""What is wrong with a line, told from how its answers are spoilt; pure.

Law of this file: a hint for whoever goes there, never a state. Silence is nobody's pattern here (bus_down and
no_response tell of it); only answers that came and could not be believed count. A hint stands until nothing
has borne it out for `CALM_S`. Times are monotonic seconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

CALM_S = 600.0
WINDOW_S = 60.0
"""Looks older than this (up to twice as old) do not count."""
SPOILT_LOOKS = 5
"""A unit's answers are called spoilt from so many in the window on,"""
SPOILT_SHARE = 0.2
"""and from this part of its answers on."""
MOST_UNITS = 0.5
"""Spoilt answers from at least this part of the units are the line's fault."""
TURNS = 3
"""Identities that change so often within CALM_S take turns."""
FOREIGN_REQUESTS = 3


@dataclass(slots=True)
class _Tally:
    good: int = 0
    spoilt: int = 0


@dataclass(slots=True)
class _Window:
    began: float
    units: dict[int, _Tally] = field(default_factory=dict)
    foreign: int = 0


class Diagnosis:
    """The looks of the last minutes at one line."""

    def __init__(self) -> None:
        self._windows: deque[_Window] = deque(maxlen=2)
        self._identity: dict[int, tuple[int, deque[float]]] = {}
        self._hint: str | None = None
        self._borne_out_at = 0.0

    def good(self, unit: int, now: float) -> None:
        """A right answer."""
        self._tally(unit, now).good += 1

    def spoilt(self, unit: int, now: float) -> None:
        """Bytes came in its turn, and no right answer in them."""
        self._tally(unit, now).spoilt += 1

    def foreign(self, now: float) -> None:
        """A request that is not ours was heard."""
        self._window(now).foreign += 1

    def identity(self, unit: int, identity: int, now: float) -> None:
        """The device at this unit said which one it is."""
        before, turns = self._identity.get(unit, (identity, deque(maxlen=TURNS)))
        if identity != before:
            turns.append(now)
        self._identity[unit] = identity, turns

    def reopened(self) -> None:
        """The line is a new one; what was seen on the old one says nothing of it."""
        self._windows.clear()
        self._identity.clear()

    def hint(self, now: float) -> str | None:
        """What it looks like, in words for people."""
        found = self._turns(now) or self._pattern(now)
        if found is not None:
            self._hint, self._borne_out_at = found, now
        elif self._hint is not None and now - self._borne_out_at >= CALM_S:
            self._hint = None
        return self._hint

    def _turns(self, now: float) -> str | None:
        for unit, (_, turns) in self._identity.items():
            if len(turns) == TURNS and now - turns[0] < CALM_S:
                return _two_devices(unit, "两个编号交替 / its identity keeps changing")
        return None

    def _pattern(self, now: float) -> str | None:
        self._window(now)
        if sum(window.foreign for window in self._windows) >= FOREIGN_REQUESTS:
            return "线路上有另一主机? / another master on this line? requests are heard that are not ours"
        tallies: dict[int, _Tally] = {}
        for window in self._windows:
            for unit, tally in window.units.items():
                both = tallies.setdefault(unit, _Tally())
                both.good += tally.good
                both.spoilt += tally.spoilt
        bad = [unit for unit, tally in tallies.items() if _is_spoilt(tally)]
        if not bad:
            return None
        if len(bad) >= MOST_UNITS * len(tallies):
            good = any(tally.good for tally in tallies.values())
            how = (
                "多数设备应答受损 / answers of most units are spoilt"
                if good
                else "只收到乱码 / nothing but garbage comes"
            )
            return f"A/B 接反、终端电阻或波特率? / A/B swapped, termination or baud? {how}"
        return _two_devices(min(bad), "只有它的应答受损 / only its answers are spoilt")

    def _tally(self, unit: int, now: float) -> _Tally:
        units = self._window(now).units
        return units.get(unit) or units.setdefault(unit, _Tally())

    def _window(self, now: float) -> _Window:
        while self._windows and now - self._windows[0].began >= 2 * WINDOW_S:
            self._windows.popleft()
        if not self._windows or now - self._windows[-1].began >= WINDOW_S:
            self._windows.append(_Window(now))
        return self._windows[-1]


def _is_spoilt(tally: _Tally) -> bool:
    return tally.spoilt >= SPOILT_LOOKS and tally.spoilt >= SPOILT_SHARE * (tally.good + tally.spoilt)


def _two_devices(unit: int, why: str) -> str:
    return f"地址 {unit} 有两台设备? / two devices at one address? unit {unit}: {why}"
