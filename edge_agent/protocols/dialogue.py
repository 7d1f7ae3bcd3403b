"""What a plain serial protocol is: bytes and times in, bytes and words out; no line, no clock.

Law of this file: words only. One subclass in one file is a protocol; `edge_agent.plain` lends it the line.
Times are monotonic seconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from device_profiles.schema import Write
from edge_agent.exchange import Kind
from edge_agent.plan import ReadRequest

NEVER = float("inf")
MOST_REMARKS = 1000
"""Of one line; a babbling one fills no log."""


class Dialogue(ABC):
    """The conversation on one line: what has been heard, and what is to be said.

    Whatever bytes come, nothing is raised; bytes that are no right frame are never a value.
    """

    def __init__(self) -> None:
        self._out = bytearray()
        self._fresh: set[int] = set()
        self._remarks: list[str] = []
        self._remarked: set[str] = set()

    @abstractmethod
    def hear(self, data: bytes, now: float) -> None:
        """Bytes came."""

    def say(self, now: float) -> bytes:  # noqa: ARG002 -- for those who say things again after a while
        """What is to go out now, each byte once."""
        said = bytes(self._out)
        self._out.clear()
        return said

    def wake_at(self) -> float:
        """When `say` has something although nothing came; NEVER."""
        return NEVER

    @abstractmethod
    def ask(self, request: ReadRequest, now: float, every_s: float) -> None:
        """Begin to ask for this, unless it was answered less than `every_s` ago."""

    @abstractmethod
    def answer(self, request: ReadRequest, now: float) -> tuple[int, ...] | None:
        """The words asked for; None while they are not there."""

    def order(self, write: Write, address: int, now: float) -> None:  # noqa: B027 -- most devices take none
        """Begin to write this at the wire address; a protocol that takes no orders confirms none."""

    def confirmed(self) -> bool:
        """Whether the last order has been confirmed."""
        return False

    def expect(self, requests: Sequence[ReadRequest]) -> None:  # noqa: B027 -- only panels care
        """These are all the reads there will be, until told otherwise."""

    @abstractmethod
    def why(self) -> tuple[Kind, str]:
        """Why there is no answer, when time is up; what was asked is given up."""

    @abstractmethod
    def reopened(self) -> None:
        """The line is a new one: what is known may have changed meanwhile."""

    def fresh(self) -> frozenset[int]:
        """The units that have told something new unasked since the last call."""
        fresh = frozenset(self._fresh)
        self._fresh.clear()
        return fresh

    def _remark(self, text: str) -> None:
        if text not in self._remarked and len(self._remarked) < MOST_REMARKS:
            self._remarked.add(text)
            self._remarks.append(text)

    def remarks(self) -> list[str]:
        """What whoever reads the log should know, each once."""
        remarks = self._remarks[:]
        self._remarks.clear()
        return remarks
