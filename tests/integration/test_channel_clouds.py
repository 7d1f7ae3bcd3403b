"""Text messages and calls through Aliyun and Tencent: the provider's own words for yes and no."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from central.notifier.channel import Channel, Message, Outcome, Rejected, Sent, TryLater
from tests.harness.channel_kit import message
from tests.harness.provider_cases import KEY, PHONE, PROVIDED
from tests.harness.providers import says
from tests.harness.sinks import Say, Sink, sink

CLOUDS = ["aliyun_sms", "aliyun_voice", "tencent_sms", "tencent_voice"]
WORDS = {"kind": "烟雾报警", "home": "3栋 501室", "building": "3栋", "time": "03:12", "code": "A" * 16}


@pytest.fixture
async def receiver() -> AsyncIterator[Sink]:
    async with sink() as made:
        yield made


def told(**changed: Any) -> Message:
    base = message()
    return Message(**{name: getattr(base, name) for name in base.__slots__} | {"words": WORDS} | changed)


async def send(
    receiver: Sink, name: str, answer: Say | None = None, sent: Message | None = None, address: str = PHONE
) -> tuple[Outcome, list[Any]]:
    fake = PROVIDED[name].fake()
    receiver.answer = fake if answer is None else lambda _: answer
    channel: Channel = PROVIDED[name].channel(receiver.url.removesuffix("/messages"), KEY, 5.0)
    try:
        return await channel.send(sent or told(), address), fake.taken
    finally:
        await channel.close()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("aliyun_sms", "900619746936498440^0"),
        ("aliyun_voice", "116012354148^10281378****"),
        ("tencent_sms", "5000:1045710669157053657849499619"),
        ("tencent_voice", "252bf4cc-1f9c-11eb"),
    ],
)
async def test_a_yes_brings_the_providers_own_number(receiver: Sink, name: str, number: str) -> None:
    """With it the provider can be asked what became of the message."""
    assert (await send(receiver, name))[0] == Sent(number)


async def test_the_template_and_its_words_are_what_is_sent(receiver: Sink) -> None:
    """No text of ours goes to the provider, only the gaps' words."""
    _, (sms,) = await send(receiver, "aliyun_sms")
    assert sms["PhoneNumbers"] == PHONE
    assert sms["TemplateCode"] == "SMS_1"
    assert json.loads(sms["TemplateParam"]) == {"kind": "烟雾报警", "home": "3栋 501室", "code": "A" * 16}
    _, (call,) = await send(receiver, "aliyun_voice")
    assert call["CalledNumber"] == PHONE
    assert "CalledShowNumber" not in call
    _, (sms,) = await send(receiver, "tencent_sms")
    assert sms["PhoneNumberSet"] == [f"+86{PHONE}"]
    assert sms["TemplateParamSet"] == ["烟雾报警", "3栋", "03:12"]
    _, (call,) = await send(receiver, "tencent_voice")
    assert call["CalledNumber"] == f"+86{PHONE}"
    assert call["VoiceSdkAppid"] == "1400006666"


@pytest.mark.parametrize("name", CLOUDS)
async def test_what_has_no_template_or_no_number_is_refused_without_asking(receiver: Sink, name: str) -> None:
    """The person's next channel is tried at once."""
    outcome, _ = await send(receiver, name, sent=told(purpose="closed"))
    assert isinstance(outcome, Rejected)
    assert f"[channels.{name}.templates]" in outcome.why
    outcome, _ = await send(receiver, name, address="wang@example.org")
    assert isinstance(outcome, Rejected)
    assert "wang" not in outcome.why
    assert not receiver.received


@pytest.mark.parametrize("name", CLOUDS)
async def test_a_word_that_is_missing_or_too_long_does_not_stop_the_message(
    receiver: Sink, name: str
) -> None:
    """It is cut, or a dash stands for it: the provider would refuse the whole."""
    words = {"kind": "烟雾报警" * 30, "home": "【长】" * 40 + "501室", "time": "03:12", "code": "A" * 16}
    outcome, taken = await send(receiver, name, sent=told(words=words))
    assert isinstance(outcome, Sent)
    assert len(taken) == 1


