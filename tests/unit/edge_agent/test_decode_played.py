"""What the simulator's encoder shows, the agent's decoder sees: two codecs that share no code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.conditions import Condition as Shows
from device_profiles.load import load_profiles
from device_profiles.schema import Profile, Role
from edge_agent.decode import Snapshot, decode
from simulator.detector import Senses
from simulator.registers import Shown, encode
from wire.messages import Condition

PROFILES = load_profiles()
ALONE = [
    (profile, shows)
    for profile in PROFILES.values()
    for shows in dict.fromkeys(meaning.condition for meaning in profile.conditions)
]
QUIET = Senses(smoke=0.0, temperature=20.0, battery=3.0, contamination=5.0)


def seen(profile: Profile, *shows: Shows, senses: Senses = QUIET) -> Snapshot:
    """The device shows these conditions and values; the agent looks."""
    shown = Shown(senses, shows, alarm_at=6.7, serial_number=123456)
    return decode(profile, {r.name: encode(profile, r, shown) for r in profile.registers})


@pytest.mark.parametrize(("profile", "shows"), ALONE, ids=lambda one: getattr(one, "id", str(one)))
def test_each_condition_alone_is_seen_as_itself(profile: Profile, shows: Shows) -> None:
    """Nothing else is seen with it, but the early warning that a measured smoke passes on its way."""
    look = seen(profile, shows)
    expected = {Condition(shows.value)}
    assert expected <= look.conditions <= expected | {Condition.PRE_ALARM}
    assert not look.blind


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_device_at_rest_is_known_to_be_at_rest(profile: Profile) -> None:
    """Every condition absent by a good read, none unknown."""
    look = seen(profile)
    assert (look.conditions, look.unknown, look.blind) == (frozenset(), frozenset(), False)


@given(
    smoke=st.one_of(st.none(), st.floats(0, 60)),
    temperature=st.one_of(st.none(), st.floats(-39, 149)),
    battery=st.floats(0, 10),
    contamination=st.floats(0, 150),
)
@settings(max_examples=200, deadline=None)
def test_the_reference_detector_s_values_arrive_within_their_resolution(
    smoke: float | None, temperature: float | None, battery: float, contamination: float
) -> None:
    """None arrives as none."""
    senses = Senses(smoke, temperature, battery, contamination)
    look = seen(PROFILES["smokewatch-reference"], senses=senses)
    assert look.values[Role.SMOKE] == pytest.approx(smoke, abs=0.006)
    assert look.values[Role.TEMPERATURE] == pytest.approx(temperature, abs=0.06)
    assert look.values[Role.BATTERY] == pytest.approx(battery, abs=0.0006)
    assert look.values[Role.CONTAMINATION] == pytest.approx(contamination, abs=0.06)
    assert look.identity == 123456
