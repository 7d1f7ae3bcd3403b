"""Which detectors burn when during an outage, and which of those fires never came out; pure.

Law of this file: `now` and the moments are arguments, in seconds from the outage's beginning.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WRITE_S = 2.0
"""Between a fire's end and a kill: what was seen is on its way to the disk for so long at most."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A detector that begins to burn and later stops; each detector does so once."""

    detector: str
    begins_s: float
    ends_s: float


@dataclass(frozen=True, slots=True)
class Count:
    """What came of the flips."""

    flips: int
    lost: int
    """Nobody was ever told that it burned."""
    ends_lost: int
    """It was told that it burned, and never that it had stopped."""


def kill_moments(outage_s: float, kills: int) -> tuple[float, ...]:
    """None, at one third, or at one third and two thirds. Raises ValueError for more than two."""
    if not 0 <= kills <= 2:
        raise ValueError(f"{kills} kills: there are at most two")
    return tuple(outage_s * third / 3 for third in range(1, kills + 1))


def plan(detectors: Sequence[str], outage_s: float, restart_s: float, hold_s: float, seed: int) -> list[Flip]:
    """As many flips in each third of the outage as the detectors allow, sorted by their beginning.

    None begins in the first `restart_s` of a third or is on when it ends: however many kills there are, a
    program that watches again after `restart_s` has `hold_s` to see each. Raises ValueError when a third is
    too short for that.
    """
    third = outage_s / 3
    room = third - restart_s - hold_s - WRITE_S
    if room <= 0:
        least = 3 * (restart_s + hold_s + WRITE_S)
        raise ValueError(f"an outage of {outage_s:g} s is too short: it takes more than {least:g} s")
    chance = random.Random(seed)
    names = list(detectors)
    chance.shuffle(names)
    flips = []
    for place in range(3):
        for name in names[place::3][: len(names) // 3]:
            begins = place * third + restart_s + chance.uniform(0, room)
            flips.append(Flip(name, begins, begins + hold_s))
    return sorted(flips, key=lambda flip: flip.begins_s)


def by_thirds(flips: Sequence[Flip], outage_s: float) -> list[list[Flip]]:
    """Those before the moment of the first kill, between the two, and after the second."""
    thirds: list[list[Flip]] = [[], [], []]
    for flip in flips:
        thirds[min(2, int(3 * flip.begins_s / outage_s))].append(flip)
    return thirds


def count(flips: Sequence[Flip], told: Mapping[str, Sequence[bool]]) -> Count:
    """Hold the flips against what was told of each detector, oldest first: whether it burned."""
    lost = ends_lost = 0
    for flip in flips:
        words = list(told.get(flip.detector, ()))
        if True not in words:
            lost += 1
        elif words[-1]:
            ends_lost += 1
    return Count(len(flips), lost, ends_lost)
