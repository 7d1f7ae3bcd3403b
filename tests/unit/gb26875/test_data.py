"""Application data against others' bytes, and against itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb26875.data import (
    Analogue,
    ComponentState,
    DataError,
    Kind,
    State,
    Thing,
    decode_data,
    encode_data,
    read_text,
    text_bytes,
)
from gb26875.frame import Decoder, Frame, TimeTag, encode
from tests.unit.gb26875.vectors import ANALOGUE, CAPTURED, CAPTURED_THING, CARRYING, FIRE, HAPPENED


@pytest.mark.parametrize(("words", "head", "kind", "thing"), CARRYING.values(), ids=CARRYING)
def test_a_whole_packet_is_byte_for_byte_the_makers(
    words: str, head: Frame, kind: Kind, thing: Thing
) -> None:
    """Both ways."""
    frame = head._replace(data=encode_data(kind, [thing]))
    assert encode(frame) == bytes.fromhex(words)
    assert Decoder().feed(bytes.fromhex(words)) == [frame]
    assert decode_data(frame.data) == (kind, (thing,))


def test_a_packet_captured_in_the_field_is_read_and_written() -> None:
    """A component of no type, its text in GB 18030; 0x0002 is a fire."""
    assert decode_data(CAPTURED) == (Kind.COMPONENT_STATE, (CAPTURED_THING,))
    assert encode_data(Kind.COMPONENT_STATE, [CAPTURED_THING]) == CAPTURED
    assert read_text(CAPTURED_THING.text) == "Ａ区１层呷哺走廊"
    assert text_bytes("Ａ区１层呷哺走廊") == CAPTURED_THING.text
    assert CAPTURED_THING.fire


def test_fire_is_read_whatever_the_test_bit_says() -> None:
    """0x0003 and 0x0002; neither 0x0000 (test) nor 0x0005 (fault) is one."""
    fires = [FIRE._replace(state=state).fire for state in (0x0003, 0x0002, 0x0000, 0x0005)]
    assert fires == [True, True, False, False]
    assert State.NORMAL | State.FIRE == 0x0003


def test_an_analogue_value_is_signed() -> None:
    """-0.5 degrees."""
    data = encode_data(Kind.ANALOGUE, [ANALOGUE])
    assert data == bytes.fromhex("03 01 01 01 2A 0A 00 02 00 03 FB FF 02 3A 09 1A 09 0C")
    assert decode_data(data).things == (ANALOGUE,)


def test_as_many_objects_as_the_standard_allows_fit() -> None:
    """22 component states, 63 analogue values; one more is refused, and so is none."""
    for kind, thing, most in ((Kind.COMPONENT_STATE, FIRE, 22), (Kind.ANALOGUE, ANALOGUE, 63)):
        data = encode_data(kind, [thing] * most)
        assert len(data) <= 1024
        assert decode_data(data).things == (thing,) * most
        for count in (0, most + 1):
            with pytest.raises(ValueError, match=r"fit"):
                encode_data(kind, [thing] * count)


@pytest.mark.parametrize("words", ["", "02", "00 01", "02 00", "02 17", "02 01 00", "63 01 00", "5B 01"])
def test_what_cannot_be_read_is_refused_with_a_reason(words: str) -> None:
    """Too short, unknown, too many, cut off."""
    with pytest.raises(DataError):
        decode_data(bytes.fromhex(words))


@given(st.binary(max_size=1100))
def test_any_bytes_are_read_or_refused_and_read_means_written_the_same(data: bytes) -> None:
    """Nothing is lost between bytes and meaning."""
    try:
        unit = decode_data(data)
    except DataError:
        return
    assert encode_data(unit.kind, unit.things) == data


@given(
    st.sampled_from(Kind),
    st.integers(1, 22),
    st.data(),
)
def test_any_body_of_a_known_type_makes_the_round_trip(kind: Kind, count: int, data: st.DataObject) -> None:
    """Whatever values others put into it; every cut of it is refused."""
    whole = None
    for size in range(1, 47):
        try:
            body = data.draw(st.binary(min_size=size * count, max_size=size * count))
            whole = bytes([kind, count]) + body
            unit = decode_data(whole)
        except DataError:
            continue
        assert encode_data(unit.kind, unit.things) == whole
        for cut in range(len(whole)):
            with pytest.raises(DataError):
                decode_data(whole[:cut])
        break


@given(st.text(max_size=40))
def test_a_text_is_cut_between_characters(text: str) -> None:
    """31 bytes whatever it says, and what is read is how it began."""
    field = text_bytes(text)
    assert len(field) == 31
    whole = text.replace("\0", " ").encode("gb18030", "replace").decode("gb18030")
    assert whole.strip().startswith(read_text(field))


def test_a_value_that_does_not_fit_is_refused() -> None:
    """Before it is sent."""
    tag: TimeTag = HAPPENED
    for kind, thing in (
        (Kind.COMPONENT_STATE, ComponentState(1, 256, 42, 1, 1, 1, b"", tag)),
        (Kind.ANALOGUE, Analogue(1, 1, 42, 1, 1, 3, 40_000, tag)),
        (Kind.ANALOGUE, FIRE),
    ):
        with pytest.raises(ValueError, match=r"format|range|argument|object|requires"):
            encode_data(kind, [thing])
