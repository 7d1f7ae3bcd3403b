"""What a detector's registers hold: profile and state in, words out.

Law of this file: pure, and an encoder of its own; it knows the profiles, never the agent's decoder. A
register shows its role's value first, then the conditions that the profile reads from it. Of several ways in
which a profile shows one condition, the first is used and the others stay at rest.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection
from dataclasses import dataclass

from device_profiles.conditions import Condition
from device_profiles.schema import Meaning, Profile, Register, Role, Type
from simulator.detector import Senses, State, conditions, senses

_BOUNDS = {
    Type.BIT: (0, 1),
    Type.U16: (0, 0xFFFF),
    Type.I16: (-0x8000, 0x7FFF),
    Type.U32: (0, 0xFFFFFFFF),
    Type.I32: (-0x80000000, 0x7FFFFFFF),
}
_CODE = {Type.U16: ">H", Type.I16: ">h", Type.U32: ">I", Type.I32: ">i", Type.F32: ">f"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What one detector has to show at one moment."""

    senses: Senses
    conditions: Collection[Condition]
    alarm_at: float
    serial_number: int


def show(state: State, now: float) -> Shown:
    """The state as it is to be shown."""
    traits = state.traits
    return Shown(senses(state, now), conditions(state, now), traits.alarm_at, traits.serial_number)


def encode(profile: Profile, register: Register, shown: Shown) -> tuple[int, ...]:
    """The words of one register in wire order (bits: 0 or 1)."""
    value = _sensed(profile, register, shown)
    if value is None:
        return _words(register, register.absent[0] if register.absent else 0)
    raw = _raw(register, value)
    first: set[Condition] = set()
    here: list[tuple[Meaning, bool]] = []
    for meaning in profile.conditions:
        if meaning.register == register.name:
            here.append((meaning, meaning.condition in shown.conditions and meaning.condition not in first))
        first.add(meaning.condition)
    raw = _limits(register, raw, here)
    raw = _states(raw, here)
    raw = _bits(register, raw, here)
    return _words(register, raw)


def _sensed(profile: Profile, register: Register, shown: Shown) -> float | None:
    """The engineering value of the register's role; 0 where it has none."""
    seen = shown.senses
    match register.role:
        case Role.SMOKE:
            return None if seen.smoke is None else seen.smoke * _per_obscuration(profile, register, shown)
        case Role.TEMPERATURE:
            return seen.temperature
        case Role.BATTERY:
            return seen.battery
        case Role.CONTAMINATION:
            return seen.contamination
        case Role.IDENTITY:
            return float(shown.serial_number)
        case _:
            return register.offset


def _per_obscuration(profile: Profile, register: Register, shown: Shown) -> float:
    """Smoke in another unit is scaled so that the profile's own fire level is our alarm threshold."""
    if register.unit == "%/m":
        return 1.0
    for meaning in profile.conditions:
        if meaning.register == register.name and meaning.condition is Condition.SMOKE and meaning.at_least:
            return meaning.at_least / shown.alarm_at
    return 1.0


def _raw(register: Register, value: float) -> float:
    raw = (value - register.offset) / register.scale
    if register.type is Type.F32:
        return raw
    low, high = _BOUNDS[register.type]
    number = min(high, max(low, round(raw)))
    while number in register.absent:  # a value at the end of the range must not read as "no value"
        number += 1 if number <= low else -1
    return number


def _limits(register: Register, raw: float, here: list[tuple[Meaning, bool]]) -> float:
    """A present condition lifts (or lowers) the value across its limit; an absent one leaves it."""
    for meaning, present in here:
        if not present:
            continue
        value = raw * register.scale + register.offset
        if meaning.at_least is not None and value < meaning.at_least:
            raw = _across(register, meaning.at_least, up=True)
        elif meaning.at_most is not None and value > meaning.at_most:
            raw = _across(register, meaning.at_most, up=False)
    return raw


def _across(register: Register, limit: float, *, up: bool) -> float:
    raw = (limit - register.offset) / register.scale
    if register.type is Type.F32:
        return raw
    rounded = math.ceil(raw - 1e-9) if up == (register.scale > 0) else math.floor(raw + 1e-9)
    low, high = _BOUNDS[register.type]
    return min(high, max(low, rounded))


def _states(raw: float, here: list[tuple[Meaning, bool]]) -> float:
    """Registers of one state at a time: the profile's first condition that is present, else a clear one."""
    told = [(meaning, present) for meaning, present in here if meaning.values]
    if not told:
        return raw
    mask = told[0][0].mask
    chosen = next((meaning.values[0] for meaning, present in told if present), None)
    if chosen is None:
        chosen = _nothing([meaning for meaning, _ in told])
    return chosen if mask is None else (int(raw) & ~mask) | chosen


def _nothing(meanings: list[Meaning]) -> int:
    """A value that says of every condition that it is absent."""
    taken = {value for meaning in meanings for value in meaning.values}
    listed = [set(meaning.clear_values) for meaning in meanings if meaning.clear_values]
    common = set.intersection(*listed) - taken if listed else set()
    if common:
        return min(common)
    return next(value for value in range(len(taken) + 1) if value not in taken)


def _bits(register: Register, raw: float, here: list[tuple[Meaning, bool]]) -> float:
    for meaning, present in here:
        place = meaning.bit if meaning.bit is not None else meaning.bit_clear
        if place is None or register.type is Type.F32:
            continue
        high = present == (meaning.bit is not None)
        raw = int(raw) | 1 << place if high else int(raw) & ~(1 << place)
    return raw


def _words(register: Register, raw: float) -> tuple[int, ...]:
    if register.type is Type.BIT:
        return (int(raw) & 1,)
    if register.type is Type.F32:
        data = struct.pack(">f", raw)
    else:
        width = 16 * register.type.words
        number = int(raw) & (1 << width) - 1
        data = number.to_bytes(width // 8, "big")
    letters = "ABCD"[: len(data)]
    wire = bytes(data[letters.index(letter)] for letter in register.order.value if letter in letters)
    return tuple(wire[at] << 8 | wire[at + 1] for at in range(0, len(wire), 2))
