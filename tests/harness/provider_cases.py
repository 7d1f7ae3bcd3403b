"""The channels with a provider behind them, each provider put into every situation of the kit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from central.notifier.channel import Channel
from central.notifier.channels import aliyun, dingtalk, feishu, tencent, wecom_app, wecom_bot
from central.notifier.fitting import Template
from central.notifier.reading import SignedGroup
from tests.harness.channel_kit import Case, Situation
from tests.harness.providers.aliyun import Aliyun
from tests.harness.providers.dingtalk import DingTalkBots
from tests.harness.providers.feishu import FeishuBots
from tests.harness.providers.tencent import Tencent
from tests.harness.providers.wecom import WecomApps, WecomBots
from tests.harness.sinks import Say, sink

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
KEY = "s3cret-of-the-provider-0123456789"
PHONE = "13800000000"
_IMPATIENT_S = 0.15


def clock() -> datetime:
    return NOW


ALIYUN_ALARM = Template("SMS_1", (("kind", "kind"), ("home", "home"), ("code", "code")), 35)
TENCENT_ALARM = Template("1110", (("1", "kind"), ("2", "building"), ("3", "time")), 6)


def aliyun_account(url: str, key: str, timeout_s: float) -> aliyun.Account:
    return aliyun.Account("LTAI-id", key, url, timeout_s)


def tencent_account(url: str, key: str, timeout_s: float) -> tencent.Account:
    return tencent.Account("AKID-id", key, url, timeout_s=timeout_s)


def fake_aliyun() -> Aliyun:
    return Aliyun("LTAI-id", KEY, NOW, {"SMS_1": {"kind", "home", "code"}})


def fake_tencent() -> Tencent:
    return Tencent("AKID-id", KEY, NOW, {"1110": 3})


@dataclass(frozen=True)
class Provided:
    """A channel and its fake provider."""

    fake: Callable[[], Any]
    channel: Callable[[str, str, float], Channel]
    """From the provider's address, the key and the timeout."""
    address: str
    errors: dict[Situation, tuple[Any, Any]]
    """What the provider says in `refusing`, `failing` and `busy`."""

    @asynccontextmanager
    async def __call__(self, situation: Situation) -> AsyncIterator[Channel]:
        async with sink() as receiver:
            never, fake = asyncio.Event(), self.fake()
            fake.error = self.errors.get(situation)
            says = {
                "slow": Say(wait=never),
                "garbage": Say(raw=b"\x00\xff\x16\x03 not http\r\n\r\n"),
                "cut": Say(raw=b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"errcode": 0'),
                "html": Say(body=b"<html>sign in to the wifi</html>"),
                "huge": Say(body=b'{"errcode": 0, "Code": "OK", "code": 0, "x": "' + b"x" * 70_000 + b'"}'),
            }
            say = says.get(situation)
            receiver.answer = fake if say is None else lambda _: say
            url = receiver.url.removesuffix("/messages")
            if situation == "down":
                await receiver.stop()
            yield self.channel(
                url,
                "another-key-than-the-provider-knows" if situation == "unproven" else KEY,
                _IMPATIENT_S if situation == "slow" else 5.0,
            )
            never.set()
            if situation == "good":
                assert len(fake.taken) == 1
            elif situation != "hostile text":
                assert not fake.taken


PROVIDED = {
    "wecom_bot": Provided(
        lambda: WecomBots({KEY}),
        lambda url, key, s: wecom_bot.WecomBot(
            wecom_bot.WecomBotConfig({"grid-1": wecom_bot.Group(key)}, url, s), clock
        ),
        f"grid-1/{PHONE}",
        {
            "refusing": (40058, f"invalid Request Parameter, {PHONE}"),
            "failing": (93004, "机器人被停用"),
            "busy": (45009, "api freq out of limit"),
        },
    ),
    "wecom_app": Provided(
        lambda: WecomApps("ww-corp", KEY, 1000002, NOW),
        lambda url, key, s: wecom_app.WecomApp(
            wecom_app.WecomAppConfig("ww-corp", 1000002, key, url, s), clock
        ),
        "wang",
        {
            "refusing": (81013, "user & party & tag all invalid"),
            "failing": (-1, "system busy"),
            "busy": (45009, "api freq out of limit"),
        },
    ),
    "dingtalk": Provided(
        lambda: DingTalkBots("t0ken-of-the-bot-0123456789", KEY, NOW),
        lambda url, key, s: dingtalk.DingTalk(
            dingtalk.DingTalkConfig({"grid-1": SignedGroup("t0ken-of-the-bot-0123456789", key)}, url, s),
            clock,
        ),
        f"grid-1/{PHONE}",
        {
            "refusing": (430104, "不合适的内容"),
            "failing": (-1, "系统繁忙"),
            "busy": (130101, "send too fast, exceed 20 times per minute"),
        },
    ),
    "feishu": Provided(
        lambda: FeishuBots("t0ken-of-the-bot-0123456789", KEY, NOW),
        lambda url, key, s: feishu.Feishu(
            feishu.FeishuConfig({"grid-1": SignedGroup("t0ken-of-the-bot-0123456789", key)}, url, s), clock
        ),
        "grid-1/ou_18eac85d35a26",
        {"failing": (19024, "Key Words Not Found"), "busy": (11232, "frequency limited psm")},
    ),
    "aliyun_sms": Provided(
        fake_aliyun,
        lambda url, key, s: aliyun.AliyunSms(
            aliyun.SmsConfig(aliyun_account(url, key, s), "街道消防", {"alarm": ALIYUN_ALARM}), clock
        ),
        PHONE,
        {
            "refusing": ("isv.MOBILE_NUMBER_ILLEGAL", f"{PHONE}invalid mobile number"),
            "failing": ("isv.AMOUNT_NOT_ENOUGH", "账户余额不足"),
            "busy": ("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1"),
        },
    ),
    "aliyun_voice": Provided(
        fake_aliyun,
        lambda url, key, s: aliyun.AliyunVoice(
            aliyun.VoiceConfig(aliyun_account(url, key, s), {"alarm": ALIYUN_ALARM}), clock
        ),
        PHONE,
        {
            "refusing": ("isv.MOBILE_NUMBER_ILLEGAL", "号码格式非法"),
            "failing": ("isv.VOICE_CALL_FAIL", "呼叫发起失败"),
            "busy": ("isv.BUSINESS_LIMIT_CONTROL", "触发业务流控限制"),
        },
    ),
    "tencent_sms": Provided(
        fake_tencent,
        lambda url, key, s: tencent.TencentSms(
            tencent.TencentConfig(
                tencent_account(url, key, s), "1400006666", {"alarm": TENCENT_ALARM}, "街道消防"
            ),
            clock,
        ),
        PHONE,
        {
            "refusing": ("FailedOperation.ContainSensitiveWord", "contains sensitive words"),
            "failing": ("InternalError", "internal error"),
            "busy": ("RequestLimitExceeded", "your request has exceeded the frequency limit"),
        },
    ),
    "tencent_voice": Provided(
        fake_tencent,
        lambda url, key, s: tencent.TencentVoice(
            tencent.TencentConfig(tencent_account(url, key, s), "1400006666", {"alarm": TENCENT_ALARM}), clock
        ),
        PHONE,
        {
            "refusing": ("InvalidParameterValue.CalledNumberVerifyFail", f"{PHONE} 格式校验失败"),
            "failing": ("UnauthorizedOperation.ServiceSuspendDueToArrears", "欠费"),
            "busy": ("LimitExceeded.DeliveryFrequencyLimit", "命中频率限制策略"),
        },
    ),
}

PROVIDER_CASES = {
    name: Case(
        one,
        one.address,
        secrets=(KEY, PHONE, "t0ken-of-the-bot", "127.0.0.1"),
        # Nothing that Feishu says means "never": see the channel.
        cannot=frozenset({"refusing"}) if name == "feishu" else frozenset(),
    )
    for name, one in PROVIDED.items()
}
