"""Finding the one true answer in what came over a line, without a line."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.modbus import Kind, RtuSearch
from tests.harness.slave import framed

REQUEST = framed(bytes.fromhex("0b0300000002"))
HEAD = b"\x0b\x03\x04"
BODY = HEAD + bytes.fromhex("12345678")
ANSWER = framed(BODY)
WRITE = framed(bytes.fromhex("0b06000000ea"))


def _search() -> RtuSearch:
    return RtuSearch(REQUEST, HEAD, len(ANSWER), echo=False)


@settings(max_examples=200, derandomize=True)
@given(noise=st.binary(max_size=40), after=st.binary(max_size=40), chunk=st.integers(1, 20))
def test_noise_around_the_answer_changes_nothing(noise: bytes, after: bytes, chunk: int) -> None:
    """Random bytes before and after, in pieces of any size: the true value is found."""
    search = _search()
    line = noise + ANSWER + after
    found = [body for at in range(0, len(line), chunk) if (body := search.feed(line[at : at + chunk]))]
    assert found
    assert found[0] == BODY[1:]


@settings(max_examples=300, derandomize=True)
@given(
    place=st.integers(1, len(ANSWER) - 1),
    noise=st.binary(min_size=1, max_size=20),
    cut=st.integers(0, 3),
    bits=st.integers(1, 255),
)
def test_a_damaged_answer_is_no_answer(place: int, noise: bytes, cut: int, bits: int) -> None:
    """Bytes put into it, taken from it or flipped in it never give a value other than the true one."""
    inside = _search().feed(ANSWER[:place] + noise + ANSWER[place + cut :])
    assert inside in (None, BODY[1:])
    flipped = bytearray(ANSWER)
    flipped[place] ^= bits
    assert _search().feed(bytes(flipped)) is None
    assert _search().feed(ANSWER[:place]) is None


@settings(max_examples=200, derandomize=True)
@given(st.binary(max_size=300))
def test_noise_alone_is_never_an_answer(noise: bytes) -> None:
    """Whatever comes, nothing is raised and no value is made."""
    search = _search()
    assert search.feed(noise) is None
    kind, _ = search.judge()
    assert (kind is Kind.TIMEOUT) is (not search.heard)


def test_an_echo_is_skipped_and_remembered() -> None:
    """The request comes back first."""
    search = _search()
    assert search.feed(REQUEST + ANSWER) == BODY[1:]
    assert search.echoed


def test_only_an_echo_is_silence() -> None:
    """A dead device behind an adapter that echoes has not answered."""
    search = _search()
    search.feed(REQUEST)
    assert search.judge() == (Kind.TIMEOUT, "no answer")


def test_a_write_is_confirmed_by_the_second_copy_where_the_adapter_echoes() -> None:
    """Without an echo the first copy is the device's; with one it proves nothing."""
    plain = RtuSearch(WRITE, WRITE[:6], 8, echo=False)
    assert plain.feed(WRITE) == WRITE[1:6]
    echoing = RtuSearch(WRITE, WRITE[:6], 8, echo=True)
    assert echoing.feed(WRITE) is None
    assert echoing.feed(WRITE) == WRITE[1:6]


def test_a_refusal_is_found_too() -> None:
    """An exception reply after noise."""
    assert _search().feed(b"\x0b\x83" + framed(b"\x0b\x83\x02")) == b"\x83\x02"


def test_an_answer_after_another_masters_request_is_not_ours() -> None:
    """Two masters on a line: the same unit answers the other one, and the frame looks like ours."""
    foreign = framed(bytes.fromhex("0b0300090002"))
    for before, seen in (
        (b"", foreign + ANSWER),
        (foreign, ANSWER),
        (b"\xff" + foreign[:5], foreign[5:] + ANSWER),
    ):
        search = RtuSearch(REQUEST, HEAD, len(ANSWER), echo=False, before=before)
        assert search.feed(seen) is None
        assert search.judge()[0] is Kind.FOREIGN


def test_our_own_echo_and_noise_before_the_answer_are_no_other_master() -> None:
    """Only a whole request that is not ours makes an answer doubtful."""
    for before in (b"", REQUEST, b"\x00\xff\x01\x03\x00", ANSWER):
        search = RtuSearch(REQUEST, HEAD, len(ANSWER), echo=False, before=before)
        assert search.feed(b"\x55\x00" + ANSWER) == BODY[1:]
