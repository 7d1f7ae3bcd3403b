"""decode: every type, order and test against an encoder of its own, and nothing unknown is ever normal."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.conditions import Condition as Shown
from device_profiles.load import load_profiles
from device_profiles.schema import Document, Group, Meaning, Order, Profile, Register, Role, Type
from edge_agent.decode import Decoder, Snapshot, decode
from wire.messages import Condition

FORMAT = {Type.U16: ">H", Type.I16: ">h", Type.U32: ">I", Type.I32: ">i", Type.F32: ">f"}
# Position on the wire -> which byte of the value (0 the most significant) stands there.
ON_WIRE = {
    Order.ABCD: {2: (0, 1), 4: (0, 1, 2, 3)},
    Order.CDAB: {4: (2, 3, 0, 1)},
    Order.BADC: {2: (1, 0), 4: (1, 0, 3, 2)},
    Order.DCBA: {4: (3, 2, 1, 0)},
}
LAYOUTS = [
    (kind, order) for kind in FORMAT for order in Order if struct.calcsize(FORMAT[kind]) in ON_WIRE[order]
]


def encode(kind: Type, order: Order, value: float) -> tuple[int, ...]:
    """The registers a device would answer, made byte by byte and independently of the decoder."""
    plain = struct.pack(FORMAT[kind], value)
    wire = bytes(plain[i] for i in ON_WIRE[order][len(plain)])
    return tuple(wire[i] * 256 + wire[i + 1] for i in range(0, len(wire), 2))


def profile(register: Register, *meanings: Meaning) -> Profile:
    """One register under test, and a smoke bit so that the profile is a detector."""
    state = Register("state", 3, 500)
    smoke = Meaning(Shown.SMOKE, "state", bit=0)
    document = Document("test", "here", unverified=("all",))
    return Profile("test", "test", document, 0, (register, state), (smoke, *meanings))


def value_of(register: Register, words: tuple[int, ...] | None) -> float | None:
    """What the register's column shows."""
    return decode(profile(register), {register.name: words}).values[Role.SMOKE]


def look(meaning: Meaning, register: Register, words: tuple[int, ...] | None) -> Snapshot:
    """A look at one meaning."""
    return decode(profile(register, meaning), {register.name: words, "state": (0,)})


@pytest.mark.parametrize(
    ("kind", "order", "words", "value"),
    [
        (Type.U16, Order.ABCD, (0x1234,), 0x1234),
        (Type.U16, Order.BADC, (0x3412,), 0x1234),
        (Type.I16, Order.ABCD, (0xFFFE,), -2),
        (Type.I16, Order.BADC, (0xFEFF,), -2),
        (Type.U32, Order.ABCD, (0x1234, 0x5678), 0x12345678),
        (Type.U32, Order.CDAB, (0x5678, 0x1234), 0x12345678),
        (Type.U32, Order.BADC, (0x3412, 0x7856), 0x12345678),
        (Type.U32, Order.DCBA, (0x7856, 0x3412), 0x12345678),
        (Type.I32, Order.ABCD, (0xFFFF, 0xFFFE), -2),
        (Type.I32, Order.CDAB, (0xFFFE, 0xFFFF), -2),
        (Type.F32, Order.ABCD, (0x42F6, 0xE979), 123.4560),
        (Type.F32, Order.CDAB, (0xE979, 0x42F6), 123.4560),
        (Type.F32, Order.BADC, (0xF642, 0x79E9), 123.4560),
        (Type.F32, Order.DCBA, (0x79E9, 0xF642), 123.4560),
    ],
)
def test_golden_words_both_ways(kind: Type, order: Order, words: tuple[int, ...], value: float) -> None:
    """Known words give the value, and the independent encoder gives those words back."""
    register = Register("x", 3, 0, kind, order, role=Role.SMOKE)
    assert value_of(register, words) == pytest.approx(value, rel=1e-6)
    assert encode(kind, order, value) == words


