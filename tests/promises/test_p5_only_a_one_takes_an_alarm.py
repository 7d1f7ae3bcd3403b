"""A press of 1 during a call takes the alarm that the call named; whatever else comes changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from central.config import WorkerSettings
from central.ending import end
from central.notifier.channels.aliyun import AliyunVoice, VoiceConfig
from central.store import audit
from central.worker import Worker
from tests.harness.provider_cases import ALIYUN_ALARM, KEY, PHONE, aliyun_account, clock, fake_aliyun
from tests.harness.providers import reports
from tests.harness.pushing import TOKEN, provider_side
from tests.harness.sinks import sink
from tests.harness.town import batch, event, open_town, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind

ADDRESS = f"/callbacks/aliyun_voice/{TOKEN}"


async def test_a_press_of_one_takes_the_alarm_that_the_call_named(database: str, tmp_path: Path) -> None:
    """Not by a forger, not by another key or a mere answer, not a second time, not in a later round."""
    town = await open_town(database)
    await town.do(
        f"UPDATE contact SET channel = 'aliyun_voice', address = '{PHONE}' WHERE worker = 'primary'"
    )
    async with sink() as cloud, provider_side(town.store, tmp_path, "aliyun_voice") as provider:
        calls = cloud.answer = fake_aliyun()
        account = aliyun_account(cloud.url.removesuffix("/messages"), KEY, 5.0)
        voice = AliyunVoice(VoiceConfig(account, {"alarm": ALIYUN_ALARM}, "05710000", thanks="TTS_9"), clock)
        task = asyncio.create_task(
            Worker(town.store, {"aliyun_voice": voice}, WorkerSettings(), "https://x.cn").run()
        )

        async def call() -> str:
            rows = await town.rows("SELECT provider_id FROM attempt WHERE outcome = 'sent'")
            return str(rows[-1]["provider_id"]) if rows else ""

        smoke = [event(n, EventKind.ASSERT, Condition.SMOKE, detector=f"det-{n}") for n in (1, 2)]
        await send(town, batch(smoke[:1]))
        await eventually(call, 10)
        await send(town, batch(smoke[1:], oldest=2))
        name = await call()
        await end([task])
        await voice.close()
        assert calls.taken[0]["MenuKeyMap.1.Code"] == "TTS_9"

        async def told(body: bytes, address: str = ADDRESS) -> int:
            return (await provider.post(address, content=body)).status_code

        async def takers() -> list[str | None]:
            return [row["acknowledged_by"] for row in await town.rows("SELECT * FROM alarm ORDER BY id")]

        pressed = reports.aliyun_key(name, "1")
        assert await told(pressed, "/callbacks/aliyun_voice/t0ken-that-somebody-guesses") == 404
        assert await told(pressed, f"/callbacks/webhook/{TOKEN}") == 404
        assert await told(b"[{]") == 400
        assert await told(reports.aliyun_key(name, "2")) == 200
        assert await told(reports.aliyun_call(name, "200001")) == 200
        assert await told(reports.aliyun_key("116^nobody", "1")) == 200
        assert await takers() == [None, None]

        answer = await provider.post(ADDRESS, content=pressed)
        assert answer.json() == {"code": 0, "msg": "OK"}
        assert await takers() == ["primary", None]
        assert await told(reports.aliyun_call(name, "200000", "1")) == 200
        (line,) = await town.rows("SELECT * FROM alarm_log WHERE what = 'acknowledged'")
        assert (line["who"], line["from_where"]) == ("primary", "key 1, aliyun_voice")

        await send(town, batch([event(3, EventKind.CLEAR, Condition.SMOKE)], oldest=3))
        await send(town, batch([event(4, EventKind.ASSERT, Condition.SMOKE)], oldest=4))
        assert await told(pressed) == 200
        assert await told(reports.aliyun_key(name, "11")) == 200
        assert await takers() == [None, None]

    outcomes = await town.rows("SELECT once, outcome, times FROM receipt ORDER BY id")
    assert [(row["once"].replace(name, "*"), row["outcome"], row["times"]) for row in outcomes] == [
        ("pressed:*:2", "nothing", 1),
        ("answered:*:200001", "nothing", 1),
        ("pressed:116^nobody:1", "unknown", 2),
        ("pressed:*:1", "taken", 3),
        ("answered:*:200000", "nothing", 1),
        ("pressed:*:11", "nothing", 1),
    ]
    async with town.store.transaction() as tx:
        (forged,) = await audit.about(tx, "channel:aliyun_voice")
    assert (forged["action"], forged["from_where"]) == ("callback_refused", "203.0.113.9")
    await town.store.close()
