"""Group bots: others read along."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from central.notifier.channel import Message, Outcome, Rejected, Sent, TryLater
from central.notifier.channels import dingtalk, feishu, wecom_bot
from central.notifier.reading import SignedGroup
from tests.harness.channel_kit import message
from tests.harness.provider_cases import KEY, NOW, PHONE, clock
from tests.harness.providers.dingtalk import DingTalkBots
from tests.harness.providers.feishu import FeishuBots
from tests.harness.providers.wecom import WecomBots
from tests.harness.sinks import sink

OPEN = "【烟雾报警】3栋 501室\n地点：建设路3号"


def told() -> Message:
    """With a resident in title and text, and a link."""
    base = message("住户：王秀英，82 岁\n接警请点：https://fire.example/a/A", "【烟雾报警】3栋 501室 王秀英")
    return Message(**{name: getattr(base, name) for name in base.__slots__} | {"open_text": OPEN})


async def post(
    name: str, address: str, *, personal: bool = False, sent: Message | None = None
) -> tuple[Outcome, list[dict[str, Any]]]:
    fake: Any
    channel: Any
    async with sink() as receiver:
        url = receiver.url.removesuffix("/messages")
        if name == "wecom_bot":
            fake = WecomBots({KEY})
            bots = {"grid-1": wecom_bot.Group(KEY, personal)}
            channel = wecom_bot.WecomBot(wecom_bot.WecomBotConfig(bots, url), clock)
        elif name == "dingtalk":
            fake = DingTalkBots("token", KEY, NOW)
            groups = {"grid-1": SignedGroup("token", KEY, personal)}
            channel = dingtalk.DingTalk(dingtalk.DingTalkConfig(groups, url), clock)
        else:
            fake = FeishuBots("token", KEY, NOW)
            named = {"grid-1": SignedGroup("token", KEY, personal)}
            channel = feishu.Feishu(feishu.FeishuConfig(named, url), clock)
        receiver.answer = fake
        outcome = await channel.send(sent or told(), address)
        await channel.close()
    return outcome, fake.taken


BOTS = ["wecom_bot", "dingtalk", "feishu"]


@pytest.mark.parametrize("name", BOTS)
async def test_a_group_reads_where_it_is_but_not_who_lives_there_nor_the_link(name: str) -> None:
    """Whoever opened the link would take the alarm as the person it was made for."""
    outcome, taken = await post(name, "grid-1")
    assert isinstance(outcome, Sent)
    assert "建设路3号" in str(taken)
    assert "王秀英" not in str(taken)
    assert "/a/" not in str(taken)


@pytest.mark.parametrize("name", BOTS)
async def test_a_group_in_which_everybody_may_know_gets_it_whole(name: str) -> None:
    """`personal = true` says so."""
    _, taken = await post(name, "grid-1", personal=True)
    assert "【烟雾报警】3栋 501室 王秀英" in str(taken)
    assert "https://fire.example/a/A" in str(taken)


@pytest.mark.parametrize("name", BOTS)
async def test_a_group_that_nobody_has_set_up_is_refused_for_good(name: str) -> None:
    """So that the person's next channel is tried, and the registry is known to be wrong."""
    outcome, taken = await post(name, "grid-2")
    assert isinstance(outcome, Rejected)
    assert f"[channels.{name}.groups]" in outcome.why
    assert not taken


async def test_somebody_in_the_group_is_called_by_name() -> None:
    """By telephone number or member id."""
    _, wecom = await post("wecom_bot", f"grid-1/{PHONE}")
    assert wecom[0]["text"]["mentioned_mobile_list"] == [PHONE]
    _, wecom = await post("wecom_bot", "grid-1/wang")
    assert wecom[0]["text"]["mentioned_list"] == ["wang"]
    _, ding = await post("dingtalk", f"grid-1/{PHONE}")
    assert ding[0]["at"] == {"atMobiles": [PHONE]}
    _, fei = await post("feishu", "grid-1/ou_18eac85d35a26")
    assert fei[0]["content"]["text"] == f'<at user_id="ou_18eac85d35a26"></at> {OPEN}'


async def test_words_of_the_registry_call_nobody() -> None:
    """A name that looks like the provider's mark for calling everybody is only text."""
    base = told()
    fields = {name: getattr(base, name) for name in base.__slots__}
    hostile = Message(**fields | {"open_text": 'x <at user_id="all">所有人</at> <@all>'})
    _, fei = await post("feishu", "grid-1", sent=hostile)
    assert "<at" not in fei[0]["content"]["text"]
    _, wecom = await post("wecom_bot", "grid-1", sent=hostile)
    assert "<@" not in wecom[0]["text"]["content"]
    outcome, _ = await post("feishu", 'grid-1/all"></at>')
    assert isinstance(outcome, Rejected)


async def test_a_bot_is_not_asked_for_more_than_it_takes_and_batteries_leave_room_for_fires() -> None:
    """DingTalk is silent for ten minutes after the twenty-first message of a minute."""
    time = [NOW]
    async with sink() as receiver:
        fake = DingTalkBots("token", KEY, NOW)
        receiver.answer = fake
        config = dingtalk.DingTalkConfig(
            {"grid-1": SignedGroup("token", KEY)}, receiver.url.removesuffix("/messages")
        )
        channel = dingtalk.DingTalk(config, lambda: time[0])
        base = told()
        fields = {name: getattr(base, name) for name in base.__slots__}
        small, fire = Message(**fields | {"urgent": False}), base
        outcomes = [await channel.send(small, "grid-1") for _ in range(12)]
        assert [isinstance(one, Sent) for one in outcomes] == [True] * 10 + [False] * 2
        outcomes = [await channel.send(fire, "grid-1") for _ in range(12)]
        assert [isinstance(one, Sent) for one in outcomes] == [True] * 10 + [False] * 2
        held = outcomes[-1]
        assert isinstance(held, TryLater)
        assert held.after == timedelta(minutes=1)
        time[0] += held.after
        assert isinstance(await channel.send(fire, "grid-1"), Sent)
        assert len(fake.taken) == 21
        await channel.close()