@given(data=st.data(), layout=st.sampled_from(LAYOUTS))
@settings(max_examples=300, deadline=None)
def test_what_a_device_encodes_is_what_is_decoded(data: st.DataObject, layout: tuple[Type, Order]) -> None:
    """Round trip of any value in any type and order."""
    kind, order = layout
    if kind is Type.F32:
        number: float = data.draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
    else:
        bits = struct.calcsize(FORMAT[kind]) * 8
        low = -(1 << bits - 1) if kind in (Type.I16, Type.I32) else 0
        number = data.draw(st.integers(low, low + (1 << bits) - 1))
    register = Register("x", 3, 0, kind, order, role=Role.SMOKE)
    assert value_of(register, encode(kind, order, number)) == pytest.approx(number, rel=1e-6, abs=1e-44)


def test_scale_and_offset_give_the_engineering_value_without_dust() -> None:
    """0.1 * 3 is 0.3, not 0.30000000000000004."""
    assert value_of(Register("x", 3, 0, role=Role.SMOKE, scale=0.1), (3,)) == 0.3
    assert value_of(Register("x", 3, 0, role=Role.SMOKE, scale=0.5, offset=-40.0), (0,)) == -40.0


@pytest.mark.parametrize("words", [(0x7FC0, 0), (0xFFFF, 0xFFFF), (0x7F80, 0), (0xFF80, 0)])
def test_nan_and_infinity_are_unknown(words: tuple[int, int]) -> None:
    """A float that is not a number is no value and tests nothing."""
    register = Register("x", 3, 0, Type.F32, role=Role.SMOKE)
    assert value_of(register, words) is None
    assert look(Meaning(Shown.FAULT, "x", at_least=1.0), register, words).unknown == {Condition.FAULT}


@pytest.mark.parametrize("words", [None, (), (1, 2), (-1,), (0x10000,)])
def test_a_failed_or_impossible_read_is_unknown_never_clear(words: tuple[int, ...] | None) -> None:
    """No words, too few, too many or impossible ones: the condition is neither present nor absent."""
    seen = look(Meaning(Shown.FAULT, "x", bit=0), Register("x", 3, 0), words)
    assert (Condition.FAULT in seen.unknown, seen.absent) == (True, {Condition.SMOKE})


def test_values_outside_the_limits_and_marked_absent_are_unknown() -> None:
    """A value that is not believed tells nothing, not even through its bits."""
    register = Register("x", 3, 0, absent=(0xFFFF,), minimum=10.0, maximum=20.0)
    meaning = Meaning(Shown.FAULT, "x", bit=0)
    for raw in (0xFFFF, 9, 21):
        assert Condition.FAULT in look(meaning, register, (raw,)).unknown
    assert Condition.FAULT in look(meaning, register, (11,)).conditions


@pytest.mark.parametrize(
    ("meaning", "raw", "present"),
    [
        (Meaning(Shown.FAULT, "x", bit=15), 0x8000, True),
        (Meaning(Shown.FAULT, "x", bit=15), 0x7FFF, False),
        (Meaning(Shown.FAULT, "x", bit_clear=3), 0x0000, True),
        (Meaning(Shown.FAULT, "x", bit_clear=3), 0x0008, False),
        (Meaning(Shown.FAULT, "x", values=(2, 4)), 4, True),
        (Meaning(Shown.FAULT, "x", values=(2, 4)), 6, False),
        (Meaning(Shown.FAULT, "x", values=(0x20,), mask=0xF0), 0x2F, True),
        (Meaning(Shown.FAULT, "x", values=(1,), clear_values=(0,)), 0, False),
        (Meaning(Shown.FAULT, "x", values=(1,), clear_values=(0,)), 7, None),
        (Meaning(Shown.FAULT, "x", at_least=5.0), 5, True),
        (Meaning(Shown.FAULT, "x", at_least=5.0), 4, False),
        (Meaning(Shown.FAULT, "x", at_most=5.0), 5, True),
        (Meaning(Shown.FAULT, "x", at_most=5.0), 6, False),
    ],
)
def test_each_kind_of_test(meaning: Meaning, raw: int, present: bool | None) -> None:
    """Bits, enumerations and bounds, on both sides of each."""
    seen = look(meaning, Register("x", 3, 0), (raw,))
    where = {True: seen.conditions, False: seen.absent, None: seen.unknown}[present]
    assert Condition.FAULT in where


