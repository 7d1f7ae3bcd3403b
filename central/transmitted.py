"""What an existing transmitter says in GB/T 26875.3, as observations of ours.

Law of this file: pure, and it believes a fire in whatever form it comes: by bit 1 whatever bit 0 says, of a
detector, an installation or the transmitter itself, or as somebody's hand on a manual call point. What is not
understood is kept in words. Only a state that says that it is a normal one ends anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct

from gb26875.data import (
    ComponentState,
    Done,
    Operation,
    State,
    SystemState,
    Thing,
    Transmitter,
    TransmitterOperation,
    TransmitterState,
    Unit,
    read_text,
)
from gb26875.frame import TimeTag
from wire.messages import Condition, EventKind

LONGEST_GATEWAY = 16
"""Characters of a transmitter's id: with `-255-65535-65535` behind it a detector's id still fits."""
_HEAT_DETECTORS = range(30, 38)
_C = Condition
_COMPONENT = ((State.FAULT, _C.FAULT), (State.SHIELDED, _C.ISOLATED), (State.POWER_FAULT, _C.MAINS_LOST))
_TRANSMITTER = (
    (Transmitter.FAULT, _C.FAULT),
    (Transmitter.MAINS_FAULT, _C.MAINS_LOST),
    (Transmitter.BATTERY_FAULT, _C.LOW_BATTERY),
)


class Told(Struct, frozen=True):
    """One observation; `detector` None is the transmitter itself."""

    kind: EventKind
    condition: Condition | None
    detector: str | None
    at: TimeTag | None
    text: str


def detector_id(gateway: str, system: int, zone: int, point: int) -> str:
    """By which a component of a transmitter is registered."""
    return f"{gateway}-{system}-{zone}-{point}"


def told(gateway: str, unit: Unit, present: Collection[tuple[str, Condition]]) -> list[Told]:
    """What a packet says. `present`: what each part (detector id, or '') has said and not taken back."""
    return [one for thing in unit.things for one in _of(gateway, unit, thing, present)]


def _of(gateway: str, unit: Unit, thing: Thing, present: Collection[tuple[str, Condition]]) -> Iterator[Told]:
    match thing:
        case ComponentState(_, system, kind, zone, point, state, field, at):
            fire = _C.HEAT if kind in _HEAT_DETECTORS else _C.SMOKE
            where = detector_id(gateway, system, zone, point)
            text = f"{read_text(field)}（类型 {kind}，区 {zone}，位 {point}，状态 0x{state:04X}）"
            bits = ((State.FIRE, fire), *_COMPONENT)
            yield from _state(where, state, bits, present, at, text)
        case SystemState(kind, system, state, at):
            text = f"系统类型 {kind}，地址 {system}，状态 0x{state:04X}"
            bits = ((State.FIRE, _C.SMOKE), *_COMPONENT)
            yield from _state(f"{gateway}-{system}", state, bits, present, at, text)
        case TransmitterState(state, at):
            text = f"传输装置状态 0x{state:02X}"
            yield from _state(f"{gateway}-0", state, ((State.FIRE, _C.SMOKE),), present, at, text)
            yield from _state(None, state, _TRANSMITTER, present, at, text)
        case Operation(_, system, done, _, at) if done & Done.MANUAL_ALARM:
            yield Told(EventKind.ASSERT, _C.SMOKE, f"{gateway}-{system}", at, "手动报警")
        case TransmitterOperation(done, _, at) if done & Done.MANUAL_ALARM:
            yield Told(EventKind.ASSERT, _C.SMOKE, f"{gateway}-0", at, "手动报警")
        case _:
            yield Told(EventKind.NOTE, None, None, None, f"GB/T 26875.3 {unit.kind.name}: {thing}"[:500])


def _state(
    detector: str | None,
    state: int,
    bits: tuple[tuple[int, Condition], ...],
    present: Collection[tuple[str, Condition]],
    at: TimeTag,
    text: str,
) -> Iterator[Told]:
    for bit, condition in bits:
        if state & bit:
            yield Told(EventKind.ASSERT, condition, detector, at, text)
        elif state & State.NORMAL and (detector or "", condition) in present:
            yield Told(EventKind.CLEAR, condition, detector, at, text)
    if state == 0 and detector is not None:
        yield Told(EventKind.NOTE, None, detector, at, f"测试状态 test: {text}"[:500])
