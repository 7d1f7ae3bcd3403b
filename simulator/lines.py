"""What one master sees of a line: bytes in, answers out at the time they would take on the wire.

Law of this file: an answer is handed over at the moment when its last byte would have crossed the real line:
request, 3.5 characters of silence, the device's delay, answer. What the bytes say is decided by `site.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from simulator.faults import Fault, Kind, Pieces, disturb
from simulator.rtu import MbapParser, RtuParser
from simulator.scenario import BusSpec
from simulator.site import Site

FIXED_GAP_S = 0.00175
"""3.5 characters above 19200 baud (Modbus over Serial Line V1.02, 2.5.1.1)."""
PAUSE_S = 0.1
"""A pause that ends an unfinished request. Longer than 3.5 characters: on a busy machine a master writes in
pieces, and a pseudo-terminal does not show when they were sent."""
MOST_LAG_S = 0.0005
"""Waking later than this is a busy moment and not the machine's habit."""
_MEANWHILE = frozenset({Kind.SILENT, Kind.SLOW, Kind.LATE_REPLY})
"""Faults during which the line is free for others."""


class Pace:
    """How long things take on a serial line, in seconds."""

    def __init__(self, spec: BusSpec) -> None:
        bits = 1 + 8 + (spec.parity != "N") + spec.stop_bits
        self.character = bits / spec.baud
        self.gap = FIXED_GAP_S if spec.baud > 19200 else 3.5 * self.character
        self.delay = spec.delay_ms / 1000


class Later:
    """Bytes that are on their way."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._handles: set[asyncio.TimerHandle] = set()
        self.lag = 0.0
        """How late this machine usually wakes us, seconds. Twice a poll, it would make laps too long."""

    def at(self, when: float, piece: bytes) -> None:
        """Send at this time of the running loop, on average."""
        loop = asyncio.get_running_loop()
        aim = when - self.lag

        def send() -> None:
            self._handles.discard(handle)
            self.lag += (min(loop.time() - aim, MOST_LAG_S) - self.lag) * 0.05
            self._send(piece)

        handle = loop.call_at(aim, send)
        self._handles.add(handle)

    def forget(self) -> None:
        """Nobody is there any more to take them."""
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()


class RtuLine:
    """One master on an RTU line."""

    def __init__(self, site: Site, spec: BusSpec, send: Callable[[bytes], None]) -> None:
        self._site, self._bus, self._pace, self._send = site, spec.id, Pace(spec), send
        self._later = Later(send)
        self._parser = RtuParser(idle_s=PAUSE_S)
        self._began = self._last = self._free_at = 0.0

    def feed(self, data: bytes) -> None:
        """Bytes from the master."""
        now = asyncio.get_running_loop().time() - self._later.lag
        if self._began == 0.0 or now - self._last > PAUSE_S:
            self._began = now
        self._last = now
        if self._site.echoes(self._bus):
            self._send(data)
        pace = self._pace
        for request in self._parser.feed(data, now):
            wire = (len(request.pdu) + 3) * pace.character
            heard = max(now, max(self._began, self._free_at) + wire)
            self._began, self._free_at = 0.0, heard
            answer = self._site.answer(self._bus, request)
            if answer is None:
                continue
            due = heard + pace.gap + pace.delay
            for late, piece in disturb(answer.fault, answer.unit, answer.pdu, None, self._site.rng):
                end = due + late + len(piece) * pace.character
                if not _lets_others(answer.fault):
                    self._free_at = end
                self._later.at(end, piece)

    def stop(self) -> None:
        """The master is gone."""
        self._later.forget()


class TcpLine:
    """One connection of Modbus TCP: one request after another, as a small device serves them."""

    def __init__(self, site: Site, spec: BusSpec, send: Callable[[bytes], None]) -> None:
        self._site, self._bus, self._delay = site, spec.id, spec.delay_ms / 1000
        self._later = Later(send)
        self._parser = MbapParser()
        self._free_at = 0.0

    @property
    def broken(self) -> bool:
        """The peer speaks something else than Modbus TCP."""
        return self._parser.broken

    def feed(self, data: bytes) -> None:
        """Bytes from the master."""
        now = asyncio.get_running_loop().time()
        for request in self._parser.feed(data):
            answer = self._site.answer(self._bus, request)
            if answer is None:
                continue
            due = max(now, self._free_at) + self._delay
            if not _lets_others(answer.fault):
                self._free_at = due
            pieces: Pieces = disturb(
                answer.fault, answer.unit, answer.pdu, request.transaction, self._site.rng
            )
            for late, piece in pieces:
                self._later.at(due + late, piece)

    def stop(self) -> None:
        """The master is gone."""
        self._later.forget()


def _lets_others(fault: Fault | None) -> bool:
    return fault is not None and fault.kind in _MEANWHILE
