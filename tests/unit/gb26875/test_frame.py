"""Packets against others' bytes, cut and broken everywhere."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb26875.frame import (
    ADDRESSES,
    END,
    MOST_DATA,
    Broken,
    Command,
    Decoder,
    Fault,
    Frame,
    TimeTag,
    checksum,
    encode,
)
from tests.unit.gb26875.vectors import CARRYING, EMPTY, HAPPENED, HAPPENED_AT, SENT

FRAMES = st.builds(
    Frame,
    serial=st.integers(0, 0xFFFF),
    time=st.builds(TimeTag, *[st.integers(0, 255)] * 6),
    source=st.integers(0, ADDRESSES - 1),
    destination=st.integers(0, ADDRESSES - 1),
    command=st.sampled_from([*Command, 128, 255]),
    data=st.one_of(st.binary(max_size=60), st.just(b"@@##" * 9), st.just(bytes(MOST_DATA))),
    version=st.tuples(st.integers(0, 255), st.integers(0, 255)),
)
FIRE = bytes.fromhex(CARRYING["smoke fire"][0])


def decoded(stream: bytes) -> list[Frame | Broken]:
    decoder = Decoder()
    return decoder.feed(stream) + decoder.end()


@pytest.mark.parametrize(("words", "frame"), EMPTY.values(), ids=EMPTY)
def test_answers_are_byte_for_byte_the_makers(words: str, frame: Frame) -> None:
    """Both ways."""
    assert encode(frame) == bytes.fromhex(words)
    assert decoded(bytes.fromhex(words)) == [frame]


@given(frames=st.lists(FRAMES, max_size=4), data=st.data())
def test_what_is_sent_is_read_again_in_pieces_of_any_size(frames: list[Frame], data: st.DataObject) -> None:
    """TCP cuts and glues where it likes."""
    stream = b"".join(encode(frame) for frame in frames)
    decoder, got = Decoder(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        got += decoder.feed(stream[:cut])
        stream = stream[cut:]
    assert got == frames
    assert not decoder.waiting


def test_every_split_of_two_packets_gives_both() -> None:
    """And byte by byte."""
    stream = FIRE + bytes.fromhex(EMPTY["centre confirms"][0])
    for cut in range(len(stream)):
        decoder = Decoder()
        assert len(decoder.feed(stream[:cut]) + decoder.feed(stream[cut:])) == 2
    decoder = Decoder()
    assert len([one for byte in stream for one in decoder.feed(bytes([byte]))]) == 2


def test_every_truncation_is_waited_for_and_then_called_cut_off() -> None:
    """The packet that follows comes through nevertheless."""
    (whole,) = decoded(FIRE)
    for cut in range(1, len(FIRE)):
        decoder = Decoder()
        assert decoder.feed(FIRE[:cut]) == []
        ended = decoder.end()
        assert [one.fault for one in ended if isinstance(one, Broken)][:1] == [
            Fault.CUT_OFF if cut > 1 else Fault.START
        ]
        assert decoded(FIRE[:cut] + FIRE)[-1] == whole


@given(st.binary(max_size=300).filter(lambda garbage: b"@" not in garbage), st.integers(0, 3))
def test_a_packet_after_garbage_is_found(garbage: bytes, extra: int) -> None:
    """Also directly behind a start character too many."""
    found = decoded(garbage + b"@" * extra + FIRE)
    assert found[-1] == decoded(FIRE)[0]
    assert all(isinstance(one, Broken) for one in found[:-1])
    assert len(found) <= 2


@given(st.binary(max_size=3000))
def test_random_bytes_are_named_and_never_held_for_ever(garbage: bytes) -> None:
    """Whatever speaks on that port."""
    decoder = Decoder()
    decoder.feed(garbage)
    decoder.end()
    assert not decoder.waiting
    assert decoder.feed(FIRE) == decoded(FIRE)


@given(st.integers(0, len(FIRE) - 1), st.integers(1, 255))
def test_one_wrong_byte_is_never_taken_for_a_packet(at: int, change: int) -> None:
    """Any byte, any change; the next packet is whole again."""
    broken = bytearray(FIRE)
    broken[at] ^= change
    found = decoded(bytes(broken) + FIRE)
    assert found[-1] == decoded(FIRE)[0]
    assert isinstance(found[0], Broken)
    assert len([one for one in found if isinstance(one, Frame)]) == 1


def test_each_fault_has_its_name() -> None:
    """Those of clause 6.5.6; what can be denied brings its serial."""
    wrong_sum = FIRE[:-3] + bytes([FIRE[-3] ^ 1]) + END
    too_long = FIRE[:24] + (MOST_DATA + 1).to_bytes(2, "little") + FIRE[26:]
    reserved = bytearray(bytes.fromhex(EMPTY["centre confirms"][0]))
    reserved[26] = 7
    reserved[27] = checksum(bytes(reserved[2:27]), b"")
    cases = {
        wrong_sum: Fault.CHECKSUM,
        too_long: Fault.TOO_LONG,
        FIRE[:-1] + b"!": Fault.END,
        bytes(reserved): Fault.COMMAND,
        b"?" + FIRE: Fault.START,
    }
    for stream, fault in cases.items():
        first = decoded(stream)[0]
        assert isinstance(first, Broken)
        assert first.fault is fault
        assert (first.frame is None) == (fault is Fault.START)
        assert first.frame is None or first.frame.serial == 1


def test_a_flood_of_start_characters_is_told_once() -> None:
    """It makes neither work nor answers."""
    assert [one.fault for one in decoded(b"@" * 100_000) if isinstance(one, Broken)] == [Fault.TOO_LONG]


def test_a_time_tag_is_the_clock_on_the_wall_in_shanghai() -> None:
    """Binary; what cannot be is no moment, and what does not fit is refused."""
    assert TimeTag.of(datetime(2012, 9, 26, 1, 58, 2, tzinfo=UTC)) == HAPPENED
    assert HAPPENED.moment() == HAPPENED_AT
    assert TimeTag(0, 0, 0, 31, 2, 12).moment() is None
    assert TimeTag(0, 0, 0, 1, 1, 100).moment() is None
    assert TimeTag(0x58, 0x59, 0x23, 0x26, 9, 0x12).moment() is None
    with pytest.raises(ValueError, match="2000-2099"):
        TimeTag.of(datetime(1999, 12, 31, tzinfo=UTC))


@given(st.datetimes(datetime(2001, 1, 1), datetime(2099, 12, 31)))
def test_a_time_tag_says_the_second(moment: datetime) -> None:
    """Round trip."""
    aware = moment.replace(tzinfo=UTC, microsecond=0)
    assert TimeTag.of(aware).moment() == aware


def test_what_does_not_fit_is_refused() -> None:
    """Before it is sent."""
    for wrong in (
        Frame(0x10000, SENT, 1, 2, 2),
        Frame(0, SENT, ADDRESSES, 2, 2),
        Frame(0, SENT, 1, -1, 2),
        Frame(0, SENT, 1, 2, 256),
        Frame(0, SENT, 1, 2, 2, bytes(MOST_DATA + 1)),
    ):
        with pytest.raises(ValueError, match=r"fit|holds"):
            encode(wrong)


def test_a_reply_has_the_serial_and_the_addresses_the_other_way_round() -> None:
    """As clause 6.6 has it."""
    asked = Frame(77, SENT, 1, 2, Command.CONTROL, b"x", (1, 9))
    assert asked.reply(Command.CONFIRM, HAPPENED_AT) == Frame(
        77, HAPPENED, 2, 1, Command.CONFIRM, b"", (1, 9)
    )
