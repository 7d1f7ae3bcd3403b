"""How words are made to fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.notifier.fitting import WORDS, Template, chosen, e164, faults, gap, national, within_bytes
from tests.harness.channel_kit import message

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


@given(TEXT, st.integers(min_value=60, max_value=500))
def test_a_text_never_has_more_bytes_than_there_is_room_for(text: str, most: int) -> None:
    """And one that fits is left alone."""
    cut = within_bytes(text, most)
    assert len(cut.encode()) <= most
    if len(text.encode()) <= most:
        assert cut == text


def test_a_long_text_keeps_its_title_its_link_and_119() -> None:
    """What is in the middle goes: a list of a hundred homes is no use without the link."""
    lines = [
        "【烟雾报警】3栋",
        *(f"无人值守：{n} 户" for n in range(300)),
        "接警请点：https://x/a/A",
        "拨打 119",
    ]
    cut = within_bytes("\n".join(lines), 2048).split("\n")
    assert cut[0] == lines[0]
    assert cut[-3:] == ["…", *lines[-2:]]
    assert len(cut) > 50


@given(st.sampled_from(sorted(WORDS)), TEXT, st.integers(min_value=16, max_value=60))
def test_a_gap_gets_one_line_that_fits_and_is_never_empty(name: str, word: str, most: int) -> None:
    """Providers refuse empty words, brackets, links and line breaks, and words that are too long."""
    clean = gap(name, word, most)
    if WORDS[name].keep != "never":
        assert 0 < len(clean) <= most
    assert not set(clean) & set("【】\n\r\x00")
    assert "http://" not in clean
    assert "https://" not in clean


def test_of_a_place_the_room_stays_and_of_a_person_the_name() -> None:
    """The end of an address finds the door; the front of a name finds the person."""
    assert gap("home", "建设路十三号小区 3栋 2单元 5层 501室", 10) == "单元 5层 501室"
    assert gap("who", "王秀英，82 岁；李四，80 岁", 6) == "王秀英，82"


def test_a_link_is_not_cut() -> None:
    """Half of it opens nothing."""
    assert gap("code", "AAAAAAAAAAAAAAAA", 6) == "AAAAAAAAAAAAAAAA"


@pytest.mark.parametrize(
    ("gaps", "most", "text", "said"),
    [
        ((("kind", "kind"), ("code", "code")), 35, "街道提醒${kind}，接警https://x.cn/a/${code} 。", None),
        ((("kind", "knid"),), 35, None, "no word 'knid'"),
        ((("1", "code"),), 6, None, "cannot be cut"),
        ((("kind", "kind"),), 35, "${kind}又${kind}", "once"),
        ((("kind", "kind"),), 35, "${kind}在${home}", "a gap that gaps does not name"),
        ((("code", "code"),), 35, "接警码${code}", "https://domain/a/"),
        ((("kind", "kind"),), 35, "长" * 495 + "${kind}", "503 characters"),
    ],
)
def test_a_template_is_checked_before_anybody_needs_it(
    gaps: tuple[tuple[str, str], ...], most: int, text: str | None, said: str | None
) -> None:
    """Words that are none, gaps that are too short, a text that does not match, one that is too long."""
    found = faults(Template("SMS_1", gaps, most), text, "${?}", 500)
    assert (found == []) if said is None else (said in found[0])


def test_who_cannot_take_an_alarm_is_not_asked_to() -> None:
    """A text of its own where there is one; what comes after the alarm has none of its own."""
    alarm, notice, closed = (Template(code, (), 35) for code in ("a", "n", "c"))
    both = {"alarm": alarm, "notice": notice, "closed": closed}
    onlooker = replace(message(), takes=False)
    assert chosen(both, message()) is alarm
    assert chosen(both, onlooker) is notice
    assert chosen({"alarm": alarm}, onlooker) is alarm
    assert chosen(both, replace(onlooker, purpose="closed")) is closed


def test_the_english_template_is_taken_for_english_and_the_chinese_where_there_is_none() -> None:
    """A message that is in the other language is better than none."""
    zh, en = Template("1", (), 6), Template("2", (), 6)
    one = message()
    assert chosen({"alarm": zh, "alarm_en": en}, one) is zh
    english = type(one)(**{name: getattr(one, name) for name in one.__slots__} | {"language": "en"})
    assert chosen({"alarm": zh, "alarm_en": en}, english) is en
    assert chosen({"alarm": zh}, english) is zh
    assert chosen({"closed": zh}, one) is None
    offer = replace(one, purpose="offer")
    assert chosen({"alarm": zh}, offer) is zh, "an offer without words of its own goes out as an alarm"
    assert chosen({"alarm": zh, "offer": en}, offer) is en


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("13800000000", "+8613800000000"),
        ("138-0000 0000", "+8613800000000"),
        ("+85260000000", "+85260000000"),
        ("027-87654321", "+862787654321"),
        ("010 8765 4321", "+861087654321"),
        ("87654321", None),  # without its area it could be anybody's
        ("0085260000000", None),
        ("１３８００００００００", None),
        ("13800000000,13900000000", None),
        ("", None),
    ],
)
def test_a_telephone_number_has_its_country(address: str, number: str | None) -> None:
    """Or is one of the mainland's as it is dialled there."""
    assert e164(address) == number


def test_aliyun_gets_a_number_as_it_is_dialled() -> None:
    """At home with the area's 0, abroad with the country."""
    numbers = ("+8613800000000", "+862787654321", "+861087654321", "+85260000000")
    assert [national(one) for one in numbers] == ["13800000000", "02787654321", "01087654321", "85260000000"]
