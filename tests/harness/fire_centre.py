"""A fire-brigade centre on real sockets, written from GB/T 26875.3-2011 alone: it shares no code with ours.

It checks every byte of what comes (marks, length, checksum, both addresses), and answers as it is told to:
confirm, deny, or say nothing. One thread for each connection; stop it with `stop`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import Literal

US, TRANSMITTER = 88888, 889
"""Addresses of the centre and of who reports to it."""
CONTROL, SEND, CONFIRM, REQUEST, ANSWER, DENY = range(1, 7)


@dataclass(frozen=True)
class Packet:
    """What came, taken apart."""

    serial: int
    command: int
    sent: tuple[int, ...]
    """Year, month, day, hour, minute, second."""
    data: bytes
    raw: bytes
    connection: int
    """Number of the connection, from 1; 0 over UDP."""

    @property
    def kind(self) -> int:
        return self.data[0] if self.data else 0


@dataclass(frozen=True)
class Component:
    """One object of type 2."""

    system_type: int
    system: int
    component_type: int
    zone: int
    point: int
    state: int
    text: str
    at: tuple[int, ...]

    @property
    def burns(self) -> bool:
        """Bit 1, whatever bit 0 says."""
        return self.state & 0b10 != 0


class WrongPacketError(Exception):
    """The transmitter breaks the standard."""


def number(field: bytes) -> int:
    return sum(byte << (8 * place) for place, byte in enumerate(field))


def tag(six: bytes) -> tuple[int, ...]:
    second, minute, hour, day, month, year = six
    return 2000 + year, month, day, hour, minute, second


def take_apart(raw: bytes, connection: int = 0) -> Packet:
    """Check one packet against clause 6. Raises WrongPacketError."""
    if raw[:2] != b"@@" or raw[-2:] != b"##":
        raise WrongPacketError(f"marks: {raw.hex(' ')}")
    control, length = raw[2:27], number(raw[24:26])
    if length > 1024 or len(raw) != 30 + length:
        raise WrongPacketError(f"length: {raw.hex(' ')}")
    data = raw[27 : 27 + length]
    if (sum(control) + sum(data)) % 256 != raw[27 + length]:
        raise WrongPacketError(f"checksum: {raw.hex(' ')}")
    if control[2] != 1:
        raise WrongPacketError(f"version: {raw.hex(' ')}")
    if (number(control[10:16]), number(control[16:22])) != (TRANSMITTER, US):
        raise WrongPacketError(f"addresses: {raw.hex(' ')}")
    return Packet(number(control[0:2]), control[24], tag(control[4:10]), data, raw, connection)


def components(packet: Packet) -> list[Component]:
    """The objects of a packet of type 2."""
    if packet.command != SEND or packet.kind != 2:
        return []
    count, rest = packet.data[1], packet.data[2:]
    if not 1 <= count <= 22 or len(rest) != 46 * count:
        raise WrongPacketError(f"type 2: {packet.data.hex(' ')}")
    found = []
    for one in (rest[46 * n : 46 * (n + 1)] for n in range(count)):
        text = one[9:40].rstrip(b"\0").decode("gb18030")
        found.append(
            Component(
                one[0],
                one[1],
                one[2],
                number(one[3:5]),
                number(one[5:7]),
                number(one[7:9]),
                text,
                tag(one[40:46]),
            )
        )
    return found


def put_together(
    serial: int, command: int, data: bytes = b"", source: int = US, destination: int = TRANSMITTER
) -> bytes:
    """A packet, from the centre unless told otherwise; sent on 2012-09-26 at 09:58:02."""
    control = bytearray([serial % 256, serial // 256, 1, 1, 2, 58, 9, 26, 9, 12])
    for address in (source, destination):
        control += bytes((address >> (8 * place)) & 255 for place in range(6))
    control += bytes([len(data) % 256, len(data) // 256, command])
    return b"@@" + bytes(control) + data + bytes([(sum(control) + sum(data)) % 256]) + b"##"


@dataclass
class FireCentre:
    """Listens at 127.0.0.1:`port` once started."""

    transport: Literal["tcp", "udp"] = "tcp"
    behaviour: Literal["confirm", "deny", "silent"] = "confirm"
    port: int = 0
    packets: list[Packet] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    connections: int = 0
    _stopped: bool = False
    _lines: list[socket.socket] = field(default_factory=list)
    _peer: tuple[str, int] | None = None

    def start(self) -> FireCentre:
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        if self.transport == "tcp":
            self._socket.listen()
        self._stopped = False
        target = self._datagrams if self.transport == "udp" else self._accept
        threading.Thread(target=target, daemon=True).start()
        return self

    def stop(self) -> None:
        self._stopped = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        self._lines.clear()

    def order(self, serial: int, command: int, data: bytes) -> None:
        """Say something of our own to whoever is connected."""
        packet = put_together(serial, command, data)
        if self.transport == "udp":
            assert self._peer is not None
            self._socket.sendto(packet, self._peer)
        else:
            self._lines[-1].sendall(packet)

    def told(self) -> list[Component]:
        """Every component state that came, repeats too."""
        return [one for packet in list(self.packets) for one in components(packet)]

    def fires(self) -> list[Component]:
        """Those that burn."""
        return [one for one in self.told() if one.burns]

    def of_kind(self, kind: int) -> list[Packet]:
        return [packet for packet in list(self.packets) if packet.kind == kind]

    def _accept(self) -> None:
        while not self._stopped:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._lines.append(line)
            threading.Thread(target=self._stream, args=(line, self.connections), daemon=True).start()

    def _stream(self, line: socket.socket, connection: int) -> None:
        held = b""
        try:
            while more := line.recv(4096):
                held += more
                while len(held) >= 26 and len(held) >= 30 + number(held[24:26]):
                    size = 30 + number(held[24:26])
                    raw, held = held[:size], held[size:]
                    answer = self._hear(raw, connection)
                    if answer:
                        line.sendall(answer)
        except OSError:
            return

    def _datagrams(self) -> None:
        while not self._stopped:
            try:
                raw, self._peer = self._socket.recvfrom(2048)
            except OSError:
                return
            if self._stopped:
                return
            answer = self._hear(raw, 0)
            if answer and self._peer is not None:
                self._socket.sendto(answer, self._peer)

    def _hear(self, raw: bytes, connection: int) -> bytes:
        try:
            packet = take_apart(raw, connection)
            components(packet)
        except (WrongPacketError, UnicodeDecodeError) as error:
            self.wrong.append(str(error))
            return b""
        self.packets.append(packet)
        if packet.command != SEND or self.behaviour == "silent":
            return b""
        return put_together(packet.serial, CONFIRM if self.behaviour == "confirm" else DENY)
