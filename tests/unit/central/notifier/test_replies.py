"""What people write back, and what they are answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.notifier.fitting import WORDS
from central.notifier.replies import Meaning, Understood, instead, understand

TAKE = Meaning.TAKE


@pytest.mark.parametrize(
    ("text", "waiting", "taken", "said"),
    [
        ("1", [7], [], Understood(TAKE, 7)),
        ("１ ", [7], [], Understood(TAKE, 7)),
        ("收到。", [7], [], Understood(TAKE, 7)),
        ("收到！", [7], [6], Understood(TAKE, 7)),
        ("1 12", [7, 12], [], Understood(TAKE, 12)),
        ("1，12", [7, 12], [], Understood(TAKE, 12)),
        ("收到12", [7, 12], [], Understood(TAKE, 12)),
        ("12", [7, 12], [], Understood(TAKE, 12)),
        ("1 1", [1, 12], [], Understood(TAKE, 1)),
        ("1 7", [12], [7], Understood(TAKE, 7)),
        ("1", [1, 12], [], Understood(Meaning.WHICH)),
        ("收到", [7, 12], [], Understood(Meaning.WHICH)),
        ("1 13", [7, 12], [], Understood(Meaning.NO_SUCH)),
        ("2", [7], [], Understood(Meaning.NO_SUCH)),
        ("12", [2], [], Understood(Meaning.NO_SUCH)),
        ("1", [], [7], Understood(Meaning.OTHERS)),
        ("不是我", [7], [], Understood(Meaning.UNCLEAR)),
        ("1 7 12", [7, 12], [], Understood(Meaning.UNCLEAR)),
        ("收到，马上去", [7], [], Understood(Meaning.UNCLEAR)),
        ("", [7], [], Understood(Meaning.UNCLEAR)),
        ("1", [], [], Understood(Meaning.NOTHING)),
        ("您好，我在开会", [], [], Understood(Meaning.NOTHING)),
    ],
)
def test_a_reply_takes_one_alarm_or_none(
    text: str, waiting: list[int], taken: list[int], said: Understood
) -> None:
    """1 or 收到 for the only one that waits, its number where there are more."""
    assert understand(text, waiting, taken) == said


@given(
    st.text(max_size=12) | st.from_regex(r"(1|收到)?[ ,]?[0-9]{0,3}", fullmatch=True),
    st.sets(st.integers(1, 30), max_size=4),
    st.sets(st.integers(31, 40), max_size=2),
)
def test_no_text_takes_an_alarm_that_it_does_not_clearly_mean(
    text: str, waiting: set[int], taken: set[int]
) -> None:
    """It has the alarm's number in it, or that alarm is the only one that waits."""
    found = understand(text, sorted(waiting), sorted(taken))
    if found.alarm is not None:
        assert found.alarm in waiting | taken
        assert str(found.alarm) in text or {found.alarm} == waiting or not text.isascii()
    assert (found.meaning is TAKE) == (found.alarm is not None)


def test_an_answer_says_what_to_do_and_its_beginning_fits_a_template() -> None:
    """The first home stands within what a provider takes."""
    homes = {12: "3栋 501室", 15: "4栋 201室"}
    which = instead(Understood(Meaning.WHICH), homes, "zh")
    assert which == "请回复1和编号：12 3栋 501室，15 4栋 201室"
    assert len("请回复1和编号：12 3栋 501室") <= WORDS["answer"].longest
    assert instead(Understood(Meaning.UNCLEAR), homes, "zh").startswith("没看懂。接警请回复1和编号：12 3栋")
    assert instead(Understood(Meaning.OTHERS), homes, "en").startswith("All are taken already: 12")
    assert instead(Understood(Meaning.NOTHING), {}, "zh") == ""
