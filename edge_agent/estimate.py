"""How long a lap over a bus takes by the wire alone; pure.

Law of this file: the sum over all reads of request, answer, two silences of 3.5 characters and the device's
own time, all taken as answering. Modbus over Serial Line V1.02, 2.5.1.1.
"""

from __future__ import annotations

from device_profiles.schema import Protocol
from edge_agent.line import character_s
from edge_agent.modbus import frame_gap_s
from edge_agent.plan import Plan, ReadRequest
from wire.messages import BusConfig, Transport

DEVICE_S = 0.030
"""What a home detector commonly takes to answer."""
REQUEST_BYTES = 8


def lap_text(bus: BusConfig, plan: Plan, protocol: Protocol) -> str:
    """What an installer should know of a bus's pace."""
    if protocol is Protocol.MODBUS:
        return (
            f"{len(plan.fast)} requests a lap (and {len(plan.slow)} slow ones in turn), "
            f"about {lap_s(bus, plan):.2f} s a lap"
        )
    wish_s = max((request.gap_s for request in plan.fast), default=0.0)
    every_s = wish_s if bus.gap_ms is None else bus.gap_ms / 1000
    return f"{protocol}, asked every {every_s:g} s and heard at once when it speaks by itself"


def lap_s(bus: BusConfig, plan: Plan, device_s: float = DEVICE_S) -> float:
    """Seconds of a lap over the fast reads; the slow ones come on top, a part of them in each lap."""
    return sum(read_s(bus, request, device_s) for request in plan.fast)


def read_s(bus: BusConfig, request: ReadRequest, device_s: float = DEVICE_S) -> float:
    """Seconds of one read."""
    if bus.transport is Transport.TCP:
        return device_s
    each = character_s(bus)
    data = (request.count + 7) // 8 if request.function <= 2 else 2 * request.count
    wish = request.gap_s if bus.gap_ms is None else bus.gap_ms / 1000
    silence = frame_gap_s(each) + max(frame_gap_s(each), wish)
    return (REQUEST_BYTES + 5 + data) * each + silence + device_s
