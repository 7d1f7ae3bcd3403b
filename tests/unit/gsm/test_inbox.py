"""What has come to a modem: read from its store, taken apart, deleted when done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm.dialogue import Failed, Inbox, Read
from gsm.incoming import Incoming, deliver
from tests.harness.modem import Manners, Modem, came

NUMBER = "+8613800000101"


def look(modem: Modem, *done: int, piece: int = 4096) -> Read | Failed:
    """Let a conversation read the modem's store."""
    inbox = Inbox(done)
    now, waiting = 0.0, inbox.begin(0.0)
    while inbox.outcome is None:
        said = modem.take(waiting) if waiting else []
        waiting = b""
        for _, data in said:
            for start in range(0, len(data), piece):
                waiting += inbox.feed(data[start : start + piece], now)
        if not waiting and inbox.outcome is None:
            now = max(now, inbox.deadline)
            waiting = inbox.tick(now)
    return inbox.outcome


@pytest.mark.parametrize("piece", [1, 4096])
@pytest.mark.parametrize("manners", [{}, {"echo": False}, {"chatter": True}])
def test_what_has_come_is_read_and_what_is_done_is_deleted(manners: dict[str, bool], piece: int) -> None:
    """Whatever the modem tells in between; nothing is deleted unasked."""
    modem = Modem(Manners(**manners))
    modem.inbox = {1: came(NUMBER, "收到"), 7: came("13800000102", "1 12", wide=False)}
    found = look(modem, piece=piece)
    assert isinstance(found, Read)
    assert {place: deliver(pdu).text for place, pdu in found.messages} == {1: "收到", 7: "1 12"}
    assert set(modem.inbox) == {1, 7}
    assert look(modem, 1, piece=piece) == Read(((7, modem.inbox[7]),))
    assert look(modem, 7) == Read(())


def test_a_modem_that_does_not_answer_is_said_so() -> None:
    """And nothing hangs."""
    assert isinstance(look(Modem(Manners(answers=False))), Failed)


@pytest.mark.parametrize(
    ("pdu", "said"),
    [
        # An example that is passed around in many places: a national number, seven bits a character.
        (
            "07917283010010F5040BC87238880900F10000993092516195800AE8329BFD4697D9EC37",
            ("27838890001", "hellohello"),
        ),
        (came(NUMBER, "收到"), (NUMBER, "收到")),
        (came("13800000102", "1", wide=False), ("13800000102", "1")),
        # A sender with a name, as operators have: whoever writes so has no number.
        ("000409D0C8329BFD0600006230103000002302B118", ("Hello", "11")),
        # The second part of a long text: a header of six octets in front of the words.
        ("0044048121430008623010300000230A0500035A020265365230", ("1234", "收到")),
        ("004404812143000062301030000023080500035A020262", ("1234", "1")),
    ],
)
def test_a_message_is_taken_apart_as_the_standard_says(pdu: str, said: tuple[str, str]) -> None:
    """Alphabets of seven bits and of sixteen, headers of long texts."""
    found = deliver(pdu)
    assert (found.number, found.text) == said


@given(st.binary(max_size=80).map(bytes.hex) | st.text(max_size=20))
def test_anything_at_all_is_a_message_or_a_value_error(pdu: str) -> None:
    """A SIM holds what it holds."""
    try:
        found = deliver(pdu)
    except ValueError:
        return
    assert isinstance(found, Incoming)
    assert len(found.stamp) == 14
