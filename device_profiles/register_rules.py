"""Rules for registers: types, numbers, addresses, overlaps.

Law of this file: pure; each problem has key and mend.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

from device_profiles.problem import Problem
from device_profiles.protocols import EVERYWHERE, FORMS
from device_profiles.schema import Order, Profile, Register, Role, Type

_UNITS = {Role.TEMPERATURE: "C", Role.BATTERY: "V", Role.CONTAMINATION: "%"}
RANGE = {
    Type.BIT: (0, 1),
    Type.U16: (0, 0xFFFF),
    Type.I16: (-0x8000, 0x7FFF),
    Type.U32: (0, 0xFFFFFFFF),
    Type.I32: (-0x80000000, 0x7FFFFFFF),
}


def registers(profile: Profile) -> Iterator[Problem]:
    """Names, roles, types and numbers, one register at a time."""
    names: dict[str, int] = {}
    roles: dict[Role, int] = {}
    for i, register in enumerate(profile.registers):
        key = f"registers[{i}]"
        first = names.setdefault(register.name, i)
        if first != i:
            yield Problem(
                f"{key}.name", f"{register.name!r} is already registers[{first}]", "give each its own name"
            )
        if register.role is not None:
            first = roles.setdefault(register.role, i)
            if first != i:
                yield Problem(
                    f"{key}.role", f"registers[{first}] is {register.role.value} already", "keep one"
                )
        yield from _types(key, register, profile)
        yield from _numbers(key, register)
        needed = _UNITS.get(register.role) if register.role else None
        if needed and register.unit != needed:
            yield Problem(
                f"{key}.unit",
                f"is {register.unit!r}, but readings of {register.role} are in {needed!r}",
                f'convert with scale and offset, and write unit = "{needed}"',
            )
        if register.role is Role.SMOKE and not register.unit:
            yield Problem(f"{key}.unit", "is missing for smoke", 'write "%/m", or the unit of the document')


def _types(key: str, register: Register, profile: Profile) -> Iterator[Problem]:
    form = FORMS[profile.protocol]
    if register.function not in form.reads:
        known = ", ".join(map(str, form.reads))
        yield Problem(
            f"{key}.function",
            f"{profile.protocol} reads nothing by {register.function}",
            f"use one of: {known}",
        )
        return
    bits = register.function in form.bits
    if bits and register.type is not Type.BIT:
        yield Problem(
            f"{key}.type",
            f"function {register.function} reads bits, not {register.type.value}",
            'write type = "bit", or function 3 or 4',
        )
    if not bits and register.type is Type.BIT:
        yield Problem(
            f"{key}.type",
            f"function {register.function} reads registers, not bits",
            "write function 1 or 2, or a register type and test its bits in conditions",
        )
    if register.type is Type.BIT and (
        register.order is not Order.ABCD or register.scale != 1 or register.offset != 0
    ):
        yield Problem(key, "a bit has no order, scale or offset", "remove them")
    elif register.type.words == 1 and register.order.swaps_words:
        yield Problem(
            f"{key}.order",
            f"{register.order.value} orders two registers, {register.type.value} has one",
            'use "ABCD", or "BADC" for swapped bytes',
        )
    if register.role in (Role.STATUS, Role.IDENTITY) and register.type is Type.F32:
        yield Problem(f"{key}.type", f"{register.role} is a word, not a float", "use an integer type")


def _numbers(key: str, register: Register) -> Iterator[Problem]:
    if register.scale == 0 or not math.isfinite(register.scale):
        yield Problem(f"{key}.scale", f"{register.scale} is impossible", "use a finite number other than 0")
    if not math.isfinite(register.offset):
        yield Problem(f"{key}.offset", f"{register.offset} is impossible", "use a finite number")
    for name, limit in (("minimum", register.minimum), ("maximum", register.maximum)):
        if limit is not None and not math.isfinite(limit):
            yield Problem(f"{key}.{name}", f"{limit} is impossible", "use a finite number, or leave it out")
    if register.minimum is not None and register.maximum is not None and register.minimum >= register.maximum:
        yield Problem(f"{key}.minimum", "is not below maximum", "exchange them")
    if register.type in RANGE:
        low, high = RANGE[register.type]
        for value in register.absent:
            if not low <= value <= high:
                yield Problem(
                    f"{key}.absent",
                    f"{value} cannot be a {register.type.value} ({low} to {high})",
                    "write the raw value as this type reads it",
                )
    if len(set(register.absent)) != len(register.absent):
        yield Problem(f"{key}.absent", "lists a value twice", "list each once")


def _shift(profile: Profile) -> int:
    return (
        0 if profile.points is None else (profile.points.last - profile.points.first) * profile.points.stride
    )


def addresses(profile: Profile) -> Iterator[Problem]:
    """Every address exists on the wire, for the last point too."""
    if profile.points is not None and profile.points.first > profile.points.last:
        yield Problem("points.first", "is above points.last", "exchange them")
    for i, register in enumerate(profile.registers):
        size = FORMS[profile.protocol].reads.get(register.function, EVERYWHERE)
        yield from _address(f"registers[{i}].address", register.address, register.type.words, profile, size)
    for i, write in enumerate(profile.writes):
        yield from _address(f"writes[{i}].address", write.address, 1, profile, EVERYWHERE)


def _address(key: str, address: int, words: int, profile: Profile, size: int) -> Iterator[Problem]:
    start = address - profile.address_base
    if start < 0:
        yield Problem(
            key,
            "0 does not exist when addresses count from 1",
            "write the document's number, or address_base = 0 if it gives wire addresses",
        )
    last = start + max(_shift(profile), 0) + words - 1
    if last >= size and size < EVERYWHERE:
        yield Problem(key, f"is beyond the {size} words of that answer", "correct address or type")
    elif last > 0xFFFF:
        yield Problem(
            key,
            f"reaches wire address {last}, beyond 65535",
            "write the address without the leading digit of 3xxxx or 4xxxx notation",
        )


def overlaps(profile: Profile) -> Iterator[Problem]:
    """No address has two meanings, nor belongs to two points."""
    for (i, one), (j, two) in combinations(enumerate(profile.registers), 2):
        if one.function == two.function and _meet(one, two, 0):
            yield Problem(
                f"registers[{j}].address",
                f"{two.name!r} overlaps registers[{i}] {one.name!r}",
                "correct address or type; several conditions may test one register",
            )
    if profile.points is None or profile.points.last <= profile.points.first:
        return
    stride, span = profile.points.stride, profile.points.last - profile.points.first
    for one in profile.registers:
        for two in profile.registers:
            if one.function != two.function:
                continue
            near = (two.address - one.address) // stride
            if any(
                _meet(one, two, k * stride) for k in range(near - 2, near + 4) if k != 0 and abs(k) <= span
            ):
                yield Problem(
                    "points.stride",
                    f"one point's {one.name!r} overlaps another point's {two.name!r}",
                    "make stride as large as the distance between two points",
                )
                return


def _meet(one: Register, two: Register, shift: int) -> bool:
    start = one.address + shift
    return start < two.address + two.type.words and two.address < start + one.type.words
