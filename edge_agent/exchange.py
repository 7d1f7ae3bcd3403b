"""What a master of a bus is to the poller, whatever it speaks, and how an exchange fails.

Law of this file: words only. A master gives the true answer or a ReadError; it never gives a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from device_profiles.schema import Write
from edge_agent.plan import ReadRequest, WriteRequest


class Kind(StrEnum):
    """What was wrong with an exchange."""

    TIMEOUT = "timeout"
    GARBAGE = "garbage"
    """Bytes came, but no frame with a right checksum."""
    WRONG_UNIT = "wrong_unit"
    WRONG_FUNCTION = "wrong_function"
    WRONG_LENGTH = "wrong_length"
    FOREIGN = "foreign_request"
    """Another master was heard: whose answer followed cannot be told."""
    EXCEPTION = "exception"
    """The device answered that it cannot: it is alive."""
    NOT_SENT = "not_sent"
    """Nothing went out: it could not have been told whether it was confirmed."""
    LINE_LOST = "line_lost"


class ReadError(Exception):
    """An exchange without an answer to believe. `code` is the Modbus exception code, if any."""

    def __init__(self, kind: Kind, unit: int, detail: str, code: int | None = None) -> None:
        super().__init__(f"unit {unit}: {detail}")
        self.kind = kind
        self.unit = unit
        self.code = code


class Master(Protocol):
    """Asks the devices of one bus. One call at a time: the poller owns it."""

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Exactly `request.count` words. Raises ReadError."""
        ...

    async def write(self, unit: int, write: Write, address: int) -> None:
        """Write at the wire address. Raises ReadError when it is not confirmed."""
        ...

    async def ask(self, request: ReadRequest | WriteRequest) -> tuple[int, ...]:
        """Anything of any unit, for a person at the line; nothing for a confirmed write. Raises ReadError."""
        ...

    async def attend(self, seconds: float) -> frozenset[int]:
        """Mind the line for so long; earlier, the units that have told something new unasked."""
        ...

    def expect(self, requests: Sequence[ReadRequest]) -> None:
        """These are all the reads there will be, until told otherwise."""
        ...

    def reopened(self) -> None:
        """The line is a new one: what was under way on the old one cannot come any more."""
        ...

    def may_ask(self, unit: int) -> bool:
        """Whether a request to this unit would go out at once."""
        ...
