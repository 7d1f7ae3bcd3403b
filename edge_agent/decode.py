"""What a device's registers mean: raw registers and the profile in, conditions and values out.

Law of this file: pure, and unknown never becomes normal. A condition is absent only when every register
that could show it was read well and says so; a failed read, a value marked as absent, a value outside its
limits, a NaN, a reply of the wrong length make it unknown. Whatever comes in, nothing is raised.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from msgspec import Struct

from device_profiles.schema import Group, Meaning, Profile, Register, Role, Type
from wire.messages import Condition

Raw = Mapping[str, tuple[int, ...] | None]
"""Register name -> words read, in wire order (bits: 0 or 1); None: the read failed; not in it: not asked."""

FIRE = frozenset({Condition.SMOKE, Condition.HEAT})
_SENSED = frozenset({Condition.SMOKE, Condition.HEAT, Condition.PRE_ALARM, Condition.CONTAMINATED})
_HEADLESS = frozenset({Condition.REMOVED, Condition.ISOLATED})
WORDS_KEPT = 64
"""Of so many words of a register, the latest, is kept what they mean."""
_BITS = {Type.BIT: 1, Type.U16: 16, Type.I16: 16, Type.U32: 32, Type.I32: 32, Type.F32: 32}


class Snapshot(Struct, frozen=True):
    """One look at one detector."""

    conditions: frozenset[Condition]
    """Present by a good read."""
    unknown: frozenset[Condition]
    """Conditions the profile can show of which this look tells nothing."""
    absent: frozenset[Condition] = frozenset()
    """Absent by a good read."""
    values: Mapping[Role, float | None] = {}
    """Smoke, temperature, battery, contamination in the register's unit: only roles that were asked for in
    this look; None where the device gave no believable value."""
    raw_status: int | None = None
    """The status register's raw value; where a device has bits instead, bit i is its i-th bit register."""
    identity: int | None = None
    good: bool = True
    """Something was answered; False is the same as a missed read."""
    blind: bool = False
    """It answers, but its smoke or heat could not be read or not be believed."""


@dataclass(frozen=True, slots=True)
class _Value:
    raw: float
    """Integer types: an int."""
    pattern: int
    """The value's bits."""
    engineering: float


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the registers that mean something say of the conditions."""

    present: frozenset[Condition]
    absent: frozenset[Condition]
    unknown: frozenset[Condition]
    blind: bool


class Decoder:
    """Tells what the registers of one model mean. Most looks show words that an earlier one has shown."""

    def __init__(self, profile: Profile) -> None:
        registers = profile.registers
        self._profile = profile
        self._value = {r.name: lru_cache(WORDS_KEPT)(partial(_value, r)) for r in registers}
        self._telling = tuple(dict.fromkeys(meaning.register for meaning in profile.conditions))
        self._verdict = lru_cache(WORDS_KEPT)(self._judge)
        self._measured = [
            (r.name, r.role, self._value[r.name])
            for r in registers
            if r.role not in (None, Role.STATUS, Role.IDENTITY)
        ]
        bits = [r.name for r in registers if r.type is Type.BIT and r.group is Group.FAST]
        self._status = _first(registers, Role.STATUS) or bits
        self._identity = _first(registers, Role.IDENTITY)

    def decode(self, raw: Raw) -> Snapshot:
        """What this look says. Conditions of registers that were not asked for are unknown."""
        verdict = self._verdict(*map(raw.get, self._telling))
        values: dict[Role, float | None] = {}
        for name, role, meaning in self._measured:
            if name in raw:
                value = meaning(raw[name])
                values[role] = None if value is None else value.engineering
        return Snapshot(
            conditions=verdict.present,
            unknown=verdict.unknown,
            absent=verdict.absent,
            values=values,
            raw_status=self._pattern(self._status, raw),
            identity=self._pattern(self._identity, raw),
            good=any(words is not None for words in raw.values()),
            blind=verdict.blind,
        )

    def _judge(self, *words: tuple[int, ...] | None) -> _Verdict:
        profile = self._profile
        read = {name: self._value[name](seen) for name, seen in zip(self._telling, words, strict=True)}
        verdicts: dict[Condition, list[bool | None]] = {}
        unreadable: set[Condition] = set()
        for meaning in profile.conditions:
            condition = Condition(meaning.condition.value)
            value = read[meaning.register]
            verdict = None if value is None else _test(meaning, value)
            verdicts.setdefault(condition, []).append(verdict)
            if verdict is None and not (value and _explained(profile, meaning, value)):
                unreadable.add(condition)
        present = {condition for condition, said in verdicts.items() if True in said}
        absent = {condition for condition, said in verdicts.items() if all(one is False for one in said)}
        if present & _HEADLESS:
            # A head that is off its base, or switched off, cannot say that there is no smoke.
            absent -= _SENSED
        return _Verdict(
            frozenset(present),
            frozenset(absent),
            frozenset(verdicts.keys() - present - absent),
            blind=bool((unreadable & FIRE) - present),
        )

    def _pattern(self, names: Sequence[str], raw: Raw) -> int | None:
        """The registers' bits side by side, the first one lowest; None when one was not read well."""
        pattern = 0
        for place, name in enumerate(names):
            value = self._value[name](raw.get(name))
            if value is None:
                return None
            pattern |= value.pattern << place
        return pattern if names else None


