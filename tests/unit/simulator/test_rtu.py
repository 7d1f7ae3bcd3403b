"""The simulator's own Modbus: frames printed in documents, requests cut anyhow, garbage."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import rtu
from simulator.rtu import MbapParser, Read, Refusal, Request, RtuParser, WriteOne

DOCUMENTED = [
    "01 03 00 00 00 01 84 0A",  # Sonbest SM7571B, smoke
    "FA 03 00 66 00 01 71 9E",  # Sonbest, the id of a single device
    "01 03 00 00 00 03 05 CB",  # LT-001, three registers
    "01 03 02 00 79 79 A6",  # Sonbest, the answer: 121 ppm
]
REQUESTS = [bytes.fromhex(text) for text in DOCUMENTED[:3]]


@pytest.mark.parametrize("text", DOCUMENTED)
def test_checksums_are_those_of_the_documents(text: str) -> None:
    """Two bytes, low byte first."""
    frame = bytes.fromhex(text)
    assert rtu.crc(frame[:-2]) == frame[-2:]


@pytest.mark.parametrize("frame", REQUESTS)
def test_a_request_is_found_whole_or_byte_by_byte(frame: bytes) -> None:
    """However the master's driver cuts it."""
    expected = [Request(frame[0], frame[1:-2])]
    assert RtuParser().feed(frame, 0.0) == expected
    parser = RtuParser()
    found = [one for n, byte in enumerate(frame) for one in parser.feed(bytes((byte,)), n * 0.01)]
    assert found == expected


def test_a_request_of_many_registers_is_taken_by_its_own_count() -> None:
    """Function 16 says how long it is."""
    body = bytes.fromhex("01 10 01 00 00 01 02 00 52")
    frame = body + rtu.crc(body)
    parser = RtuParser()
    assert parser.feed(frame[:7], 0.0) == []
    assert parser.feed(frame[7:] + REQUESTS[0], 0.0) == [Request(1, body[1:]), Request(1, REQUESTS[0][1:-2])]


def test_an_unfinished_request_is_forgotten_after_a_pause() -> None:
    """As a slave does after silence on the line."""
    parser = RtuParser(idle_s=0.1)
    assert parser.feed(REQUESTS[0][:5], 0.0) == []
    assert parser.feed(REQUESTS[1], 1.0) == [Request(0xFA, REQUESTS[1][1:-2])]


@given(st.binary(max_size=40), st.sampled_from(REQUESTS), st.lists(st.integers(1, 60), max_size=12))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_request_after_garbage_is_found(junk: bytes, frame: bytes, cuts: list[int]) -> None:
    """Whatever came before it without a pause; nothing is raised."""
    parser, stream, found = RtuParser(), junk + frame, []
    places = [0, *sorted({cut for cut in cuts if cut < len(stream)}), len(stream)]
    for start, end in pairwise(places):
        found += parser.feed(stream[start:end], 0.0)
    assert found[-1:] == [Request(frame[0], frame[1:-2])]


@given(st.binary(max_size=600))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_bytes_are_survived_and_never_pile_up(junk: bytes) -> None:
    """No exception, and no more kept than the longest frame."""
    rtu_parser, mbap = RtuParser(), MbapParser()
    for at in range(0, len(junk), 7):
        rtu_parser.feed(junk[at : at + 7], 0.0)
        mbap.feed(junk[at : at + 7])
    assert len(rtu_parser._buffer) <= 256
    assert mbap.broken or len(mbap._buffer) <= 260


def test_tcp_requests_are_cut_from_the_stream_by_their_length() -> None:
    """Two in one segment, the second cut in two."""
    parser = MbapParser()
    one = bytes.fromhex("0001 0000 0006 01 04 0000 0005")
    two = bytes.fromhex("0002 0000 0006 07 03 0010 0002")
    assert parser.feed(one + two[:5]) == [Request(1, one[7:], 1)]
    assert parser.feed(two[5:]) == [Request(7, two[7:], 2)]
    assert not parser.broken


@pytest.mark.parametrize("head", ["0001 0001 0006 01", "0001 0000 0001 01", "0001 0000 01FF 01"])
def test_a_stream_that_is_not_modbus_tcp_is_given_up(head: str) -> None:
    """Another protocol id or an impossible length: nothing after it can be trusted."""
    parser = MbapParser()
    assert parser.feed(bytes.fromhex(head)) == []
    assert parser.broken


@pytest.mark.parametrize(
    ("pdu", "expected"),
    [
        ("04 0000 0005", Read(4, 0, 5)),
        ("02 0000 07D0", Read(2, 0, 2000)),
        ("06 0100 0052", WriteOne(6, 0x100, 0x52)),
        ("05 0001 FF00", WriteOne(5, 1, 0xFF00)),
    ],
)
def test_requests_are_understood(pdu: str, expected: object) -> None:
    """Reads of the four tables, writes of one."""
    assert rtu.parse(bytes.fromhex(pdu)) == expected


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        ("2B 0E 01 00", rtu.ILLEGAL_FUNCTION),
        ("10 0100 0001 02 0052", rtu.ILLEGAL_FUNCTION),
        ("03 0000 0000", rtu.ILLEGAL_VALUE),
        ("03 0000 007E", rtu.ILLEGAL_VALUE),
        ("01 0000 07D1", rtu.ILLEGAL_VALUE),
        ("05 0000 1234", rtu.ILLEGAL_VALUE),
        ("03 0000 00", rtu.ILLEGAL_VALUE),
        ("03 FFFF 0002", rtu.ILLEGAL_ADDRESS),
        ("", rtu.ILLEGAL_FUNCTION),
    ],
)
def test_impossible_requests_are_refused_with_the_protocols_code(pdu: str, code: int) -> None:
    """Modbus Application Protocol V1.1b3, section 7."""
    with pytest.raises(Refusal) as caught:
        rtu.parse(bytes.fromhex(pdu))
    assert caught.value.code == code


def test_answers_pack_bits_low_first_and_registers_high_first() -> None:
    """Section 6.1 and 6.3 of the protocol; the Sonbest document's own answer."""
    assert rtu.read_answer(2, [1, 0, 1, 0, 0, 0, 0, 0, 1]) == bytes.fromhex("02 02 05 01")
    assert rtu.rtu_frame(1, rtu.read_answer(3, [0x79])) == bytes.fromhex(DOCUMENTED[3])
    assert rtu.mbap_frame(0x1234, 9, b"\x04\x02\x00\x01") == bytes.fromhex("1234 0000 0005 09 04 02 0001")
    assert rtu.refusal_answer(4, 2) == b"\x84\x02"
