"""Gira/Hager Dual/VdS without a line: the document's frames, bytes cut anyhow, garbage, acknowledgements."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.protocols import FORMS
from device_profiles.schema import Action, Protocol, Write
from edge_agent.exchange import Kind
from edge_agent.plan import ReadRequest
from edge_agent.protocols.gira import FIELDS, REPEAT_S, REPEATS, UNIT, Decoder, Gira, Sign, encode

DOCUMENT = {
    "04": b"\x020464\x03",
    "02": b"\x020262\x03",
    "C228000000": b"\x02C228000000FF\x03",
    "C220000000": b"\x02C220000000F7\x03",
    "C4111633CA": b"\x02C4111633CA2A\x03",
    "CB005C0000": b"\x02CB005C00001D\x03",
    "C900059A21": b"\x02C900059A211E\x03",
    "CD00000000": b"\x02CD0000000007\x03",
    "CE0204": b"\x02CE02044E\x03",
    "8220080000": b"\x028220080000F4\x03",
    "8220800000": b"\x028220800000F4\x03",
    "8230000000": b"\x028230000000ED\x03",
    "822080": b"\x0282208034\x03",
    "CC01DB5253": b"\x02CC01DB52533C\x03",
    "030000": b"\x0203000023\x03",
    "070008": b"\x020700082F\x03",
}
"""The document prints 3B for CC, 48 for CE, FD for 8230 and F4 for a shortened 8220; these are the sums."""
ACK, NAK = b"\x06", b"\x15"
SMOKE, QUIET = bytes.fromhex("8220040000"), bytes.fromhex("8220000000")


def _status(every_s: float = 1.0) -> ReadRequest:
    return ReadRequest(unit=UNIT, function=2, address=0, count=4, timeout_s=1.0, gap_s=every_s, targets=())


def _asked(gira: Gira, now: float, answer: str) -> tuple[int, ...] | None:
    """Ask for the status; the detector acknowledges and answers."""
    gira.ask(_status(), now, 0.0)
    gira.say(now)
    gira.hear(ACK + b"\0" + encode(bytes.fromhex(answer)), now)
    return gira.answer(_status(), now)


@pytest.mark.parametrize(("message", "frame"), DOCUMENT.items(), ids=DOCUMENT)
def test_a_frame_of_the_document_is_written_and_read(message: str, frame: bytes) -> None:
    """Both ways, whole and byte by byte."""
    assert encode(bytes.fromhex(message)) == frame
    assert Decoder().feed(frame) == [bytes.fromhex(message)]
    decoder = Decoder()
    assert [item for byte in frame for item in decoder.feed(bytes((byte,)))] == [bytes.fromhex(message)]


def test_the_printed_sums_that_are_wrong_are_refused() -> None:
    """What the document mistyped is a damaged frame."""
    assert Decoder().feed(b"\x02822080F4\x03\x02CC01DB52533B\x03") == [Sign.DAMAGED, Sign.DAMAGED]


def test_the_profile_rules_know_the_fields_of_each_answer() -> None:
    """Two tables, one document: words are counted, a serial number has two."""
    assert FORMS[Protocol.GIRA].reads == {query: len(sizes) for query, sizes in FIELDS.items()}


@settings(max_examples=300, derandomize=True)
@given(place=st.integers(1, 13), put=st.integers(0, 255))
def test_a_changed_byte_is_never_another_message(place: int, put: int) -> None:
    """One byte of a frame is changed to any other."""
    frame = bytearray(encode(SMOKE))
    frame[place] = put
    found = [item for item in Decoder().feed(bytes(frame)) if isinstance(item, bytes)]
    assert found in ([], [SMOKE])


@settings(max_examples=300, derandomize=True)
@given(noise=st.binary(max_size=60), cut=st.integers(0, 13), step=st.integers(1, 9))
def test_garbage_and_a_truncated_frame_do_not_hide_the_next(noise: bytes, cut: int, step: int) -> None:
    """Anything, then a frame without its end, then a whole one: the last is read."""
    line = noise + encode(QUIET)[:cut] + encode(SMOKE)
    decoder = Decoder()
    found = [item for at in range(0, len(line), step) for item in decoder.feed(line[at : at + step])]
    assert found[-1] == SMOKE


@settings(max_examples=300, derandomize=True)
@given(st.lists(st.binary(max_size=30), max_size=10))
def test_whatever_comes_the_dialogue_only_acknowledges_or_refuses(pieces: list[bytes]) -> None:
    """Nothing is raised, and noise makes it say nothing else."""
    gira = Gira()
    for now, piece in enumerate(pieces):
        gira.hear(piece, float(now))
        assert set(gira.say(float(now))) <= set(ACK + NAK)


def test_smoke_told_unasked_is_acknowledged_at_once_and_is_news_once() -> None:
    """The three repeats of a frame whose acknowledgement was lost are acknowledged and tell nothing new."""
    gira = Gira()
    for repeat in range(4):
        gira.hear(encode(SMOKE), float(repeat))
        assert gira.say(float(repeat)) == ACK
        assert gira.fresh() == (frozenset({UNIT}) if repeat == 0 else frozenset())
    gira.ask(_status(), 3.1, 1.0)
    assert gira.answer(_status(), 3.1) == (0x20, 4, 0, 0)


def test_a_damaged_frame_is_refused_and_its_repeat_is_taken() -> None:
    """NAK makes the detector send again."""
    gira = Gira()
    gira.hear(b"\x028220040000F1\x03", 0.0)
    assert gira.say(0.0) == NAK
    assert gira.fresh() == frozenset()
    gira.hear(encode(SMOKE), 0.1)
    assert gira.say(0.1) == ACK
    assert gira.fresh() == {UNIT}


def test_a_query_is_repeated_three_times_until_it_is_acknowledged() -> None:
    """No more than that, and not after the acknowledgement."""
    gira = Gira()
    gira.ask(_status(), 0.0, 0.0)
    said = [gira.say(step * REPEAT_S) for step in range(6)]
    assert said == [encode(b"\x02")] * (REPEATS + 1) + [b"", b""]
    assert gira.why() == (Kind.TIMEOUT, "no answer")
    gira.ask(_status(), 10.0, 0.0)
    assert gira.say(10.0)
    gira.hear(ACK, 10.1)
    assert gira.say(10.0 + 2 * REPEAT_S) == b""
    assert gira.why() == (Kind.TIMEOUT, "acknowledged, but no answer")


def test_a_refused_query_is_sent_again_at_once() -> None:
    """NAK, then the detector understands."""
    gira = Gira()
    gira.ask(_status(), 0.0, 0.0)
    assert gira.say(0.0) == encode(b"\x02")
    gira.hear(NAK, 0.05)
    assert gira.say(0.05) == encode(b"\x02")
    for step in range(1, REPEATS + 2):
        gira.hear(NAK, 0.05 + step)
        gira.say(0.05 + step)
    assert gira.why()[0] is Kind.EXCEPTION


def test_an_answer_is_asked_for_again_only_after_its_time() -> None:
    """In between the last one is served; after a failure nothing is."""
    gira = Gira()
    assert _asked(gira, 0.0, "C220000000") == (0x20, 0, 0, 0)
    gira.say(0.0)
    gira.ask(_status(), 0.9, 1.0)
    assert gira.say(0.9) == b""
    assert gira.answer(_status(), 0.9) == (0x20, 0, 0, 0)
    gira.ask(_status(), 1.0, 1.0)
    assert gira.say(1.0) == encode(b"\x02")
    assert gira.answer(_status(), 1.0) is None
    assert gira.why()[0] is Kind.TIMEOUT
    assert gira.answer(_status(), 1.1) is None


def test_an_answer_that_never_shows_alarms_does_not_end_one() -> None:
    """The document calls the answer unknown: until it has shown smoke itself, only a message ends smoke."""
    gira = Gira()
    gira.hear(encode(SMOKE), 0.0)
    assert _asked(gira, 1.0, "C220000000") == (0x20, 4, 0, 0)
    gira.reopened()
    assert _asked(gira, 2.0, "C220000000") == (0x20, 4, 0, 0)
    gira.hear(encode(QUIET), 3.0)
    assert gira.answer(_status(), 3.0) == (0x20, 0, 0, 0)


def test_an_answer_that_has_shown_smoke_may_end_it() -> None:
    """Then it evidently tells of it."""
    gira = Gira()
    gira.hear(encode(SMOKE), 0.0)
    assert _asked(gira, 1.0, "C220040000") == (0x20, 4, 0, 0)
    assert _asked(gira, 2.0, "C220000000") == (0x20, 0, 0, 0)


def test_our_own_echo_is_neither_answer_nor_message() -> None:
    """A query that comes back is not acknowledged."""
    gira = Gira()
    gira.ask(_status(), 0.0, 0.0)
    gira.hear(gira.say(0.0), 0.0)
    assert gira.say(0.0) == b""
    assert gira.answer(_status(), 0.0) is None


def test_silencing_is_confirmed_by_its_acknowledgement() -> None:
    """07 00 08 2F."""
    gira = Gira()
    gira.order(Write(action=Action.MUTE, function=7, address=0, value=8), 0, 0.0)
    assert gira.say(0.0) == b"\x020700082F\x03"
    assert not gira.confirmed()
    gira.hear(ACK, 0.1)
    assert gira.confirmed()


def test_a_message_that_nobody_knows_is_acknowledged_and_told_once() -> None:
    """86 00 01 was seen in the field; it must not come for ever."""
    gira = Gira()
    for _ in range(2):
        gira.hear(encode(bytes.fromhex("860001")), 0.0)
    assert gira.say(0.0) == ACK * 2
    assert gira.remarks() == ["message 86 of 2 bytes is not known: left aside"]
    assert gira.remarks() == []
