"""The packaged profiles: what each must say, and that words agree across rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.conditions import Condition
from device_profiles.load import load_profiles
from device_profiles.reference import render
from device_profiles.rules import EVERY_LAP, check
from device_profiles.schema import Group, Profile
from wire import messages

PROFILES = load_profiles()


def test_the_promised_models_are_packaged() -> None:
    """Those of the first version."""
    assert set(PROFILES) == {
        "calectro-ug-3-o-mb-r",
        "gira-dual-vds",
        "gst200-panel",
        "gst200-point",
        "gst5000-panel",
        "gst5000-point",
        "jbf-193k-panel",
        "jbf-193k-point",
        "smokewatch-reference",
        "sonbest-sm7571b",
        "system-sensor-faast",
    }


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_packaged_profile_obeys_every_rule_and_cites_its_document(profile: Profile) -> None:
    """And a device nobody here has had in hand says what is unverified."""
    assert check(profile) == []
    assert profile.document.title
    assert profile.document.source
    assert profile.document.unverified or profile.id == "smokewatch-reference"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_what_an_alarm_depends_on_is_read_in_every_lap(profile: Profile) -> None:
    """Smoke, heat, test and pre-alarm come from fast registers only."""
    groups = {register.name: register.group for register in profile.registers}
    urgent = [meaning.register for meaning in profile.conditions if meaning.condition in EVERY_LAP]
    assert all(groups[name] is Group.FAST for name in urgent)
    assert bool(urgent) is profile.fire


def test_the_words_for_conditions_are_those_of_the_wire() -> None:
    """Two rooms, one vocabulary."""
    wire = {condition.name: condition.value for condition in messages.Condition}
    assert {c.name: c.value for c in Condition}.items() <= wire.items()


def test_no_packaged_profile_writes_to_a_panel() -> None:
    """A reset there would reach every home behind it."""
    assert [p.id for p in PROFILES.values() if p.writes and p.points] == []


def test_the_reference_page_is_made_from_the_files() -> None:
    """docs/reference/profiles.md is what `python -m device_profiles.reference` prints."""
    page = Path(__file__).parents[3] / "docs" / "reference" / "profiles.md"
    assert page.read_text(encoding="utf-8") == render(PROFILES.values())
