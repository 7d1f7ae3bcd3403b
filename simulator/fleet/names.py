"""Who is in a fleet: areas, gateways, lines, detectors; the same names in registry files and on the wire.

Pure. Names come from the fleet's name and numbers alone: `fleet`, `fleet-00001`, `fleet-00001-001`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BUS_UNITS = 247
"""Units that one line can carry."""
MOST_GATEWAYS = 100_000
MOST_DETECTORS = 1000
"""Of one gateway: its configuration and its snapshot must fit into a message."""
MOST_AREAS = 99
_NAME = re.compile(r"[a-z0-9-]{1,16}")


@dataclass(frozen=True, slots=True)
class Names:
    """Names of `gateways` x `detectors` in `areas` streets; numbers count from 0."""

    fleet: str
    gateways: int
    detectors: int
    areas: int = 1

    def area(self, number: int) -> str:
        """A street's code; with one street it is the fleet's own name."""
        return self.fleet if self.areas == 1 else f"{self.fleet}-{number + 1:02d}"

    def area_number(self, gateway: int) -> int:
        """The street in which a gateway hangs."""
        return gateway % self.areas

    def gateway(self, number: int) -> str:
        """A gateway's id."""
        return f"{self.fleet}-{number + 1:05d}"

    def gateway_number(self, name: str) -> int | None:
        """The number that `gateway` gave this name; None for a name that is not of this fleet."""
        fleet, _, digits = name.rpartition("-")
        if fleet != self.fleet or not digits.isdecimal():
            return None
        number = int(digits) - 1
        return number if 0 <= number < self.gateways and self.gateway(number) == name else None

    def detector(self, gateway: int, number: int) -> str:
        """A detector's id."""
        return f"{self.gateway(gateway)}-{number + 1:03d}"

    def detectors_of(self, gateway: int) -> list[str]:
        """Ids of all detectors of a gateway, in the order of their numbers."""
        stem = self.gateway(gateway)
        return [f"{stem}-{number + 1:03d}" for number in range(self.detectors)]

    def bus(self, detector: int) -> tuple[str, int]:
        """The line and the unit of a gateway's detector."""
        return f"line-{detector // BUS_UNITS + 1}", detector % BUS_UNITS + 1

    def buses(self) -> list[tuple[str, int]]:
        """Each line of a gateway with the number of its detectors."""
        return [
            (f"line-{first // BUS_UNITS + 1}", min(BUS_UNITS, self.detectors - first))
            for first in range(0, self.detectors, BUS_UNITS)
        ]


def wrong_names(names: Names) -> list[str]:
    """All that is wrong with the numbers and the name, Chinese first; empty when nothing is."""
    found = []
    if not _NAME.fullmatch(names.fleet):
        found.append(
            f"区域代码不对 area {names.fleet!r}: use 1 to 16 of a-z, 0-9, hyphen (numbers are added to it)"
        )
    for zh, what, value, least, most in (
        ("网关数", "gateways", names.gateways, 1, MOST_GATEWAYS),
        ("每网关探测器数", "detectors", names.detectors, 0, MOST_DETECTORS),
        ("区域数", "areas", names.areas, 1, min(MOST_AREAS, max(1, names.gateways))),
    ):
        if not least <= value <= most:
            found.append(f"{zh}超出范围 {what} {value}: {least} to {most}")
    return found
