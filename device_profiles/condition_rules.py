"""Rules for conditions: one test each, on a register that can show it; a fire is read in every lap.

Law of this file: pure; each problem has key and mend. Where a home is at stake the rules are stricter than
the registers need: no slow fire, no limit that turns a fire into an unknown.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator

from device_profiles.conditions import Condition
from device_profiles.problem import Problem
from device_profiles.register_rules import RANGE
from device_profiles.schema import Group, Meaning, Profile, Register, Type

FIRE = frozenset({Condition.SMOKE, Condition.HEAT})
EVERY_LAP = FIRE | {Condition.TEST, Condition.PRE_ALARM}
_WIDTH = {Type.BIT: 1, Type.U16: 16, Type.I16: 16, Type.U32: 32, Type.I32: 32}
_TESTS = ("bit", "bit_clear", "values", "at_least", "at_most")


def conditions(profile: Profile) -> Iterator[Problem]:
    """One test each, that this register can be put to and that can come true."""
    registers = {register.name: register for register in profile.registers}
    seen: dict[Meaning, int] = {}
    for i, meaning in enumerate(profile.conditions):
        key = f"conditions[{i}]"
        first = seen.setdefault(meaning, i)
        if first != i:
            yield Problem(key, f"says the same as conditions[{first}]", "remove one")
        given = [name for name in _TESTS if getattr(meaning, name) not in (None, ())]
        if len(given) != 1:
            said = f"gives {' and '.join(given)}" if given else "gives no test"
            yield Problem(key, said, f"give exactly one of {', '.join(_TESTS)}")
        if meaning.mask is not None and not meaning.values:
            yield Problem(f"{key}.mask", "is used with values only", "add values, or remove mask")
        if meaning.clear_values and not meaning.values:
            yield Problem(
                f"{key}.clear_values", "is used with values only", "add values, or remove clear_values"
            )
        register = registers.get(meaning.register)
        if register is None:
            close = difflib.get_close_matches(meaning.register, registers, 1)
            mend = f"did you mean {close[0]!r}?" if close else f"use one of: {', '.join(registers)}"
            yield Problem(f"{key}.register", f"there is no register {meaning.register!r}", mend)
            continue
        yield from _fits(key, meaning, register)


def _fits(key: str, meaning: Meaning, register: Register) -> Iterator[Problem]:
    """Whether the test can be made on this type at all, and can ever be true."""
    kind = register.type
    width = _WIDTH.get(kind, 0)
    for name, place in (("bit", meaning.bit), ("bit_clear", meaning.bit_clear)):
        if place is not None and place >= width:
            yield Problem(
                f"{key}.{name}",
                f"a {kind.value} has no bit {place}",
                f"use 0 to {width - 1}" if width else "use at_least or at_most",
            )
    if meaning.values:
        yield from _enumeration(key, meaning, kind)
    for name, bound in (("at_least", meaning.at_least), ("at_most", meaning.at_most)):
        if bound is None:
            continue
        if kind is Type.BIT:
            yield Problem(f"{key}.{name}", "a bit is not a quantity", "use bit = 0 or bit_clear = 0")
        if not math.isfinite(bound):
            yield Problem(f"{key}.{name}", f"{bound} is impossible", "use a finite number")
        if (register.maximum is not None and bound > register.maximum) or (
            register.minimum is not None and bound < register.minimum
        ):
            yield Problem(
                f"{key}.{name}",
                f"{bound} is outside the limits of {register.name!r}",
                "correct it, or the register's minimum and maximum",
            )


def _enumeration(key: str, meaning: Meaning, kind: Type) -> Iterator[Problem]:
    if kind is Type.F32:
        yield Problem(f"{key}.values", "an f32 is not an enumeration", "use at_least or at_most")
        return
    low, high = RANGE[kind]
    if meaning.mask is not None:
        if meaning.mask >> _WIDTH[kind]:
            yield Problem(f"{key}.mask", f"is wider than a {kind.value}", "use as many bits as it has")
        low, high = 0, meaning.mask
    for name, values in (("values", meaning.values), ("clear_values", meaning.clear_values)):
        for value in values:
            if not low <= value <= high or (meaning.mask is not None and value & ~meaning.mask):
                yield Problem(
                    f"{key}.{name}", f"{value} can never be read here", "correct the value or the mask"
                )
        if len(set(values)) != len(values):
            yield Problem(f"{key}.{name}", "lists a value twice", "list each once")
    for value in sorted(set(meaning.values) & set(meaning.clear_values)):
        yield Problem(f"{key}.clear_values", f"{value} is in values too", "keep it in one of them")


def fire(profile: Profile) -> Iterator[Problem]:
    """What an alarm depends on is read in every lap, and is never hidden by a limit."""
    registers = {register.name: (i, register) for i, register in enumerate(profile.registers)}
    for i, meaning in enumerate(profile.conditions):
        if meaning.register not in registers:
            continue
        place, register = registers[meaning.register]
        if meaning.condition in EVERY_LAP and register.group is Group.SLOW:
            yield Problem(
                f"registers[{place}].group", f"is slow, but tells {meaning.condition}", 'write group = "fast"'
            )
        if meaning.condition in FIRE and meaning.at_least is not None and register.maximum is not None:
            yield Problem(
                f"registers[{place}].maximum",
                f"would make a strong {meaning.condition} unknown",
                f"remove it: conditions[{i}] needs every high value",
            )
    told = FIRE & {meaning.condition for meaning in profile.conditions}
    if profile.fire and not told:
        yield Problem(
            "conditions",
            "tell neither smoke nor heat",
            "add what the device shows in a fire, or write fire = false for equipment without a sensor",
        )
    if not profile.fire and told:
        yield Problem(
            "fire", f"is false, but conditions tell {' and '.join(sorted(told))}", "remove fire = false"
        )
