"""What a device on a plain serial line says. Law of this file: words only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from simulator.site import Simulated


@dataclass(frozen=True, slots=True)
class Said:
    """One frame, and what a fault may put in its place."""

    frame: bytes
    of: tuple[Simulated, ...] = ()
    """Whose faults spoil it, beside the bus's."""
    sign: bool = False
    """A bare acknowledgement or refusal: only silence takes it away."""
    foreign: bytes = b""
    refusal: bytes = b""


class Device(Protocol):
    """The far end of a line. Times are seconds of any clock that never goes back."""

    def hear(self, data: bytes, now: float) -> list[Said]:
        """Bytes from the master; what is answered."""
        ...

    def tick(self, now: float) -> list[Said]:
        """What it says by itself."""
        ...