def test_a_negative_value_is_tested_as_such_and_its_bits_as_bits() -> None:
    """Values compare the signed number, bit and mask the pattern."""
    register = Register("x", 3, 0, Type.I16)
    assert Condition.FAULT in look(Meaning(Shown.FAULT, "x", values=(-1,)), register, (0xFFFF,)).conditions
    assert Condition.FAULT in look(Meaning(Shown.FAULT, "x", bit=15), register, (0xFFFF,)).conditions
    masked = Meaning(Shown.FAULT, "x", values=(0xFF00,), mask=0xFF00)
    assert Condition.FAULT in look(masked, register, (0xFF01,)).conditions


def test_any_of_several_meanings_suffices_and_all_are_needed_for_absence() -> None:
    """One that shows it is enough, even if the other failed; one failed and one quiet is unknown."""
    a, b = Register("a", 3, 0), Register("b", 3, 9)
    two = Profile(
        "test", "test", Document("t", "t"), 0, (a, b),
        (Meaning(Shown.SMOKE, "a", bit=0), Meaning(Shown.SMOKE, "b", bit=0)),
    )  # fmt: skip
    assert decode(two, {"a": (1,), "b": None}).conditions == {Condition.SMOKE}
    assert decode(two, {"a": (1,), "b": None}).blind is False
    assert decode(two, {"a": (0,), "b": None}).unknown == {Condition.SMOKE}
    assert decode(two, {"a": (0,), "b": None}).blind is True
    assert decode(two, {"a": (0,), "b": (0,)}).absent == {Condition.SMOKE}


def test_registers_that_were_not_asked_for_are_unknown_and_fill_no_column() -> None:
    """A lap without the slow part tells nothing of it."""
    slow = Register("battery", 3, 9, group=Group.SLOW, role=Role.BATTERY, unit="V")
    seen = decode(profile(slow, Meaning(Shown.LOW_BATTERY, "battery", at_most=2.0)), {"state": (0,)})
    assert (seen.unknown, dict(seen.values), seen.good, seen.blind) == (
        {Condition.LOW_BATTERY},
        {},
        True,
        False,
    )


PACKAGED = load_profiles()
WORDS = st.one_of(st.none(), st.lists(st.integers(-5, 70000), max_size=3).map(tuple))


@given(data=st.data(), name=st.sampled_from(sorted(PACKAGED)))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_in_each_condition_is_exactly_one_of_present_absent_unknown(
    data: st.DataObject, name: str
) -> None:
    """Garbage raises nothing, and a condition none of whose registers was read is unknown."""
    model = PACKAGED[name]
    raw = data.draw(st.dictionaries(st.sampled_from([r.name for r in model.registers]), WORDS))
    seen = decode(model, raw)
    all_ = {Condition(meaning.condition.value) for meaning in model.conditions}
    assert seen.conditions | seen.absent | seen.unknown == all_
    assert len(seen.conditions) + len(seen.absent) + len(seen.unknown) == len(all_)
    for condition in seen.conditions | seen.absent:
        names = {m.register for m in model.conditions if m.condition.value == condition.value}
        assert any(raw.get(register) is not None for register in names)
    assert all(value is None or math.isfinite(value) for value in seen.values.values())


@given(data=st.data(), name=st.sampled_from(sorted(PACKAGED)))
@settings(max_examples=100, deadline=None)
def test_a_decoder_says_of_each_look_what_one_that_has_seen_no_other_says(
    data: st.DataObject, name: str
) -> None:
    """What it remembers of earlier looks changes nothing."""
    model = PACKAGED[name]
    look = st.dictionaries(st.sampled_from([r.name for r in model.registers]), WORDS)
    decoder = Decoder(model)
    for raw in data.draw(st.lists(look, max_size=6)):
        assert decoder.decode(raw) == decode(model, raw)
