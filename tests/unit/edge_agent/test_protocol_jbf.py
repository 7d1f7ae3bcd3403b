"""The JBF-193K card without a line: the document's frame, both checksums, garbage, what ends what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.exchange import Kind
from edge_agent.plan import ReadRequest
from edge_agent.protocols.jbf import LIFE_S, POLL, UNKNOWN, Decoder, Form, Jbf, encode

FIRE = bytes.fromhex("82383030313031303230333 03E303A3039313031383030383783".replace(" ", ""))
"""The document's example: controller 1, loop 1, point 2, sum of D1 to D5."""
BODY = bytes.fromhex("8001010203 0E0A09101800".replace(" ", ""))
PLACE = 0x0102
CHARACTER_S = 10 / 9600


def _frame(command: int, controller: int = 1, loop: int = 1, point: int = 2) -> bytes:
    return encode(bytes((command, controller, loop, point, 3, 14, 10, 9, 16, 24, 0)))


def _nibbled(message: bytes) -> bytes:
    return b"\x82" + bytes(0x30 + n for byte in message for n in (byte >> 4, byte & 15)) + b"\x83"


def _read(function: int, address: int = PLACE, unit: int = 1) -> ReadRequest:
    return ReadRequest(
        unit=unit, function=function, address=address, count=1, timeout_s=1, gap_s=1, targets=()
    )


READS = [_read(function) for function in (0x80, 0x81, 0x8B, 0x8C, 0x98)]
PANEL = [_read(function, 0) for function in (0x80, 0x71, 0x72, 0xEF, 0x0B)]


def _card() -> Jbf:
    card = Jbf(CHARACTER_S)
    card.expect(READS + PANEL)
    return card


def _words(card: Jbf, now: float = 0.0) -> list[int]:
    """Fire, fault, pre-alarm, supervisory, isolated of the point."""
    found = [card.answer(request, now) for request in READS]
    return [words[0] for words in found if words is not None]


def _panel(card: Jbf, now: float = 0.0) -> list[int]:
    """Fire elsewhere, mains, battery, controller, silenced."""
    found = [card.answer(request, now) for request in PANEL]
    return [words[0] for words in found if words is not None]


def test_the_document_s_frame_is_read_whole_and_byte_by_byte() -> None:
    """Its checksum is the sum of D1 to D5, although the text says D1 to D11."""
    assert Decoder().feed(FIRE) == [(BODY, Form.PLACE)]
    decoder = Decoder()
    assert [m for byte in FIRE for m in decoder.feed(bytes((byte,)))] == [(BODY, Form.PLACE)]


def test_the_checksum_of_the_text_is_taken_too() -> None:
    """0xD0 instead of 0x87; the log says which one a card uses."""
    assert encode(BODY) == _nibbled(BODY + b"\xd0")
    assert Decoder().feed(encode(BODY)) == [(BODY, Form.ALL)]
    card = _card()
    card.hear(FIRE + FIRE, 0.0)
    assert card.remarks() == ["the card's checksum is the sum of D1 to D5"]


def test_an_idle_frame_with_a_zero_for_a_checksum_is_life_and_nothing_else() -> None:
    """As the cards send it."""
    card = _card()
    card.hear(_nibbled(bytes((0, 1, 0, 0, 0, 14, 10, 9, 16, 24, 0, 0))), 0.0)
    assert _words(card) == [UNKNOWN] * 5


@settings(max_examples=300, derandomize=True)
@given(place=st.integers(1, 24), put=st.integers(0, 255))
def test_a_changed_byte_is_never_another_message(place: int, put: int) -> None:
    """In the part that both checksums cover, or in the checksum."""
    if 11 <= place <= 22:
        return
    frame = bytearray(FIRE)
    frame[place] = put
    assert Decoder().feed(bytes(frame)) in ([], [(BODY, Form.PLACE)])


@settings(max_examples=300, derandomize=True)
@given(noise=st.binary(max_size=60), cut=st.integers(0, 25), step=st.integers(1, 9))
def test_garbage_and_a_truncated_frame_do_not_hide_the_next(noise: bytes, cut: int, step: int) -> None:
    """Anything, then a frame without its end, then a whole one: the last is read."""
    line = noise + _frame(1)[:cut] + FIRE
    decoder = Decoder()
    found = [m for at in range(0, len(line), step) for m in decoder.feed(line[at : at + step])]
    assert found[-1] == (BODY, Form.PLACE)


@settings(max_examples=300, derandomize=True)
@given(st.lists(st.binary(max_size=30), max_size=10))
def test_whatever_comes_nothing_is_raised_or_said(pieces: list[bytes]) -> None:
    """The card takes no acknowledgement."""
    card = _card()
    for now, piece in enumerate(pieces):
        card.hear(piece, float(now))
        assert card.say(float(now)) == b""


def test_a_point_is_unknown_until_the_card_has_said_reset_or_normal() -> None:
    """A heartbeat proves life, not peace; a fire is a fire at once."""
    card = _card()
    assert card.answer(READS[0], 0.0) is None
    card.hear(_frame(0), 0.0)
    assert _words(card) == [UNKNOWN] * 5
    card.hear(FIRE, 0.0)
    assert _words(card) == [1, *[UNKNOWN] * 4]
    assert card.fresh() == {1}
    card.hear(_frame(9, loop=3), 0.0)
    assert _words(card) == [1, *[UNKNOWN] * 4]
    card.hear(_frame(9), 0.0)
    assert (_words(card), _panel(card)) == ([1, 0, 0, 0, 0], [UNKNOWN] * 5)
    card.hear(_frame(9, loop=0, point=0), 0.0)
    assert (_words(card), _panel(card)) == ([1, 0, 0, 0, 0], [0] * 5)