def decode(profile: Profile, raw: Raw) -> Snapshot:
    """What one look says, where there is only one."""
    return Decoder(profile).decode(raw)


def _first(registers: Sequence[Register], role: Role) -> list[str]:
    return [register.name for register in registers if register.role is role][:1]


def _explained(profile: Profile, meaning: Meaning, value: _Value) -> bool:
    """Whether the register shows another known state instead (a fault, an isolation), told by itself."""
    return any(
        other.register == meaning.register and other.values and _test(other, value)
        for other in profile.conditions
        if other is not meaning
    )


def _value(register: Register, words: tuple[int, ...] | None) -> _Value | None:
    """The register's value, or None where nothing believable was read."""
    if words is None or len(words) != register.type.words:
        return None
    top = 1 if register.type is Type.BIT else 0xFFFF
    if any(not 0 <= word <= top for word in words):
        return None
    raw, pattern = _number(register, words)
    if raw in register.absent:
        return None
    digits = 7 if register.type is Type.F32 else 12
    try:
        engineering = float(f"{raw * register.scale + register.offset:.{digits}g}")
    except OverflowError:
        return None
    if not math.isfinite(engineering):
        return None
    if register.minimum is not None and engineering < register.minimum:
        return None
    if register.maximum is not None and engineering > register.maximum:
        return None
    return _Value(raw, pattern, engineering)


def _number(register: Register, words: tuple[int, ...]) -> tuple[float, int]:
    """Raw value and bit pattern after byte order."""
    if register.type is Type.BIT:
        return words[0], words[0]
    if register.order.swaps_bytes:
        words = tuple((word & 0xFF) << 8 | word >> 8 for word in words)
    if register.order.swaps_words:
        words = words[::-1]
    pattern = 0
    for word in words:
        pattern = pattern << 16 | word
    if register.type is Type.F32:
        number: float = struct.unpack(">f", pattern.to_bytes(4, "big"))[0]
        return number, pattern
    width = _BITS[register.type]
    if register.type in (Type.I16, Type.I32) and pattern >> (width - 1):
        return pattern - (1 << width), pattern
    return pattern, pattern


def _test(meaning: Meaning, value: _Value) -> bool | None:
    """Present, absent, or (None) the value does not say."""
    if meaning.bit is not None:
        return bool(value.pattern >> meaning.bit & 1)
    if meaning.bit_clear is not None:
        return not value.pattern >> meaning.bit_clear & 1
    if meaning.at_least is not None:
        return value.engineering >= meaning.at_least
    if meaning.at_most is not None:
        return value.engineering <= meaning.at_most
    seen = value.raw if meaning.mask is None else value.pattern & meaning.mask
    if seen in meaning.values:
        return True
    if meaning.clear_values and seen not in meaning.clear_values:
        return None
    return False