@pytest.mark.parametrize("name", ["aliyun_voice", "tencent_voice"])
async def test_nobody_is_called_at_night_for_a_battery(receiver: Sink, name: str) -> None:
    """Unless the owner wants it, calls are for smoke and heat; the person's next channel tells the rest."""
    outcome, _ = await send(receiver, name, sent=told(urgent=False))
    assert isinstance(outcome, Rejected)
    assert "not_urgent" in outcome.why
    assert not receiver.received


def inside(**content: Any) -> Say:
    return says({"Response": {"RequestId": "r", **content}})


def status(code: str) -> Say:
    return inside(SendStatusSet=[{"SerialNo": "5000:1", "Code": code, "Message": "m"}])


@pytest.mark.parametrize(
    ("name", "say", "kind", "after"),
    [
        ("aliyun_sms", says({"Code": "isv.DAY_LIMIT_CONTROL"}), TryLater, timedelta(hours=1)),
        ("aliyun_sms", says({"Code": "Throttling.User"}, 400), TryLater, timedelta(seconds=5)),
        ("aliyun_sms", says({"Code": "isv.SMS_TEMPLATE_ILLEGAL"}), TryLater, None),
        ("aliyun_sms", says({"Code": "isv.OUT_OF_SERVICE"}), TryLater, None),
        ("aliyun_sms", says({"Code": "isv.PARAM_LENGTH_LIMIT"}), Rejected, None),
        ("aliyun_sms", says({"Code": "OK", "BizId": "1"}, 502), TryLater, None),
        ("aliyun_sms", says({"BizId": "1"}), TryLater, None),
        ("aliyun_sms", says({"Code": "OK"}), Sent, None),
        ("aliyun_voice", says({"Code": "isv.COMPLAINT_REJECT"}), Rejected, None),
        (
            "tencent_sms",
            status("LimitExceeded.PhoneNumberThirtySecondLimit"),
            TryLater,
            timedelta(seconds=30),
        ),
        ("tencent_sms", status("LimitExceeded.PhoneNumberDailyLimit"), TryLater, timedelta(hours=1)),
        ("tencent_sms", status("FailedOperation.PhoneNumberInBlacklist"), Rejected, None),
        ("tencent_sms", status("FailedOperation.InsufficientBalanceInSmsPackage"), TryLater, None),
        ("tencent_sms", status("ok"), TryLater, None),
        ("tencent_sms", inside(SendStatusSet=[]), TryLater, None),
        ("tencent_sms", inside(), TryLater, None),
        ("tencent_sms", says({"Code": "Ok"}), TryLater, None),
        ("tencent_sms", inside(Error={"Code": "AuthFailure.SignatureExpire"}), TryLater, None),
        ("tencent_sms", inside(Error="?", SendStatusSet=[{"Code": "Ok"}]), TryLater, None),
        ("tencent_voice", inside(SendStatus={"CallId": ""}), TryLater, None),
        ("tencent_voice", inside(SendStatus=None), TryLater, None),
        ("tencent_voice", Say(503, b"", {"retry-after": "9"}), TryLater, timedelta(seconds=9)),
    ],
)
async def test_only_the_providers_word_for_yes_is_a_yes(
    receiver: Sink, name: str, say: Say, kind: type, after: timedelta | None
) -> None:
    """Every other answer has failed, for now or for good, whatever its status."""
    outcome, _ = await send(receiver, name, say)
    assert isinstance(outcome, kind), outcome
    if isinstance(outcome, TryLater):
        assert outcome.after == after


def test_homes_are_merged_into_one_sms_only_where_it_has_the_link() -> None:
    """Without the page behind it, the second home would be told to nobody."""
    linked = PROVIDED["aliyun_sms"].channel("http://127.0.0.1:1", KEY, 1.0)
    bare = PROVIDED["tencent_sms"].channel("http://127.0.0.1:1", KEY, 1.0)
    assert (linked.limits.homes, bare.limits.homes) == (20, 1)
    assert PROVIDED["aliyun_voice"].channel("http://127.0.0.1:1", KEY, 1.0).limits.call