@pytest.mark.parametrize("begin", [0x80, 0x0A])
def test_only_a_reset_ends_a_fire(begin: int) -> None:
    """Neither normal nor the end of a fault does."""
    card = _card()
    card.hear(_frame(1) + _frame(begin) + _frame(0x82) + _frame(9), 0.0)
    assert _words(card) == [1, 0, 0, 0, 0]
    card.hear(_frame(1), 0.0)
    assert _words(card) == [0] * 5


@pytest.mark.parametrize(("begin", "end", "at"), [(0x81, 0x82, 1), (0x8C, 0x8D, 3), (0x98, 0x97, 4)])
def test_what_has_an_end_of_its_own_ends_by_it(begin: int, end: int, at: int) -> None:
    """Fault, supervisory, isolation."""
    card = _card()
    card.hear(_frame(1) + _frame(begin), 0.0)
    assert _words(card)[at] == 1
    card.hear(_frame(end), 0.0)
    assert _words(card) == [0] * 5


def test_a_reset_leaves_isolation_and_power_as_they_are() -> None:
    """It ends the rest: fire, fault, pre-alarm, supervisory, controller fault, silence."""
    card = _card()
    told = [_frame(c) for c in (0x80, 0x81, 0x8B, 0x8C, 0x98, 0xEF, 0x0B)]
    card.hear(b"".join(told) + _frame(0x71, loop=0x80) + _frame(0x72, loop=0x80), 0.0)
    assert (_words(card), _panel(card)[1:]) == ([1] * 5, [1] * 4)
    card.hear(_frame(1), 0.0)
    assert (_words(card), _panel(card)) == ([0, 0, 0, 0, 1], [0, 1, 1, 0, 0])
    card.hear(_frame(0x71, loop=0x90) + _frame(0x72, loop=0x90), 0.0)
    assert _panel(card) == [0] * 5


def test_only_the_listed_loop_ends_a_power_fault() -> None:
    """Should 80 and 90 be decimal after all, a fault is told and not ended."""
    card = _card()
    card.hear(_frame(1) + _frame(0x71, loop=90), 0.0)
    assert _panel(card)[1] == 1


def test_a_reset_of_one_controller_is_not_another_s() -> None:
    """And one without a number counts only where there is one controller."""
    card = Jbf(CHARACTER_S)
    card.expect([*READS, _read(0x80, unit=2)])
    card.hear(_frame(0x80, 1) + _frame(0x80, 2) + _frame(1, 2) + _frame(1, 0), 0.0)
    assert card.answer(_read(0x80, unit=1), 0.0) == (1,)
    assert card.answer(_read(0x80, unit=2), 0.0) == (0,)
    assert "without a controller's number" in " ".join(card.remarks())
    alone = _card()
    alone.hear(FIRE + _frame(1, 0), 0.0)
    assert _words(alone) == [0] * 5


def test_a_fire_at_a_point_that_nobody_watches_is_the_controller_s() -> None:
    """No fire is lost because a point was forgotten in the configuration."""
    card = _card()
    card.hear(_frame(1) + _frame(0x80, 1, 7, 7), 0.0)
    assert _panel(card)[0] == 1
    assert _words(card)[0] == 0
    assert "FIRE at controller 1 loop 7 point 7, not watched" in card.remarks()
    card.hear(_frame(1) + FIRE, 0.0)
    assert _panel(card)[0] == 0


def test_silence_and_a_new_line_make_what_was_not_told_unknown() -> None:
    """Nobody knows what happened meanwhile; a fire that stood is not told to be over either."""
    card = _card()
    card.hear(_frame(1) + FIRE, 0.0)
    assert card.answer(READS[0], LIFE_S) is None
    card.hear(_frame(0), LIFE_S)
    assert _words(card, LIFE_S) == [UNKNOWN] * 5
    card.hear(_frame(1), LIFE_S)
    card.reopened()
    assert card.answer(READS[0], LIFE_S) is None


def test_the_card_is_polled_every_second_and_at_once_after_an_event() -> None:
    """More may be waiting behind an event."""
    card = _card()
    card.ask(READS[0], 0.0, 1.0)
    assert card.say(0.0) == POLL
    card.hear(_frame(0), 0.1)
    card.ask(READS[0], 0.9, 1.0)
    assert card.say(0.9) == b""
    card.hear(FIRE, 0.95)
    card.ask(READS[0], 0.95, 1.0)
    assert card.say(0.95) == POLL


def test_the_echo_of_our_poll_is_no_sign_of_life() -> None:
    """It looks like a heartbeat, but comes before a card can have answered."""
    card = _card()
    card.ask(READS[0], 0.0, 1.0)
    poll = card.say(0.0)
    card.hear(poll, 26 * CHARACTER_S + 0.016)
    assert card.answer(READS[0], 0.05) is None
    assert card.why() == (Kind.TIMEOUT, "no answer")
    card.hear(poll, 0.2)
    assert card.answer(READS[0], 0.2) == (UNKNOWN,)


def test_garbage_is_told_from_silence() -> None:
    """For whoever looks for a wrong baud rate."""
    card = _card()
    card.ask(READS[0], 0.0, 1.0)
    card.hear(b"\x00\xff\x82\x30", 0.1)
    assert card.why()[0] is Kind.GARBAGE
