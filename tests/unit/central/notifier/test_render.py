"""What people read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from central.engine.model import AlarmState, Condition, Disposition, Grade, Ground, Severity
from central.notifier import words
from central.notifier.facts import Facts
from central.notifier.fitting import WORDS
from central.notifier.plan import Planned
from central.notifier.render import To, bare, render, render_many
from central.store.alarms import AlarmFacts, ResidentFacts

AT = datetime(2026, 3, 1, 19, 9, 32, tzinfo=UTC)
LINK = "https://fire.example/a/AAAAAAAAAAAAAAAA"
ZH, EN = To("zh", LINK), To("en", LINK)
RESIDENT = ResidentFacts(
    id="r1",
    name="王秀英",
    age=82,
    phone="13800000000",
    lives_alone=True,
    needs="卧床，带氧气瓶",
    family_name="王强",
    family_phone="13900000000",
)
FACTS = AlarmFacts(
    id=7,
    condition=Condition.SMOKE,
    severity=Severity.LIFE,
    state=AlarmState.ACTIVE_UNACKNOWLEDGED,
    round=1,
    late=False,
    address_known=True,
    area="danshuichi",
    area_name="丹水池街道",
    community="c1",
    community_name="江岸社区",
    grid="g1",
    grid_name="第三网格",
    building="b1",
    building_name="3栋",
    address="建设路3号",
    lon=None,
    lat=None,
    household="h1",
    unit="2",
    floor=5,
    room="501",
    spot="厨房",
    gateway="gw-1",
    gateway_name="3栋楼道",
    part="d-1",
    opened_at=AT,
    event_at=AT,
    cleared_at=None,
    acknowledged_at=None,
    acknowledged_by=None,
    acknowledged_name=None,
    on_way_at=None,
    closed_at=None,
    closed_by=None,
    closed_name=None,
    disposition=None,
    cause=None,
    remark="",
    linked_to=None,
    detail={},
    residents=(RESIDENT,),
)
PLANNED = Planned("k", 7, "alarm", 1, 0, "zhang", 0, "voice", "138", urgent=True)


def test_smoke_in_chinese_says_all_that_somebody_who_runs_needs() -> None:
    """Home, person, what to bring, Chinese time past midnight, whether it holds, where to answer, 119."""
    message = render(PLANNED, FACTS, ZH)
    assert message.title == "【烟雾报警】3栋 2单元 5层 501室 王秀英"
    assert message.text.splitlines() == [
        "地点：丹水池街道 江岸社区 第三网格 建设路3号 3栋 2单元 5层 501室 厨房",
        "住户：王秀英，82 岁，独居，电话 13800000000",
        "注意：卧床，带氧气瓶",
        "家属：王强，电话 13900000000",
        "时间：2026-03-02 03:09:32",
        "状态：仍在报警",
        f"接警请点：{LINK}",
        "确认起火请立即拨打 119",
    ]
    assert (message.link, message.key, message.urgent, message.language) == (LINK, "k", True, "zh")


def test_the_same_in_english() -> None:
    """Complete beside the Chinese."""
    message = render(PLANNED, FACTS, EN)
    assert message.title == "[SMOKE] 3栋 unit 2 floor 5 room 501 王秀英"
    lines = message.text.splitlines()
    assert "Who: 王秀英, about 82 years old, lives alone, phone 13800000000" in lines
    assert "Now: still there" in lines
    assert f"Take it here: {LINK}" in lines
    assert "If it burns call 119 at once" in lines


@pytest.mark.parametrize(
    ("change", "planned", "words_zh", "words_en"),
    [
        (
            {"state": AlarmState.CLEARED_UNACKNOWLEDGED, "cleared_at": AT + timedelta(minutes=3)},
            PLANNED,
            "03:12 已自行消除，仍须到场核实",
            "cleared by itself at 03:12; somebody must still look",
        ),
        ({"state": AlarmState.ACTIVE_UNKNOWN}, PLANNED, "设备已无应答", "no longer answers"),
        (
            {"late": True, "opened_at": AT + timedelta(minutes=25)},
            PLANNED,
            "迟到：发生于 25 分钟 前",
            "LATE: it happened 25 min ago",
        ),
        (
            {"late": True, "opened_at": AT + timedelta(hours=30)},
            PLANNED,
            "发生于 30 小时 前",
            "30 h ago",
        ),
        ({"round": 2}, structs.replace(PLANNED, round=2), "第 2 轮", "Round 2"),
        ({}, structs.replace(PLANNED, step=2), "这是第 3 次通知", "call number 3"),
        (
            {"acknowledged_name": "李网格"},
            structs.replace(PLANNED, purpose="disposition"),
            "一直没有处置结果",
            "nobody has said what it was",
        ),
        (
            {"acknowledged_by": "wang", "offered_by_name": "李网格"},
            structs.replace(PLANNED, purpose="offer"),
            "李网格 请您接手处理",
            "李网格 asks you to take it over",
        ),
        (
            {"acknowledged_by": "wang", "acknowledged_name": "王网格"},
            structs.replace(PLANNED, purpose="owner"),
            "现由 王网格 处理",
            "王网格 has it now",
        ),
        (
            {"acknowledged_by": PLANNED.worker, "acknowledged_name": "张网格"},
            structs.replace(PLANNED, purpose="owner"),
            "仍由您处理",
            "you still have it",
        ),
        (
            {"disposition": Disposition.FALSE_ALARM, "state": AlarmState.CLOSED},
            structs.replace(PLANNED, purpose="closed"),
            "结果：误报",
            "Result: False alarm",
        ),
        (
            {"address_known": False, "building_name": None, "room": None, "residents": ()},
            PLANNED,
            "地址不明",
            "address unknown",
        ),
    ],
)
def test_what_is_special_is_said(
    change: dict[str, object], planned: Planned, words_zh: str, words_en: str
) -> None:
    """Cleared, unknown, late, again, climbed, without disposition, closed, address unknown."""
    facts = replace(FACTS, **change)  # type: ignore[arg-type]
    assert words_zh in render(planned, facts, ZH).text
    assert words_en in render(planned, facts, EN).text


@pytest.mark.parametrize(
    ("change", "zh", "en"),
    [
        ({}, "【烟雾报警·03-02 03:09 发生】", "[SMOKE, at 03-02 03:09] "),
        (
            {"state": AlarmState.CLEARED_UNACKNOWLEDGED, "cleared_at": AT + timedelta(minutes=3)},
            "【烟雾报警·03-02 03:09 发生·已自行消除】",
            "[SMOKE, at 03-02 03:09, cleared by itself] ",
        ),
    ],
)
def test_what_comes_late_says_so_in_its_first_words(change: dict[str, object], zh: str, en: str) -> None:
    """When it was, and that it is over; the text says that somebody must look all the same."""
    facts = replace(FACTS, late=True, opened_at=AT + timedelta(hours=1), **change)  # type: ignore[arg-type]
    assert render(PLANNED, facts, ZH).title.startswith(zh)
    assert render(PLANNED, facts, EN).title.startswith(en)
    climbed = structs.replace(PLANNED, purpose="disposition")
    assert render(climbed, facts, ZH).title.startswith("【待填处置结果·烟雾报警】")


def test_a_smoke_alarm_without_an_address_names_the_device() -> None:
    """So that the command centre can find out."""
    facts = replace(FACTS, address_known=False, building_name=None, room=None, residents=())
    assert "设备：3栋楼道 / gw-1 / d-1" in render(PLANNED, facts, ZH).text


def test_a_silent_gateway_names_the_homes_left_unwatched() -> None:
    """One message for all of them, ten by name."""
    homes = [f"3栋 {n}01室" for n in range(1, 15)]
    facts = replace(
        FACTS,
        condition=Condition.GATEWAY_SILENT,
        severity=Severity.UNWATCHED,
        room=None,
        residents=(),
        detail={"homes": homes, "count": 14},
    )
    text = render(PLANNED, facts, ZH).text
    assert "无人值守：14 户：3栋 101室、" in text
    assert "3栋 1001室等" in text
    assert "1101室" not in text
    assert "119" not in text
    assert "Homes without a watch: 14" in render(PLANNED, facts, EN).text


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("purpose", ["alarm", "disposition", "cleared", "closed", "offer", "owner", "raised"])
@pytest.mark.parametrize("condition", list(Condition))
def test_every_condition_has_words_even_when_nothing_else_is_known(
    condition: Condition, purpose: str, language: str
) -> None:
    """Nothing missing, nothing empty, no None on a phone."""
    facts: Facts = replace(
        FACTS,
        condition=condition,
        **dict.fromkeys(("area_name", "community_name", "grid_name", "building_name", "address")),
        **dict.fromkeys(("unit", "floor", "room", "spot", "gateway_name", "gateway")),
        residents=(),
        part="",
    )
    message = render(structs.replace(PLANNED, purpose=purpose), facts, To(language, ""))  # type: ignore[arg-type]
    assert message.title.strip()
    assert "None" not in message.title + message.text
    assert all(line.strip() for line in message.text.splitlines())


def test_what_makes_it_graver_is_said_and_what_it_says_of_people_only_to_whom_may_know() -> None:
    """The group that reads along learns of the second detector, not of the bed."""
    detail = {"grounds": [ground.value for ground in Ground]}
    facts = replace(FACTS, grade=Grade.GRAVE, detail=detail)
    message = render(PLANNED, facts, ZH)
    assert "警情升级：同楼另有探测器报警、烟雾与高温同时报警、室温上升" in message.text
    assert "住户卧床" in message.text
    assert "住户卧床" not in message.open_text
    assert "同楼另有探测器报警" in message.open_text
    assert "GRAVER: another detector" in render(PLANNED, facts, EN).text
    assert "住户卧床" not in render(PLANNED, facts.without_residents(), ZH).text


def test_every_word_has_both_languages() -> None:
    """And the Chinese is Chinese."""
    for condition in Condition:
        assert words.CONDITION[condition].zh != words.CONDITION[condition].en
    for disposition in Disposition:
        assert words.DISPOSITION[disposition].zh != words.DISPOSITION[disposition].en


def test_when_nothing_is_known_the_number_and_the_link_are_sent() -> None:
    """Better than silence."""
    message = bare([PLANNED], ZH)
    assert "7" in message.title
    assert LINK in message.text
    assert bare([PLANNED], To("en", "")).text


def test_several_homes_in_one_message_are_each_named_with_what_to_mind() -> None:
    """One line a home; a second message about the same home is one line; what is not known has its number."""
    plans = [structs.replace(PLANNED, key=f"k-{n}", alarm=alarm) for n, alarm in enumerate((7, 8, 9, 7))]
    other = replace(FACTS, id=8, condition=Condition.HEAT, room="601", residents=(), cleared_at=AT)
    message = render_many(plans, [other, FACTS], ZH)
    assert message.title == "【高温报警】3 处"
    assert message.text.splitlines() == [
        "1. 烟雾报警，3栋 2单元 5层 501室 王秀英，注意：卧床，带氧气瓶，03:09",
        "2. 3栋 2单元 5层 601室，03:09，已自行消除",
        "3. #9",
        f"逐户勾选接警请点：{LINK}",
        "确认起火请立即拨打 119",
    ]
    assert (message.alarm, message.alarms, message.urgent) == (7, (7, 8, 9), True)
    assert message.open_text.splitlines() == [
        "【高温报警】3 处",
        "1. 烟雾报警，3栋 2单元 5层 501室，03:09",
        "2. 3栋 2单元 5层 601室，03:09，已自行消除",
        "3. #9",
        "确认起火请立即拨打 119",
    ]
    assert set(message.words) == set(WORDS)
    assert message.words["home"] == "3栋 2单元 5层 601室等3处"
    assert message.key.startswith("k-0+3:")
    assert render_many(plans[::-1], [other, FACTS], EN).title == "[HEAT] 3 places"
    news = [structs.replace(one, purpose="cleared") for one in plans]
    assert render_many(news, [other, FACTS], ZH).title == "【高温报警】3 处 已消除"


def test_what_others_read_along_names_nobody_and_opens_nothing() -> None:
    """For a group chat: where and what, but not who lives there, and no link that acts as the person."""
    for to in (ZH, EN):
        text = render(PLANNED, FACTS, to).open_text
        for private in ("王秀英", "13800000000", "王强", "卧床", "82", "/a/"):
            assert private not in text
        for needed in ("501", "3栋", "建设路3号", "119"):
            assert needed in text
    assert "/a/" not in bare([PLANNED], ZH).open_text


def test_the_words_for_templates_are_all_there_and_none_is_empty() -> None:
    """A gap without a word would have the provider refuse the whole message."""
    nobody = replace(FACTS, residents=(), room=None, unit=None, building_name=None, address_known=False)
    for message in (render(PLANNED, FACTS, ZH), render(PLANNED, nobody, EN), bare([PLANNED], ZH)):
        assert set(message.words) == set(WORDS)
        assert all(message.words.values())
    told = render(PLANNED, FACTS, ZH).words
    assert told == {
        "kind": "烟雾报警",
        "home": "3栋 2单元 5层 501室",
        "place": "建设路3号 3栋 2单元 5层 501室 厨房",
        "building": "3栋",
        "unit": "2单元",
        "room": "501",
        "who": "王秀英，82 岁",
        "name": "王秀英",
        "bring": "卧床，带氧气瓶",
        "time": "03:09",
        "day": "03-02",
        "call": "1",
        "number": "7",
        "code": "AAAAAAAAAAAAAAAA",
        "answer": "不详",
    }
    assert render(PLANNED, nobody, ZH).words["home"] == "地址不明"
