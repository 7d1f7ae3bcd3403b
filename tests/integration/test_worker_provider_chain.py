"""From an alarm through the worker to a provider and back to the page."""

from __future__ import annotations

import asyncio
import json

from central.config import WorkerSettings
from central.ending import end
from central.notifier.channels import aliyun, dingtalk
from central.notifier.reading import SignedGroup
from central.store.links import LinkState, find_link
from central.worker import Worker
from tests.harness.provider_cases import ALIYUN_ALARM, KEY, NOW, PHONE, aliyun_account, clock, fake_aliyun
from tests.harness.providers.dingtalk import DingTalkBots
from tests.harness.sinks import sink
from tests.harness.town import batch, event, open_town, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind


async def test_a_limited_group_gives_way_to_an_sms_whose_link_opens(database: str) -> None:
    """A 200 with a limit inside; the next contact gets the template, whose last word is the link."""
    town = await open_town(database)
    await town.do("DELETE FROM contact")
    await town.do("INSERT INTO contact SELECT id, 0, 'dingtalk', 'grid-1' FROM worker")
    await town.do(f"INSERT INTO contact SELECT id, 1, 'aliyun_sms', '{PHONE}' FROM worker")
    async with sink() as group, sink() as cloud:
        bots, sms = DingTalkBots("token", KEY, NOW), fake_aliyun()
        bots.error = (130101, "send too fast, exceed 20 times per minute")
        group.answer, cloud.answer = bots, sms
        group_url, cloud_url = (one.url.removesuffix("/messages") for one in (group, cloud))
        channels = {
            "dingtalk": dingtalk.DingTalk(
                dingtalk.DingTalkConfig({"grid-1": SignedGroup("token", KEY)}, group_url), clock
            ),
            "aliyun_sms": aliyun.AliyunSms(
                aliyun.SmsConfig(aliyun_account(cloud_url, KEY, 5.0), "街道消防", {"alarm": ALIYUN_ALARM}),
                clock,
            ),
        }
        task = asyncio.create_task(Worker(town.store, channels, WorkerSettings(), "https://x.cn").run())

        async def sent() -> bool:
            rows = await town.rows("SELECT channel, state FROM delivery ORDER BY id")
            return [(row["channel"], row["state"]) for row in rows] == [
                ("dingtalk", "pending"),
                ("aliyun_sms", "sent"),
            ]

        await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
        await eventually(sent, 10, "the group waits and the SMS is sent")
        await end([task])
        for channel in channels.values():
            await channel.close()
    words = json.loads(sms.taken[0]["TemplateParam"])
    assert (words["kind"], words["home"]) == ("烟雾报警", "3栋 2单元 5层 501室")
    async with town.store.transaction() as tx:
        link = await find_link(tx, words["code"])
    assert link is not None
    assert (link.worker, link.state) == ("primary", LinkState.GOOD)
    tries = await town.rows("SELECT outcome, provider_id FROM attempt ORDER BY delivery")
    assert [(row["outcome"], row["provider_id"]) for row in tries] == [
        ("rate_limited", None),
        ("sent", "900619746936498440^0"),
    ]
    await town.store.close()
