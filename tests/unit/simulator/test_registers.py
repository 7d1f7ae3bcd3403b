"""Every packaged profile, encoded by the simulator and read by the agent: two codes, one meaning."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.conditions import Condition
from device_profiles.load import load_profiles
from device_profiles.schema import Document, Meaning, Order, Profile, Register, Role, Type
from edge_agent.decode import decode
from simulator import detector
from simulator.detector import Senses, Traits
from simulator.registers import Shown, encode, show

PROFILES = load_profiles()
CLEAN = Senses(smoke=0.15, temperature=21.4, battery=3.0, contamination=12.5)
T = 1_795_000_000.0


def shown(*conditions: Condition, senses: Senses = CLEAN, serial: int = 200_001) -> Shown:
    return Shown(senses, frozenset(conditions), 6.7, serial)


def words(profile: Profile, state: Shown) -> dict[str, tuple[int, ...] | None]:
    return {register.name: encode(profile, register, state) for register in profile.registers}


def one(register: Register, *meanings: Meaning) -> Profile:
    return Profile(
        id="one",
        name="one",
        document=Document("t", "s"),
        address_base=0,
        registers=(register,),
        conditions=meanings or (Meaning(Condition.SMOKE, register.name, bit=0),),
    )


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_clean_air_reads_as_nothing(profile: Profile) -> None:
    """No condition, nothing unknown, the smoke value believed."""
    seen = decode(profile, words(profile, shown()))
    assert (seen.conditions, seen.unknown) == (frozenset(), frozenset())
    assert all(value is not None for value in seen.values.values())


@pytest.mark.parametrize(
    ("profile", "condition"),
    [(p, c) for p in PROFILES.values() for c in sorted({m.condition for m in p.conditions})],
    ids=lambda one: getattr(one, "id", str(one)),
)
def test_each_condition_a_profile_knows_can_be_shown_alone(profile: Profile, condition: Condition) -> None:
    """Present it is read; absent it is not; only what one register cannot tell beside it is unknown."""
    seen = decode(profile, words(profile, shown(condition)))
    assert condition.value in {c.value for c in seen.conditions}
    implied = {Condition.PRE_ALARM} if profile.id == "sonbest-sm7571b" else set()
    assert {c.value for c in seen.conditions} <= {condition.value} | {c.value for c in implied}


def test_a_fire_of_the_physics_is_read_as_a_fire_of_every_model() -> None:
    """From ignition to the agent's word for it."""
    state = detector.ignite(detector.new(Traits(seed=3, serial_number=3), T), T)
    for t in range(40):
        state = detector.advance(state, T + t)
    for profile in PROFILES.values():
        seen = decode(profile, words(profile, show(state, T + 40)))
        assert ("smoke" in {c.value for c in seen.conditions}) == profile.fire


def test_a_latched_alarm_of_a_measuring_sensor_stays_above_its_level() -> None:
    """A value is all that a sensor without an alarm bit can show."""
    profile = PROFILES["sonbest-sm7571b"]
    assert encode(profile, profile.registers[0], shown(Condition.SMOKE)) == (200,)


def test_a_removed_head_has_no_value_where_the_model_can_say_so() -> None:
    """The reference detector's 'absent' words."""
    gone = Senses(smoke=None, temperature=None, battery=3.0, contamination=12.5)
    profile = PROFILES["smokewatch-reference"]
    seen = words(profile, shown(Condition.REMOVED, senses=gone))
    assert (seen["smoke"], seen["temperature"], seen["state"]) == ((0xFFFF,), (0x8000,), (0x40,))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.ABCD, (0x1234, 0x5678)),
        (Order.CDAB, (0x5678, 0x1234)),
        (Order.BADC, (0x3412, 0x7856)),
        (Order.DCBA, (0x7856, 0x3412)),
    ],
)
def test_the_four_orders_of_32_bits(order: Order, expected: tuple[int, int]) -> None:
    """A is the most significant byte."""
    register = Register("serial", 4, 0, type=Type.U32, order=order, role=Role.IDENTITY)
    profile = one(register, Meaning(Condition.FAULT, "other", bit=0))
    assert encode(profile, register, shown(serial=0x12345678)) == expected


def test_floats_signs_scales_and_offsets() -> None:
    """IEEE 754 single; two's complement; raw = (value - offset) / scale."""
    real = Register("t", 3, 0, type=Type.F32, order=Order.CDAB, role=Role.TEMPERATURE, unit="C")
    high, low = struct.unpack(">HH", struct.pack(">f", 21.4))
    assert encode(one(real), real, shown()) == (low, high)
    cold = Senses(0.1, -12.3, 3.0, 1.0)
    signed = Register("t", 3, 0, type=Type.I16, role=Role.TEMPERATURE, scale=0.1, unit="C")
    assert encode(one(signed, Meaning(Condition.HEAT, "x", bit=0)), signed, shown(senses=cold)) == (0xFF85,)
    moved = Register("t", 3, 0, role=Role.TEMPERATURE, order=Order.BADC, scale=0.5, offset=-40, unit="C")
    assert encode(one(moved, Meaning(Condition.HEAT, "x", bit=0)), moved, shown(senses=cold)) == (0x3700,)


def test_a_value_at_the_end_of_the_range_is_not_the_word_for_absent() -> None:
    """It is clamped, and steps aside."""
    register = Register("b", 4, 0, role=Role.BATTERY, scale=0.00001, unit="V", absent=(0xFFFF,))
    assert encode(one(register, Meaning(Condition.FAULT, "x", bit=0)), register, shown()) == (0xFFFE,)


@given(
    st.sets(st.sampled_from(sorted(Condition))),
    st.floats(0, 30),
    st.floats(-20, 120),
    st.floats(0, 5),
    st.floats(0, 150),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_reference_detector_says_everything_it_is_told(
    conditions: set[Condition], smoke: float, temperature: float, battery: float, contamination: float
) -> None:
    """All values and conditions arrive, to the register's resolution."""
    profile = PROFILES["smokewatch-reference"]
    state = shown(*conditions, senses=Senses(smoke, temperature, battery, contamination))
    seen = decode(profile, words(profile, state))
    known = {m.condition.value for m in profile.conditions}
    assert {c.value for c in seen.conditions} == {c.value for c in conditions} & known
    values = {role.value: value for role, value in seen.values.items()}
    assert values == {
        "smoke": pytest.approx(smoke, abs=0.0051),
        "temperature": pytest.approx(temperature, abs=0.051),
        "battery": pytest.approx(battery, abs=0.00051),
        "contamination": pytest.approx(contamination, abs=0.051),
    }
    assert seen.identity == 200_001
