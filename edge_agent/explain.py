"""What a right configuration would do, and what about this machine may keep it from doing it; pure.

Law of this file: a warning never refuses: a port may be plugged in later, a clock may be set later. Each
names the place and the mend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from device_profiles.schema import Profile
from edge_agent.config import Settings
from edge_agent.estimate import lap_s, lap_text
from edge_agent.fallback_settings import explained
from edge_agent.masters import protocol_of
from edge_agent.plan import plan
from edge_agent.rules import configured
from edge_agent.scan import settings_of
from wire.messages import BusConfig, Transport

LONG_LAP_S = 10.0


class Port(Enum):
    """How a serial port looks to this user now."""

    READY = "ready"
    MISSING = "missing"
    FORBIDDEN = "forbidden"
    NO_DEVICE = "no device"
    """Something is there, but no character device."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was seen of this machine."""

    ports: Mapping[str, Port] = field(default_factory=dict)
    """By address, serial buses only."""
    synchronised: bool = True
    """Whether the clock is known to be right."""


def explain(settings: Settings, profiles: Mapping[str, Profile]) -> list[str]:
    """What would be read and sent, one fact a line."""
    broker = settings.mqtt
    secure = "TLS" if broker.tls else "no TLS"
    said = [
        f"gateway {settings.gateway} of area {settings.area}; state in {settings.state_dir}",
        f"broker {', else '.join(map(str, broker.ways))}, {secure}",
        f"control socket {settings.control_socket}",
    ]
    where = settings.http_listen
    said.append(
        "health pages off" if where is None else f"health pages at http://{where[0]}:{where[1]}/metrics"
    )
    said += explained(settings.fallback)
    if not settings.buses:
        said.append("no bus here: it will watch what the centre pushes")
    for bus in settings.buses:
        reads = plan(configured(bus, profiles))
        said.append(
            f"bus {bus.bus}: {settings_of(bus)}: {len(bus.detectors)} detectors, "
            f"{lap_text(bus, reads, protocol_of(bus, profiles))}"
        )
        models: dict[str, list[str]] = {}
        for detector in bus.detectors:
            point = "" if detector.point is None else f" point {detector.point}"
            models.setdefault(detector.profile, []).append(
                f"{detector.detector} (unit {detector.unit}{point})"
            )
        said += [f"  {model}: {', '.join(names)}" for model, names in models.items()]
        writes = [one.detector for one in bus.detectors if one.allow_writes]
        if writes:
            said.append(f"  may be written to by order of the centre: {', '.join(writes)}")
    return said


def warnings(settings: Settings, profiles: Mapping[str, Profile], machine: Machine) -> list[str]:
    """What may keep it from working here, each with its mend."""
    found = []
    if not machine.synchronised:
        found.append(
            "the clock is not synchronised: the centre's commands are refused until it is; start an NTP "
            'client, or set clock = "trusted" where the host keeps the time'
        )
    if not settings.mqtt.tls and settings.mqtt.host not in ("localhost", "127.0.0.1", "::1"):
        found.append(
            "mqtt.tls is false: what happens in homes goes over the network in the clear; set tls = true"
        )
    if settings.http_listen is not None and settings.http_listen[0] not in ("localhost", "127.0.0.1", "::1"):
        found.append(
            f"http.listen: {settings.http_listen[0]} is not loopback: anybody on that network reads it"
        )
    for i, bus in enumerate(settings.buses):
        found += [f"bus[{i}].{text}" for text in _about(bus, profiles, machine)]
    return found


def _about(bus: BusConfig, profiles: Mapping[str, Profile], machine: Machine) -> list[str]:
    found = []
    where = bus.address
    match machine.ports.get(where):
        case Port.MISSING:
            found.append(
                f"address: {where} is not there now: plug the adapter in; it is watched as soon as it is"
            )
        case Port.FORBIDDEN:
            mend = "add the user to group dialout (the service has it), or ask with sudo"
            found.append(f"address: {where} may not be opened by this user: {mend}")
        case Port.NO_DEVICE:
            found.append(f"address: {where} is no serial port: look with ls -l /dev/serial/by-id")
        case _:
            pass
    if bus.transport is Transport.SERIAL and where.startswith(("/dev/ttyUSB", "/dev/ttyACM")):
        found.append(
            f"address: {where} may be another adapter after a restart: use its name under /dev/serial/by-id/"
        )
    if not bus.detectors:
        found.append("detectors: none: nothing is read on this bus; smokewatch-edge probe finds who answers")
    took_s = lap_s(bus, plan(configured(bus, profiles)))
    if took_s > LONG_LAP_S:
        found.append(
            f"detectors: a lap takes about {took_s:.0f} s, and so long a fire may wait: use two buses"
        )
    for j, detector in enumerate(bus.detectors):
        line = profiles[detector.profile].line
        if bus.transport is Transport.SERIAL and line is not None and line.baud != bus.baud:
            found.append(
                f"detectors[{j}]: {detector.profile} is delivered with {line.baud} baud, the bus has "
                f"{bus.baud}: check that the device was set"
            )
    return found
