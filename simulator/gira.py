"""A Gira/Hager Dual/VdS detector as a master hears it: answers, messages of its own, acknowledgements.

Law of this file: no I/O, and a codec of its own, written for the simulator alone. Document: selfbus/software,
Rauchmelder/Doc/RM_Protokoll.txt.
"""

from __future__ import annotations

import re

from simulator.said import Said
from simulator.site import Simulated, Site

ACK, NAK = b"\x06", b"\x15"
AGAIN_S = 0.5
REPEATS = 3
ON_BATTERY = 0x20
ANSWERS = {0x02: "1111", 0x04: "22", 0x09: "22", 0x0B: "211", 0x0C: "211", 0x0D: "1111", 0x0E: "11"}
"""Query -> size of each value of its answer."""
_FRAME = re.compile(rb"\x02([0-9A-F]*?)([0-9A-F]{2})\x03")


def framed(text: str) -> bytes:
    """STX, the text, the low byte of its characters' sum in hexadecimal, ETX."""
    return f"\x02{text}{sum(map(ord, text)) % 256:02X}\x03".encode()


class GiraDetector:
    """The one detector of a line, while one master listens."""

    def __init__(self, site: Site, bus: str) -> None:
        self._site = site
        self._one: Simulated | None = next(iter(site.on(bus)), None)
        self._heard = b""
        self._told = "" if self._one is None else self._values(self._one, 0x02)
        """The status that the master was told, or could have asked for."""
        self._waiting: bytes | None = None
        """Said, and not acknowledged yet."""
        self._tries = 0
        self._again_at = 0.0

    def hear(self, data: bytes, now: float) -> list[Said]:
        """Requests, orders, acknowledgements."""
        self._heard = (self._heard + data)[-200:]
        said: list[Said] = []
        while self._heard and self._one is not None:
            head = self._heard[:1]
            if head == b"\x02":
                end = self._heard.find(b"\x03")
                if end < 0:
                    break
                frame, self._heard = self._heard[: end + 1], self._heard[end + 1 :]
                said += self._take(self._one, frame, now)
                continue
            self._heard = self._heard[1:]
            if head == ACK:
                self._waiting = None
            elif head == NAK and self._waiting is not None:
                self._again_at = now
        return said

    def _take(self, one: Simulated, frame: bytes, now: float) -> list[Said]:
        whole = _FRAME.fullmatch(frame)
        if whole is None or framed(whole[1].decode()) != frame or not whole[1]:
            return [Said(NAK, (one,), sign=True)]
        message = bytes.fromhex(whole[1].decode())
        yes = Said(ACK + b"\0", (one,), sign=True)
        if len(message) == 1 and message[0] in ANSWERS:
            one.polls += 1
            return [yes, self._say(one, f"{message[0] | 0xC0:02X}{self._values(one, message[0])}", now)]
        for write in one.profile.writes:
            if message == bytes((write.function, write.address, write.value)):
                self._site.act(one, write.action)
        return [yes]

    def tick(self, now: float) -> list[Said]:
        """A message when the status has changed; what nobody acknowledged, again."""
        if self._one is None:
            return []
        if self._waiting is not None:
            if now < self._again_at:
                return []
            if self._tries <= REPEATS:
                return [self._again(self._one, now)]
            self._waiting = None
        status = self._values(self._one, 0x02)
        before, self._told = self._told, status
        if before == status:
            return []
        return [self._say(self._one, f"82{status}", now)]

    def _say(self, one: Simulated, text: str, now: float) -> Said:
        self._waiting, self._tries = framed(text), 0
        return self._again(one, now)

    def _again(self, one: Simulated, now: float) -> Said:
        assert self._waiting is not None
        self._tries += 1
        self._again_at = now + AGAIN_S
        return Said(self._waiting, (one,), refusal=NAK)

    def _values(self, one: Simulated, query: int) -> str:
        words = self._site.words(one)
        values = [words.get((query, place), 0) for place in range(len(ANSWERS[query]))]
        if query == 0x02:
            values[0] |= ON_BATTERY
        sized = zip(values, ANSWERS[query], strict=True)
        return "".join(f"{value % 256 ** int(size):0{2 * int(size)}X}" for value, size in sized)
