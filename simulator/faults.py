"""Ways in which a slave or its line misbehaves, switchable while it runs.

Law of this file: pure. `disturb` turns the right answer into what comes over the wire instead: pieces of
bytes, each with the seconds it is late. Random bytes come from the caller's generator, which is seeded.
"""

from __future__ import annotations

import random
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from device_profiles.schema import Protocol
from simulator.rtu import mbap_frame, refusal_answer, rtu_frame


class Kind(StrEnum):
    """What goes wrong."""

    SILENT = "silent"
    """No answer."""
    SLOW = "slow"
    """The answer begins `ms` later (200)."""
    LATE_REPLY = "late_reply"
    """The answer comes `ms` late (1000), after the master has given up."""
    WRONG_UNIT = "wrong_unit"
    """The answer bears the next unit id, with a right checksum."""
    TRUNCATED = "truncated"
    """Only the first half of the answer comes."""
    CRC_ERROR = "crc_error"
    """One bit of the checksum is wrong. Not on TCP, which has none."""
    GARBAGE = "garbage"
    """Random bytes come instead of the answer."""
    NOISE = "noise"
    """Random bytes come before and after the right answer. Not on TCP, which has a checked stream below."""
    CHUNKED = "chunked"
    """The answer comes in pieces of a few bytes, `ms` apart (15), as from a USB adapter."""
    EXCEPTION = "exception"
    """The slave refuses with `code` (4, device failure)."""
    ECHO = "echo"
    """The request comes back while it is sent, as on a two-wire adapter that hears itself. Not on TCP."""


_USUAL_MS = {Kind.SLOW: 200.0, Kind.LATE_REPLY: 1000.0, Kind.CHUNKED: 15.0}
NOT_ON_TCP = frozenset({Kind.CRC_ERROR, Kind.NOISE, Kind.ECHO})
NOT_IN = {Protocol.GIRA: frozenset({Kind.WRONG_UNIT}), Protocol.JBF: frozenset({Kind.EXCEPTION})}
"""What a plain serial protocol has no form for."""
_CHUNK = 4


class Fault(Struct, frozen=True):
    """One fault of a detector, or of all on a bus."""

    kind: Kind
    ms: Annotated[float, Meta(ge=0, le=600_000)] | None = None
    code: Annotated[int, Meta(ge=1, le=255)] | None = None
    times: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """It heals after so many answers; None: it stays."""

    @property
    def seconds(self) -> float:
        """Its delay."""
        return (_USUAL_MS.get(self.kind, 0.0) if self.ms is None else self.ms) / 1000


Pieces = list[tuple[float, bytes]]
"""Seconds after the moment when the right answer's first byte was due, and the bytes that begin then."""


def frame(unit: int, pdu: bytes, transaction: int | None) -> bytes:
    """The right answer as it travels; `transaction` None means RTU."""
    return rtu_frame(unit, pdu) if transaction is None else mbap_frame(transaction, unit, pdu)


def disturb(
    fault: Fault | None, unit: int, pdu: bytes, transaction: int | None, rng: random.Random
) -> Pieces:
    """What comes instead of `pdu` from `unit`. The line itself does the echo."""
    refusal = refusal_answer(pdu[0] & 0x7F, (fault.code if fault else None) or 4)
    return spoil(
        fault,
        frame(unit, pdu, transaction),
        rng,
        foreign=frame(unit % 247 + 1, pdu, transaction),
        refusal=frame(unit, refusal, transaction),
    )


def spoil(
    fault: Fault | None,
    right: bytes,
    rng: random.Random,
    *,
    foreign: bytes = b"",
    refusal: bytes = b"",
    checksum_at: int = -1,
) -> Pieces:
    """What comes instead of the right frame: `foreign` from a wrong unit, `refusal` as an exception."""
    if fault is None or fault.kind is Kind.ECHO:
        return [(0.0, right)]
    match fault.kind:
        case Kind.SILENT:
            return []
        case Kind.SLOW | Kind.LATE_REPLY:
            return [(fault.seconds, right)]
        case Kind.WRONG_UNIT:
            return [(0.0, foreign)]
        case Kind.TRUNCATED:
            return [(0.0, right[: max(1, len(right) // 2)])]
        case Kind.CRC_ERROR:
            broken = bytearray(right)
            broken[checksum_at] ^= 1 << rng.randrange(8)
            return [(0.0, bytes(broken))]
        case Kind.GARBAGE:
            return [(0.0, _junk(rng, 3, 24))]
        case Kind.NOISE:
            return [(0.0, _junk(rng, 1, 6) + right + _junk(rng, 1, 6))]
        case Kind.CHUNKED:
            parts = [right[at : at + _CHUNK] for at in range(0, len(right), _CHUNK)]
            return [(number * fault.seconds, part) for number, part in enumerate(parts)]
        case _:
            return [(0.0, refusal)]


def _junk(rng: random.Random, low: int, high: int) -> bytes:
    return rng.randbytes(rng.randint(low, high))
