"""What the agent would read, in plain words, lap after lap: for an installer at the line.

Law of this file: reads only. No outbox, no uplink, no write, no memory from lap to lap; what a failed read
leaves open is said to be unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from device_profiles.schema import Profile, Role
from edge_agent.alone import opened
from edge_agent.decode import FIRE, Snapshot, decode
from edge_agent.exchange import Kind, ReadError
from edge_agent.layout import Layout
from edge_agent.line import LineError
from edge_agent.scan import Ask
from wire.messages import BusConfig, Condition

LAP_EVERY_S = 1.0
"""Slow enough to be read."""
_WORDS = {
    Condition.SMOKE: "烟雾报警 SMOKE",
    Condition.HEAT: "温度报警 HEAT",
    Condition.PRE_ALARM: "预警 pre-alarm",
    Condition.TEST: "测试 test",
    Condition.FAULT: "故障 fault",
    Condition.CONTAMINATED: "污染 contaminated",
    Condition.LOW_BATTERY: "电池低 low battery",
    Condition.MAINS_LOST: "主电断 mains lost",
    Condition.REMOVED: "已拆下 removed",
    Condition.MUTED: "已消音 muted",
    Condition.ISOLATED: "已隔离 isolated",
}
_UNITS = {Role.TEMPERATURE: "C", Role.BATTERY: "V", Role.CONTAMINATION: "%"}


async def dry_run(
    buses: Iterable[BusConfig], profiles: Mapping[str, Profile], say: Callable[[str], None], laps: int | None
) -> None:
    """Read all buses side by side, `laps` times (None: until cancelled), and say what is seen."""
    async with asyncio.TaskGroup() as group:
        for bus in buses:
            group.create_task(_bus(bus, profiles, say, laps))


def in_words(profile: Profile, seen: Snapshot) -> str:
    """One look: conditions first, then values, then what this look leaves open."""
    told = [_WORDS.get(one, one.value) for one in sorted(seen.conditions)]
    values = []
    for role, value in seen.values.items():
        unit = _UNITS.get(role) or next((r.unit for r in profile.registers if r.role is role), "")
        values.append(f"{role.value} {'unknown' if value is None else f'{value:.3g} {unit}'}")
    open_ = sorted(one.value for one in seen.unknown)
    rest = "未知 unknown" if seen.blind or seen.unknown & FIRE else "正常 clear"
    parts = [", ".join(told) or rest, *values]
    if open_:
        parts.append(f"未知 unknown: {', '.join(open_)}")
    if seen.identity is not None:
        parts.append(f"identity {seen.identity}")
    return "; ".join(parts)


async def _bus(
    bus: BusConfig, profiles: Mapping[str, Profile], say: Callable[[str], None], laps: int | None
) -> None:
    layout, lap = Layout.of(bus, profiles), 0
    loop = asyncio.get_running_loop()
    while laps is None or lap < laps:
        try:
            async with opened(bus) as ask:
                while laps is None or lap < laps:
                    began = loop.time()
                    lap += 1
                    for line in await _one_lap(bus, layout, ask):
                        say(line)
                    say(f"{bus.bus} lap {lap}: {loop.time() - began:.2f} s")
                    await asyncio.sleep(max(0.0, began + LAP_EVERY_S - loop.time()))
        except LineError as error:
            lap += 1
            say(f"{bus.bus} lap {lap}: {error}: look at the adapter and its rights")
            await asyncio.sleep(LAP_EVERY_S)


async def _one_lap(bus: BusConfig, layout: Layout, ask: Ask) -> list[str]:
    """All registers of all detectors. Raises LineError when the line is lost."""
    said = []
    for unit, detectors in layout.of_unit.items():
        raw: dict[str, dict[str, tuple[int, ...] | None]] = {name: {} for name in detectors}
        why, refused, heard = "", "", False
        for request in layout.reads(unit, layout.plan.slow, identify=False):
            answer = await ask(request) if not why else None
            if isinstance(answer, ReadError):
                if answer.kind is Kind.LINE_LOST:
                    raise LineError(str(answer))
                if answer.kind is Kind.EXCEPTION:
                    heard, refused = True, f"; {answer}: another model?"
                else:
                    why = str(answer)
            words = answer if isinstance(answer, tuple) else None
            heard = heard or words is not None
            for target in request.targets:
                part = None if words is None else words[target.offset : target.offset + target.count]
                raw[target.detector][target.register] = part
        for name in detectors:
            profile = layout.members[name][1]
            seen = in_words(profile, decode(profile, raw[name])) if heard else f"无应答 no answer: {why}"
            said.append(f"{bus.bus} {name} (unit {unit}): {seen}{refused}")
    return said
