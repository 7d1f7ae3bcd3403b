"""The reference detector's document and its profile say the same."""

from __future__ import annotations

import re
from pathlib import Path

from device_profiles.load import load_profiles

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "reference-detector.md"
PROFILE = load_profiles()["smokewatch-reference"]


def rows(heading: str) -> list[list[str]]:
    """The body of the table under a heading."""
    part = PAGE.read_text(encoding="utf-8").split(f"## {heading}")[1].split("\n## ")[0]
    table = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_registers_are_those_of_the_profile() -> None:
    """Name, address, type and the raw value for "none"; the scale stands in the text of the value."""
    said = [(name, int(address), kind, absent) for name, address, kind, _, absent in rows("Input registers")]
    assert said == [
        (r.name, r.address, r.type.value, ", ".join(map(str, r.absent))) for r in PROFILE.registers
    ]
    assert {r.function for r in PROFILE.registers} == {4}
    for register, row in zip(PROFILE.registers, rows("Input registers"), strict=True):
        scale = re.search(r"\d\.\d+", row[3])
        assert float(scale.group()) == register.scale if scale else register.scale == 1


def test_the_bits_are_those_of_the_profile() -> None:
    """Bit by bit."""
    said = [(int(bit), condition) for bit, condition, _ in rows("Bits of `state`")]
    assert said == [(meaning.bit, meaning.condition.value) for meaning in PROFILE.conditions]


def test_the_orders_are_those_of_the_profile() -> None:
    """Address and value of each."""
    said = [(order, int(address), int(value)) for order, address, value in rows("Orders")]
    assert said == [(w.action.value, w.address, w.value) for w in PROFILE.writes]
