"""A JBF-193K card as a master hears it: what begins and ends at its points, polled or by itself.

Law of this file: no I/O, and a codec of its own, written for the simulator alone. As a panel does, it holds a
fire until it is reset. Document: 北大青鸟JBF-193K通信接口卡协议 v2.3.
"""

from __future__ import annotations

import time
from collections import deque

from simulator.said import Said
from simulator.site import Simulated, Site

BY_ITSELF_AFTER_S = 3.0
HEARTBEAT_S = 1.0
OVER = {0x81: 0x82, 0x8C: 0x8D, 0x98: 0x97}
"""What begins something -> what ends it; the rest ends by a reset."""
POWER = (0x71, 0x72)
STAYS = (0x98, *POWER)
"""What a reset does not end."""


def framed(command: int, controller: int = 0, loop: int = 0, point: int = 0, when: float = 0.0) -> bytes:
    """A frame with the checksum of the document's example: the sum of the first five bytes."""
    date = time.gmtime(when)
    body = [command, controller, loop, point, 3]
    stamp = [date.tm_year - 2000, date.tm_mon, date.tm_mday, date.tm_hour, date.tm_min, date.tm_sec]
    if command == 0:
        body, stamp = [0] * 5, [0] * 6
    text = "".join(f"{value:02X}" for value in [*body, *stamp, sum(body) % 256])
    return bytes((0x82, *(0x30 + int(digit, 16) for digit in text), 0x83))


class JbfCard:
    """The card of a line, while one master listens."""

    def __init__(self, site: Site, bus: str) -> None:
        self._site = site
        self._all = site.on(bus)
        self._units = deque({one.unit for one in self._all})
        """The controllers; each says in its turn that it is at rest."""
        self._heard = b""
        self._stands: set[tuple[str, int]] = set()
        self._resets = {one.id: one.resets for one in self._all}
        self._queue: deque[Said] = deque()
        self._polled_at: float | None = None
        self._beat_at = 0.0

    def hear(self, data: bytes, now: float) -> list[Said]:
        """Whatever is a whole frame is a poll."""
        self._heard = (self._heard + data)[-100:]
        said: list[Said] = []
        while (end := self._heard.find(b"\x83")) >= 0:
            frame, self._heard = self._heard[: end + 1], self._heard[end + 1 :]
            if frame[-26:] == framed(0):
                self._polled_at = now
                said.append(self._next())
        return said

    def tick(self, now: float) -> list[Said]:
        """Look at the points; say it all when nobody has polled for long."""
        for one in self._all:
            if one.resets != self._resets[one.id]:
                self._resets[one.id] = one.resets
                self._reset(one.unit)
        for one in self._all:
            self._look(one)
        self._polled_at = now if self._polled_at is None else self._polled_at
        if now - self._polled_at < BY_ITSELF_AFTER_S:
            return []
        if self._queue or now - self._beat_at >= HEARTBEAT_S:
            self._beat_at = now
            return [self._next()]
        return []

    def _next(self) -> Said:
        if self._queue:
            said = self._queue.popleft()
            for one in said.of:
                one.polls += 1
            return said
        if self._stands or not self._all:
            return Said(framed(0))
        self._units.rotate()
        return Said(framed(0x09, self._units[0], when=self._site.clock()))

    def _reset(self, unit: int) -> None:
        gone = {one.id for one in self._all if one.unit == unit}
        self._stands = {(who, what) for who, what in self._stands if who not in gone or what in STAYS}
        self._queue.append(Said(framed(0x01, unit, when=self._site.clock())))

    def _look(self, one: Simulated) -> None:
        for (what, _), word in self._site.words(one).items():
            key = (one.id, what)
            if word == 1 and key not in self._stands:
                self._stands.add(key)
                self._tell(one, what, 0x80)
            elif word == 0 and key in self._stands and (what in OVER or what in POWER):
                self._stands.discard(key)
                self._tell(one, OVER.get(what, what), 0x90)

    def _tell(self, one: Simulated, command: int, power: int) -> None:
        loop, point = divmod(one.point or 0, 256)
        loop = power if command in POWER else loop
        place, now = (loop, point), self._site.clock()
        foreign = framed(command, one.unit + 1, *place, when=now)
        self._queue.append(Said(framed(command, one.unit, *place, when=now), (one,), foreign=foreign))
