"""Which master speaks to a bus: an explicit list, by the protocol of its detectors' profiles."""

from __future__ import annotations

from collections.abc import Mapping

from device_profiles.schema import Profile, Protocol
from edge_agent.exchange import Master
from edge_agent.line import Line, character_s
from edge_agent.modbus import Modbus
from edge_agent.plain import PlainMaster
from edge_agent.protocols import PROTOCOLS
from edge_agent.rules import protocols
from wire.messages import BusConfig, Transport


def protocol_of(bus: BusConfig, profiles: Mapping[str, Profile]) -> Protocol:
    """What a bus that `rules` has found right speaks; Modbus while nothing hangs on it."""
    return next(iter(protocols(bus, profiles)), Protocol.MODBUS)


def master_of(bus: BusConfig, profiles: Mapping[str, Profile], line: Line) -> Master:
    """Who asks the devices of this bus over this line."""
    protocol = protocol_of(bus, profiles)
    gap_s = None if bus.gap_ms is None else bus.gap_ms / 1000
    if protocol is Protocol.MODBUS:
        return Modbus(line, bus.transport, character_s=character_s(bus), gap_s=gap_s)
    dialogue = PROTOCOLS[protocol](character_s(bus))
    return PlainMaster(
        line, dialogue, bus=bus.bus, connected=bus.transport is not Transport.SERIAL, gap_s=gap_s
    )
