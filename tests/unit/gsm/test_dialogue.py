"""One SMS through a modem: the dialogue against a modem with good and bad manners, in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm.dialogue import LONGEST_S, Dialogue, Failed, Sent
from gsm.pdu import submit
from tests.harness.modem import Manners, Modem, Sms, read_pdu

TEXT = "【烟雾报警】3栋2单元501 厨房 03:12 中心无应答，请立即前往并拨打119"
NUMBER = "+8613800000101"


def talk(modem: Modem, *, pin: str | None = None, piece: int = 4096) -> tuple[Sent | Failed, float]:
    """Let the dialogue talk to the modem, its bytes in pieces. Returns the outcome and the seconds."""
    dialogue = Dialogue(submit(NUMBER, TEXT), pin)
    now, waiting = 0.0, dialogue.begin(0.0)
    while dialogue.outcome is None:
        said = modem.take(waiting) if waiting else []
        waiting = b""
        for pause, data in said:
            now += pause
            for start in range(0, len(data), piece):
                waiting += dialogue.feed(data[start : start + piece], now)
        if not waiting and dialogue.outcome is None:
            now = max(now, dialogue.deadline)
            waiting = dialogue.tick(now)
    return dialogue.outcome, now


@pytest.mark.parametrize("piece", [1, 3, 4096])
@pytest.mark.parametrize(
    "manners",
    [
        {},
        {"echo": False},
        {"chatter": True},
        {"lte_only": True},
        {"prompt_after_s": 4.0},
        {"registered": 5},
        {"chatter": True, "echo": False, "lte_only": True},
    ],
)
def test_a_message_goes_out_whatever_the_modems_manners(manners: dict[str, object], piece: int) -> None:
    """Echo on or off, chatter between the lines, a late prompt, roaming, LTE only, a byte at a time."""
    modem = Modem(Manners(**manners))  # type: ignore[arg-type]
    outcome, _ = talk(modem, piece=piece)
    assert outcome == Sent("1")
    assert modem.sent == [Sms("8613800000101", TEXT, international=True)]


@pytest.mark.parametrize(
    ("refuse", "word"),
    [
        (b"ERROR", "ERROR"),
        (b"+CMS ERROR: 500", "unknown error"),
        (b"+CMS ERROR: 331", "no network"),
        (b"+CME ERROR: 10", "no SIM card"),
        (b"+CMS ERROR: no network service", "no network service"),
    ],
)
def test_a_refusal_is_a_failure_with_its_number(refuse: bytes, word: str) -> None:
    """What the modem says reaches the record."""
    outcome, _ = talk(Modem(Manners(refuse=refuse)))
    assert isinstance(outcome, Failed)
    assert word in outcome.why


def test_a_modem_without_an_answer_is_given_up_soon() -> None:
    """Three tries, a few seconds: a dead adapter does not hold up the next number."""
    outcome, took = talk(Modem(Manners(answers=False)))
    assert isinstance(outcome, Failed)
    assert "does not answer" in outcome.why
    assert took <= 5


def test_no_word_after_the_text_is_a_failure_and_leaves_the_prompt() -> None:
    """Nobody knows whether it went: rather once more. Escape ends what may still wait for a text."""
    modem = Modem(Manners(silent_after_text=True))
    outcome, took = talk(modem)
    assert isinstance(outcome, Failed)
    assert took <= LONGEST_S


def test_a_modem_without_a_network_is_waited_for_and_then_given_up() -> None:
    """Searching (2) may become registered; denied for half a minute is a failure that says so."""
    outcome, took = talk(Modem(Manners(registered=2)))
    assert isinstance(outcome, Failed)
    assert "not registered" in outcome.why
    assert 20 <= took <= LONGEST_S


def test_a_locked_sim_is_opened_with_its_pin_and_never_offered_a_refused_one() -> None:
    """Three wrong tries lock the SIM for good."""
    opened = Modem(Manners(pin="1234"))
    assert talk(opened, pin="1234")[0] == Sent("1")
    without = talk(Modem(Manners(pin="1234")))[0]
    assert isinstance(without, Failed)
    assert "pin_file" in without.why
    wrong = Modem(Manners(pin="1234"))
    outcome, _ = talk(wrong, pin="9999")
    assert isinstance(outcome, Failed)
    assert outcome.pin_refused
    assert wrong.pin_tries == 1
    assert "9999" not in outcome.why


def test_a_prompt_that_another_program_left_open_is_ended_first() -> None:
    """The first byte is an escape: our AT is not taken for the text of somebody's message."""
    modem = Modem(Manners(echo=False))
    modem.take(b"AT+CMGS=40\r")
    assert talk(modem)[0] == Sent("1")


@given(st.lists(st.binary(max_size=60), max_size=40))
def test_garbage_ends_in_an_outcome_within_the_time(pieces: list[bytes]) -> None:
    """Whatever comes, the dialogue ends, and nothing is raised."""
    dialogue = Dialogue(submit(NUMBER, TEXT), "1234")
    dialogue.begin(0.0)
    now = 0.0
    for piece in pieces:
        dialogue.feed(piece, now)
    while dialogue.outcome is None:
        now = dialogue.deadline
        dialogue.tick(now)
    assert now <= LONGEST_S


@given(
    st.sampled_from(["", "+"]),
    st.text("0123456789", min_size=3, max_size=20),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=35),
)
def test_a_pdu_carries_number_and_text(plus: str, digits: str, text: str) -> None:
    """Odd and even numbers, Chinese, characters of two units."""
    pdu = submit(plus + digits, text)
    assert read_pdu(pdu.hex) == Sms(digits, text, international=bool(plus))
    assert pdu.length == len(pdu.hex) // 2 - 1


@pytest.mark.parametrize(
    ("number", "text"), [("12", "x"), ("027-82340001", "x"), ("138", ""), ("138", "火" * 71)]
)
def test_what_no_single_sms_can_be_is_refused(number: str, text: str) -> None:
    """No silent cut here: the text was to be packed before."""
    with pytest.raises(ValueError):
        submit(number, text)


def test_the_pdu_of_a_known_message_is_this() -> None:
    """Worked out by hand from TS 23.040, so that both of our readings cannot be wrong together."""
    pdu = submit("+8613912345678", "火")
    assert pdu.hex == "00" + "11" + "00" + "0D" + "91" + "683119325476F8" + "00" + "08" + "47" + "02" + "706B"
    assert pdu.length == 17
