"""Registers in, conditions out: every folder of tests/cases, and enough of them for every profile."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from device_profiles.load import load_profiles
from edge_agent.decode import decode
from wire.messages import Condition

CASES = Path(__file__).parents[2] / "cases"
FOLDERS = sorted(f for f in CASES.glob("*/*") if f.is_dir() and not f.parent.name.startswith("_"))
PROFILES = load_profiles()


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f"{f.parent.name}/{f.name}")
def test_a_case_decodes_as_expected(folder: Path) -> None:
    """Conditions, unknowns, values, status and identity are exactly those of expected.toml."""
    given, expected = _read(folder / "registers.toml"), _read(folder / "expected.toml")
    raw = {name: tuple(words) for name, words in given["registers"].items()}
    seen = decode(PROFILES[folder.parent.name], {**raw, **dict.fromkeys(given["failed"])})
    assert seen.conditions == {Condition(name) for name in expected["present"]}
    assert seen.unknown == {Condition(name) for name in expected["unknown"]}
    shown = {role.value: "none" if value is None else value for role, value in seen.values.items()}
    assert shown == expected.get("values", {})
    assert seen.raw_status == expected.get("status")
    assert seen.identity == expected.get("identity")
    assert (seen.good, seen.blind) == (expected.get("good", True), expected.get("blind", False))


def test_every_packaged_profile_has_three_cases_or_more() -> None:
    """A profile without cases is a profile nobody has thought through."""
    count = {name: sum(1 for f in FOLDERS if f.parent.name == name) for name in PROFILES}
    assert {name: n for name, n in count.items() if n < 3} == {}


def test_every_condition_of_every_profile_is_present_in_some_case() -> None:
    """No condition is promised that no case shows."""
    shown: dict[str, set[str]] = {}
    for folder in FOLDERS:
        shown.setdefault(folder.parent.name, set()).update(_read(folder / "expected.toml")["present"])
    promised = {name: {m.condition.value for m in profile.conditions} for name, profile in PROFILES.items()}
    assert {name: sorted(all_ - shown[name]) for name, all_ in promised.items() if all_ - shown[name]} == {}
