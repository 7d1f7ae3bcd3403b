"""A text message back takes an alarm: of whom it is known, and when it is clear which."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from central.answering import Answering
from central.ending import end
from central.notifier.channels.aliyun import AliyunSms, SmsConfig
from central.notifier.fitting import Template
from tests.harness.provider_cases import ALIYUN_ALARM, KEY, aliyun_account, clock, fake_aliyun
from tests.harness.providers import reports
from tests.harness.pushing import TOKEN, provider_side
from tests.harness.sinks import sink
from tests.harness.town import batch, event, open_town, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind

OTHER = "13900000000"


async def test_a_reply_takes_the_alarm_it_means_and_is_answered(database: str, tmp_path: Path) -> None:
    """Two wait: it must say which. The second person is told who has it. A stranger is not heard."""
    town = await open_town(database)
    await town.do(
        "UPDATE contact SET channel = 'aliyun_sms', address = CASE worker WHEN 'primary' THEN '138 0000-0000'"
        f" WHEN 'backup' THEN '+86{OTHER}' ELSE worker END"
    )
    smoke = [event(n, EventKind.ASSERT, Condition.SMOKE, detector=f"det-{n}") for n in (1, 2)]
    await send(town, batch(smoke))
    async with sink() as cloud, provider_side(town.store, tmp_path, "aliyun_sms") as provider:
        fake = cloud.answer = fake_aliyun()
        fake.templates["SMS_2"] = {"answer"}
        account = aliyun_account(cloud.url.removesuffix("/messages"), KEY, 5.0)
        templates = {"alarm": ALIYUN_ALARM, "answer": Template("SMS_2", (("answer", "answer"),), 35)}
        sms = AliyunSms(SmsConfig(account, "街道消防", templates), clock)
        answers = asyncio.create_task(Answering(town.store, {"aliyun_sms": sms}, lambda _: None).run())
        first, second = (row["id"] for row in await town.rows("SELECT id FROM alarm ORDER BY id"))
        # The backup is told of the first one too.
        await town.do(
            "INSERT INTO delivery (key, alarm, purpose, round, step, worker, rank, channel, address, urgent,"
            " state, made_at, due_at) SELECT 'x', alarm, purpose, round, 1, 'backup', rank, channel, address,"
            " urgent, 'sent', made_at, due_at FROM delivery WHERE alarm = %s",
            first,
        )
        written = [
            ("1", reports.PHONE),
            ("1", "15500000000"),
            (f"收到 {second}", reports.PHONE),
            ("收到", OTHER),
            ("1", reports.PHONE),
            ("什么情况", reports.PHONE),
        ]
        for number, (text, sender) in enumerate(written):
            body = reports.aliyun_reply(text, f"90{number}", sender)
            assert (await provider.post(f"/callbacks/aliyun_sms/{TOKEN}", content=body)).status_code == 200
        await eventually(lambda: len(fake.taken) == 5, 10)
        await end([answers])
        await sms.close()
    taken = await town.rows("SELECT acknowledged_by FROM alarm ORDER BY id")
    assert [row["acknowledged_by"] for row in taken] == ["backup", "primary"]
    told = sorted((one["PhoneNumbers"], json.loads(one["TemplateParam"])["answer"]) for one in fake.taken)
    assert told == sorted(
        [
            (reports.PHONE, f"请回复1和编号：{first} 3栋 2单元 5层 501室，{second} 3栋 2单元 6层 601室"[:35]),
            (reports.PHONE, "3栋 2单元 6层 601室 已由您接警"),
            (OTHER, "3栋 2单元 5层 501室 已由您接警"),
            (reports.PHONE, f"都已有人接警：{first} 3栋 2单元 5层 501室，{second} 3栋 2单元 6层 601室"[:35]),
            (reports.PHONE, "没看懂。接警请回复1和编号："),
        ]
    )
    outcomes = await town.rows("SELECT outcome FROM receipt ORDER BY id")
    assert [row["outcome"] for row in outcomes] == [
        "which", "stranger", "taken", "taken", "others", "unclear",
    ]  # fmt: skip
    stored = await town.rows("SELECT (receipt.*)::text AS row FROM receipt")
    assert not any(reports.PHONE in row["row"] or "收到" in row["row"] for row in stored)
    await town.store.close()
