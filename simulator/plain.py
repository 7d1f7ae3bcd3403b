"""What one master sees of a line with a plain serial protocol: bytes out when they would have crossed it.

Law of this file: time and faults. What is said is decided by the device's own file, which is listed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from device_profiles.schema import Protocol
from simulator.faults import Kind, spoil
from simulator.gira import GiraDetector
from simulator.jbf import JbfCard
from simulator.lines import Later, Pace
from simulator.said import Device, Said
from simulator.scenario import BusSpec
from simulator.site import Site

TICK_S = 0.02
"""How often a device looks whether it has something to say by itself."""
DEVICES: dict[Protocol, Callable[[Site, str], Device]] = {Protocol.GIRA: GiraDetector, Protocol.JBF: JbfCard}


class PlainLine:
    """One master on such a line."""

    def __init__(self, site: Site, spec: BusSpec, send: Callable[[bytes], None]) -> None:
        self._site, self._bus, self._pace, self._send = site, spec.id, Pace(spec), send
        self._device = DEVICES[spec.protocol](site, spec.id)
        self._later = Later(send)
        self._free_at = 0.0
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def feed(self, data: bytes) -> None:
        """Bytes from the master."""
        if self._site.echoes(self._bus):
            self._send(data)
        now = asyncio.get_running_loop().time()
        heard = now + len(data) * self._pace.character
        self._say(self._device.hear(data, now), heard + self._pace.delay)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TICK_S, self._tick)
        self._say(self._device.tick(loop.time()), loop.time())

    def _say(self, what: list[Said], due: float) -> None:
        for said in what:
            fault = self._site.fault_of(self._bus, said.of, count=not said.sign)
            if said.sign and fault is not None and fault.kind is not Kind.SILENT:
                fault = None
            pieces = spoil(
                fault,
                said.frame,
                self._site.rng,
                foreign=said.foreign,
                refusal=said.refusal,
                checksum_at=-2,
            )
            for late, piece in pieces:
                begin = max(due + late, self._free_at)
                self._free_at = begin + len(piece) * self._pace.character
                self._later.at(self._free_at, piece)

    def stop(self) -> None:
        """The master is gone."""
        self._timer.cancel()
        self._later.forget()
