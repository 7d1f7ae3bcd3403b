"""One SMS as a modem gives it in PDU mode (3GPP TS 23.040, SMS-DELIVER; alphabets of TS 23.038); pure.

Law of this file: what cannot be read raises ValueError, nothing else; a part of a long message is a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPE = "\x1b"
_KIND, _DELIVER, _HEADER = 0b11, 0b00, 0b0100_0000
_INTERNATIONAL, _NAME, _KIND_OF_NUMBER = 0x10, 0x50, 0x70


@dataclass(frozen=True, slots=True)
class Incoming:
    """Who sent it, what it says, and the service centre's time stamp, which tells it from another like it."""

    number: str = field(repr=False)
    """With `+` where it is international; the name of a sender who has one instead."""
    text: str = field(repr=False)
    stamp: str


def deliver(pdu: str) -> Incoming:
    """Take a PDU in hexadecimal apart. Raises ValueError."""
    octets = bytes.fromhex(pdu)
    try:
        octets = octets[1 + octets[0] :]
        first, digits, kind = octets[0], octets[1], octets[2]
        if first & _KIND != _DELIVER:
            raise ValueError("no SMS-DELIVER")
        end = 3 + (digits + 1) // 2
        number = _sender(octets[3:end], digits, kind)
        coding, stamp = octets[end + 1], octets[end + 2 : end + 9]
        length, words = octets[end + 9], octets[end + 10 :]
    except IndexError:
        raise ValueError("it ends too early") from None
    header = words[0] + 1 if first & _HEADER and words else 0
    return Incoming(number, _text(words, length, coding, header), stamp.hex())


def _sender(octets: bytes, digits: int, kind: int) -> str:
    if kind & _KIND_OF_NUMBER == _NAME:
        return _septets(octets, digits * 4 // 7)
    plain = "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in octets)[:digits]
    return f"+{plain}" if kind & _KIND_OF_NUMBER == _INTERNATIONAL else plain


def _text(words: bytes, length: int, coding: int, header: int) -> str:
    """`length` counts septets or octets, header included."""
    match _alphabet(coding):
        case "ucs2":
            return words[header:length].decode("utf-16-be", "replace")
        case "octets":
            return words[header:length].decode("latin-1")
        case _:
            return _septets(words, length)[(header * 8 + 6) // 7 :]


def _alphabet(coding: int) -> str:
    group = coding >> 4
    if group < 0b0100:
        if coding & 0b0010_0000:
            raise ValueError("it is compressed")
        return ("septets", "octets", "ucs2", "septets")[coding >> 2 & 0b11]
    if group == 0b1110:
        return "ucs2"
    return "octets" if group == 0b1111 and coding & 0b0100 else "septets"


def _septets(octets: bytes, count: int) -> str:
    """Characters of seven bits each, the lowest first; of an escaped one a question mark is left."""
    bits = int.from_bytes(octets, "little")
    count = min(count, len(octets) * 8 // 7)
    plain = "".join(_ALPHABET[bits >> 7 * place & 0x7F] for place in range(count))
    parts = plain.split(_ESCAPE)
    return parts[0] + "".join("?" + part[1:] for part in parts[1:])
