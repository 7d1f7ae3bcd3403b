"""A text that did not arrive, or of which nothing is heard, goes out by the person's next channel."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from central.config import WorkerSettings
from central.ending import end
from central.notifier.channels.aliyun import AliyunSms, SmsConfig
from central.receipt_watch import ReceiptWatch
from central.worker import Worker
from tests.harness.provider_cases import ALIYUN_ALARM, KEY, PHONE, aliyun_account, clock, fake_aliyun
from tests.harness.providers import reports
from tests.harness.pushing import TOKEN, provider_side
from tests.harness.sinks import sink
from tests.harness.town import batch, event, open_town, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind


async def test_what_is_not_received_goes_out_by_the_next_channel(database: str, tmp_path: Path) -> None:
    """Received: no more. Failed: at once. Silence: after forty seconds, unless somebody has it by then."""
    town = await open_town(database)
    await town.do("DELETE FROM contact WHERE worker <> 'primary'")
    await town.do(f"UPDATE contact SET channel = 'aliyun_sms', address = '{PHONE}'")
    await town.do(
        "INSERT INTO contact VALUES ('primary', 1, 'wecom_app', 'li'), ('primary', 2, 'smtp', 'x@y')"
    )
    smoke = [
        event(1, EventKind.ASSERT, Condition.SMOKE),
        event(2, EventKind.ASSERT, Condition.SMOKE, detector="det-2"),
        event(3, EventKind.ASSERT, Condition.HEAT),
        event(4, EventKind.ASSERT, Condition.HEAT, detector="det-2"),
    ]

    async def ways() -> list[list[tuple[str, str]]]:
        """For each alarm, by what the person is told and what is known of its receipt."""
        rows = await town.rows("SELECT * FROM delivery WHERE step = 0 ORDER BY id")
        alarms = sorted({row["alarm"] for row in rows})
        return [[(row["channel"], row["receipt"]) for row in rows if row["alarm"] == one] for one in alarms]

    async with sink() as cloud, provider_side(town.store, tmp_path, "aliyun_sms") as provider:
        cloud.answer = fake_aliyun()
        account = aliyun_account(cloud.url.removesuffix("/messages"), KEY, 5.0)
        sms = AliyunSms(SmsConfig(account, "街道消防", {"alarm": ALIYUN_ALARM}), clock)
        waits = {"aliyun_sms": timedelta(seconds=40)}
        worker = Worker(town.store, {"aliyun_sms": sms}, WorkerSettings(), "https://x.cn", waits=waits)
        task = asyncio.create_task(worker.run())
        for n, one in enumerate(smoke, 1):
            town.time.forward(seconds=4)  # what one address bears
            await send(town, batch([one], oldest=n))

            async def sent(n: int = n) -> bool:
                return len(await town.rows("SELECT FROM attempt WHERE outcome = 'sent'")) == n

            await eventually(sent, 15)
        await end([task])
        await sms.close()
        rows = await town.rows("SELECT provider_id FROM attempt ORDER BY delivery")
        first, second, *_ = (row["provider_id"] for row in rows)

        address = f"/callbacks/aliyun_sms/{TOKEN}"
        await provider.post(address, content=reports.aliyun_sms(first))
        await provider.post(address, content=reports.aliyun_sms(first, success=False, code="LATE"))
        await provider.post(address, content=reports.aliyun_sms(second, success=False, code="OFF"))
        assert await ways() == [
            [("aliyun_sms", "received")],
            [("aliyun_sms", "failed"), ("wecom_app", "")],
            [("aliyun_sms", "")],
            [("aliyun_sms", "")],
        ]
        await town.do("UPDATE alarm SET acknowledged_at = now() WHERE id = (SELECT max(id) FROM alarm)")
        watch = asyncio.create_task(ReceiptWatch(town.store, lambda _: None).run())
        town.time.forward(seconds=41)

        async def silent() -> bool:
            return (await ways())[2:] == [
                [("aliyun_sms", "none"), ("wecom_app", "")],
                [("aliyun_sms", "none")],
            ]

        await eventually(silent, 5)
        await end([watch])
        assert (await ways())[:2] == [
            [("aliyun_sms", "received")],
            [("aliyun_sms", "failed"), ("wecom_app", "")],
        ]
    lines = await town.rows("SELECT reason, detail FROM alarm_log WHERE what = 'not_received' ORDER BY id")
    said = {"worker": "primary", "channel": "aliyun_sms", "instead": "wecom_app"}
    assert [(line["reason"], line["detail"]) for line in lines] == [
        ("not_received", {**said, "code": "OFF"}),
        ("no_receipt", said),
    ]
    await town.store.close()
