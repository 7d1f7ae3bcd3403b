"""What a set of buses must satisfy before an agent may watch it; pure.

Law of this file: the same rules judge the local file and what the centre pushes, all of them are judged
before anything is swapped, and each sentence names the place and the mend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from device_profiles.schema import Profile, Protocol
from edge_agent.config import ConfigError, host_port, nearest, on_lines
from edge_agent.plan import Configured, check
from wire.messages import BusConfig, GatewayConfig, Transport


def check_buses(path: Path, buses: Sequence[BusConfig], profiles: Mapping[str, Profile]) -> None:
    """Judge the buses of the local file. Raises ConfigError with every problem on a line of its own."""
    found = problems(buses, profiles)
    if found:
        raise ConfigError(on_lines(path, found))


def problems(buses: Sequence[BusConfig], profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    """Everything that is wrong with these buses; empty when an agent can watch them."""
    found: list[str] = []
    found += _shared("bus", [(bus.bus, bus.bus) for bus in buses])
    found += _shared("address", [(bus.address, bus.bus) for bus in buses])
    homes = {bus.bus: {detector.detector for detector in bus.detectors} for bus in buses}
    found += _shared("detector", [(name, bus) for bus, names in homes.items() for name in sorted(names)])
    for bus in buses:
        place = f"bus {bus.bus!r}"
        found += [f"{place}: {problem}" for problem in _bus(bus, profiles)]
    return tuple(found)


def takes_all(before: Sequence[BusConfig], config: GatewayConfig) -> tuple[str, ...]:
    """That a configuration would leave nothing to watch where something is watched; empty when it may."""
    if config.may_watch_nothing or _count(config.buses) or not _count(before):
        return ()
    mend = "if that is meant, say so at the centre: smokewatch-central admin gateway stand-down"
    return (f"it would take all {_count(before)} detectors from the watch: {mend}",)


def _count(buses: Sequence[BusConfig]) -> int:
    return sum(len(bus.detectors) for bus in buses)


def configured(bus: BusConfig, profiles: Mapping[str, Profile]) -> list[Configured]:
    """Each detector with its profile, those of unknown profiles left out."""
    return [(d, profiles[d.profile]) for d in bus.detectors if d.profile in profiles]


def protocols(bus: BusConfig, profiles: Mapping[str, Profile]) -> list[Protocol]:
    """What its detectors speak, each protocol once."""
    return list(dict.fromkeys(profile.protocol for _, profile in configured(bus, profiles)))


def _shared(what: str, named: Sequence[tuple[str, str]]) -> list[str]:
    first: dict[str, str] = {}
    found = []
    for name, bus in named:
        if name in first:
            where = "" if first[name] == bus == name else f" on bus {first[name]!r} and bus {bus!r}"
            found.append(f"{what} {name!r} is used twice{where}: give each its own")
        first.setdefault(name, bus)
    return found


def _bus(bus: BusConfig, profiles: Mapping[str, Profile]) -> list[str]:
    return [*_address(bus), *_protocols(bus, profiles), *_detectors(bus, profiles)]


def _protocols(bus: BusConfig, profiles: Mapping[str, Profile]) -> list[str]:
    spoken = protocols(bus, profiles)
    if len(spoken) > 1:
        return [f"its detectors speak {' and '.join(spoken)}: give each protocol a line of its own"]
    plain = [protocol for protocol in spoken if protocol is not Protocol.MODBUS]
    if plain and bus.transport is Transport.TCP:
        return [f"transport tcp is Modbus TCP, but its detectors speak {plain[0]}: use serial or rtu_tcp"]
    return []


def _address(bus: BusConfig) -> list[str]:
    if bus.transport is Transport.SERIAL:
        if bus.address.startswith("/"):
            return []
        mend = "give the device's whole path, best one under /dev/serial/by-id/"
        return [f"address {bus.address!r} is not a device path: {mend}"]
    if host_port(bus.address) is None:
        return [f"address {bus.address!r} is not host:port, for example 192.168.1.50:502"]
    return []


def _detectors(bus: BusConfig, profiles: Mapping[str, Profile]) -> list[str]:
    found = []
    for detector in bus.detectors:
        profile = profiles.get(detector.profile)
        who = f"detector {detector.detector}"
        if profile is None:
            hint = nearest(detector.profile, profiles) or f": known are {', '.join(sorted(profiles))}"
            found.append(f"{who}: profile {detector.profile!r} is unknown{hint}")
        elif detector.allow_writes and not profile.writes:
            found.append(f"{who}: allow_writes is set, but {profile.id} has no write action: leave it out")
    return found + check(configured(bus, profiles))
