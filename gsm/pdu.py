"""One SMS as a modem takes it in PDU mode (3GPP TS 23.040, SMS-SUBMIT); pure.

Law of this file: UCS-2 always, because Chinese needs it and one alphabet has one set of faults; one part,
never concatenated.
"""

from __future__ import annotations

from typing import NamedTuple

_SUBMIT_WITH_VALIDITY = 0x11
"""SMS-SUBMIT, validity period in its relative form, no header, no status report."""
_INTERNATIONAL, _UNKNOWN = 0x91, 0x81
_UCS2 = 0x08
_SIX_HOURS = 71
"""(71 + 1) * 5 min: a fire told a day late makes people run for nothing."""


SMS_LIMIT = 70
"""UTF-16 units that one SMS in UCS-2 holds (3GPP TS 23.038)."""


class Pdu(NamedTuple):
    """`length` is what AT+CMGS names: octets without the service centre's; `hex` goes after the prompt."""

    length: int
    hex: str


def units(text: str) -> int:
    """How many UTF-16 units a text takes."""
    return len(text.encode("utf-16-be", "replace")) // 2


def submit(number: str, text: str) -> Pdu:
    """The PDU for a number (digits, `+` in front of an international one) and a text of at most 70 units.

    Raises ValueError for anything else.
    """
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and 3 <= len(digits) <= 20):
        raise ValueError(f"a telephone number has 3 to 20 digits; this one has {len(digits)} characters")
    if not 0 < units(text) <= SMS_LIMIT:
        raise ValueError(f"a text of {units(text)} units: one SMS holds 1 to {SMS_LIMIT}")
    words = text.encode("utf-16-be", "replace")
    kind = _INTERNATIONAL if number.startswith("+") else _UNKNOWN
    body = (
        bytes((_SUBMIT_WITH_VALIDITY, 0x00, len(digits), kind))
        + _semi_octets(digits)
        + bytes((0x00, _UCS2, _SIX_HOURS, len(words)))
        + words
    )
    return Pdu(len(body), f"00{body.hex().upper()}")  # 00: the service centre is the one stored on the SIM


def _semi_octets(digits: str) -> bytes:
    padded = digits + "F" * (len(digits) % 2)
    return bytes(int(padded[i + 1] + padded[i], 16) for i in range(0, len(padded), 2))
