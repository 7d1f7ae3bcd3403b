"""Chance that is the same at every start. Pure: a seed in, numbers out."""

from __future__ import annotations

from hashlib import blake2b

_STEP, _ADD, _MASK = 6364136223846793005, 1442695040888963407, (1 << 64) - 1


class Dice:
    """Numbers that look like chance, one after the other: a linear congruential generator of 64 bits."""

    __slots__ = ("_state",)

    def __init__(self, *names: object) -> None:
        """`names` are all that the numbers depend on."""
        self._state = number_of(*names)

    def share(self) -> float:
        """The next number, from 0 to below 1."""
        self._state = (self._state * _STEP + _ADD) & _MASK
        return (self._state >> 11) / (1 << 53)

    def between(self, low: float, high: float) -> float:
        """The next number, from `low` to below `high`."""
        return low + (high - low) * self.share()


def number_of(*names: object) -> int:
    """A number of 64 bits that names give."""
    return int(hex_of(*names)[:16], 16)


def hex_of(*names: object) -> str:
    """32 hex digits that names give: a stream or a boot for the wire."""
    return blake2b("\n".join(map(str, names)).encode(), digest_size=16).hexdigest()
