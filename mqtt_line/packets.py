"""MQTT 3.1.1 as a client speaks it: packets to bytes, bytes to packets. Pure.

Only what a stream of messages needs: a clean session, QoS 0 and 1. Sections are those of the OASIS standard
MQTT 3.1.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

PING = b"\xc0\x00"
GOODBYE = b"\xe0\x00"
MOST_BYTES = 1 << 20
"""A packet longer than this is none of a broker's that speaks the wire contract."""
_REFUSED = {
    1: "协议版本不支持 the broker does not speak MQTT 3.1.1",
    2: "客户端标识被拒绝 the broker refuses the client id",
    3: "消息代理暂不可用 the broker says that it is not available",
    4: "用户名或密码错误 wrong user name or password",
    5: "没有权限 the broker does not let us in: user name, password or certificate",
}


class Kind(IntEnum):
    """What a broker says."""

    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBACK = 9
    PINGRESP = 13


class PacketError(ValueError):
    """Bytes that are no MQTT packet, or one that a broker never sends."""


class Packet(NamedTuple):
    """One packet that came."""

    kind: Kind
    flags: int
    body: bytes


class Publication(NamedTuple):
    """What a PUBLISH carries."""

    topic: bytes
    payload: bytes
    retained: bool
    packet_id: int
    """To be confirmed with `confirm`; 0 when nothing is to be confirmed."""


def connect(
    client_id: str, keepalive_s: int, username: str | None = None, password: str | None = None
) -> bytes:
    """CONNECT with a clean session and no will."""
    flags = 0x02 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    words = [_text(word) for word in (client_id, username, password) if word is not None]
    body = b"\x00\x04MQTT\x04" + bytes([flags]) + keepalive_s.to_bytes(2, "big") + b"".join(words)
    return b"\x10" + _length(len(body)) + body


def subscribe(packet_id: int, filters: Sequence[tuple[str, int]]) -> bytes:
    """SUBSCRIBE to (filter, QoS)."""
    body = packet_id.to_bytes(2, "big") + b"".join(_text(name) + bytes([qos]) for name, qos in filters)
    return b"\x82" + _length(len(body)) + body


def publish(topic: bytes, payload: bytes, *, retain: bool, packet_id: int) -> bytes:
    """PUBLISH with QoS 1, or QoS 0 when `packet_id` is 0."""
    size = len(topic)
    if packet_id:
        head = b"\x33" if retain else b"\x32"
        number = packet_id.to_bytes(2, "big")
    else:
        head = b"\x31" if retain else b"\x30"
        number = b""
    length = _length(2 + size + len(number) + len(payload))
    return b"".join((head, length, size.to_bytes(2, "big"), topic, number, payload))


def confirm(packet_id: int) -> bytes:
    """PUBACK."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def read_connack(packet: Packet) -> str | None:
    """None when the broker lets us in, else its reason. Raises PacketError for anything but a CONNACK."""
    if packet.kind is not Kind.CONNACK or len(packet.body) != 2:
        raise PacketError("the first answer is no CONNACK")
    code = packet.body[1]
    return None if code == 0 else _REFUSED.get(code, f"拒绝代码 the broker refuses with code {code}")


def read_suback(packet: Packet) -> list[bool]:
    """Whether each filter of the subscription was granted, in its order."""
    return [code < 0x80 for code in packet.body[2:]]


def read_publication(packet: Packet) -> Publication:
    """Take a PUBLISH apart. Raises PacketError."""
    flags, body = packet.flags, packet.body
    at = 2 + int.from_bytes(body[:2], "big")
    topic = body[2:at]
    packet_id = 0
    if flags & 0x06:
        packet_id = int.from_bytes(body[at : at + 2], "big")
        at += 2
    if at > len(body):
        raise PacketError("a PUBLISH that ends within its head")
    return Publication(topic, body[at:], bool(flags & 0x01), packet_id)


class Reader:
    """Bytes as they come from the socket, in pieces of any size, to packets."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Every packet that is whole now; take them all before the next piece is fed. Raises PacketError."""
        held = self._held + data if self._held else data
        at, end = 0, len(held)
        try:
            while end - at >= 2:
                first = held[at]
                kind = _KINDS[first]
                if kind is None:
                    raise PacketError(f"a first byte of {first:#04x}, which no broker sends")
                length, start = held[at + 1], at + 2
                if length & 0x80:
                    length &= 0x7F
                    shift = 7
                    while True:
                        if start >= end:
                            return
                        digit = held[start]
                        start += 1
                        length |= (digit & 0x7F) << shift
                        if digit < 0x80:
                            break
                        shift += 7
                        if shift > 21:
                            raise PacketError("a length of more than four bytes")
                    if length > MOST_BYTES:
                        raise PacketError(f"a packet of {length} bytes")
                if start + length > end:
                    return
                at = start + length
                yield Packet(kind, first & 0x0F, held[start:at])
        finally:
            self._held = held[at:]


_KINDS: tuple[Kind | None, ...] = tuple(
    next((kind for kind in Kind if first >> 4 == kind and (kind is Kind.PUBLISH or not first & 0x0F)), None)
    for first in range(256)
)
"""What a packet's first byte says: only a PUBLISH has flags."""


def _text(word: str) -> bytes:
    said = word.encode()
    return len(said).to_bytes(2, "big") + said


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    if size < 0x4000:
        return bytes((size & 0x7F | 0x80, size >> 7))
    if size < 0x200000:
        return bytes((size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14))
    raise PacketError(f"a packet of {size} bytes is too long")
