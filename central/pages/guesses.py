"""How often an address may guess at links. Law of this file: pure, bounded; no real link is held up."""

from __future__ import annotations

from collections import OrderedDict


class Guesses:
    """A bucket of wrong tries per address: `burst` at once, then one each `every_s` seconds."""

    def __init__(self, *, burst: int = 20, every_s: float = 3.0, addresses: int = 10_000) -> None:
        self._burst = float(burst)
        self._every = every_s
        self._most = addresses
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wrong(self, address: str, now: float) -> bool:
        """Note a wrong try at `now` (s, any steady clock); whether the address has used up its patience."""
        left, at = self._buckets.pop(address, (self._burst, now))
        left = min(self._burst, left + max(0.0, now - at) / self._every)
        spent = left < 1.0
        self._buckets[address] = (left if spent else left - 1.0, now)
        while len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return spent

    def __len__(self) -> int:
        return len(self._buckets)
