"""What providers push, as their pages show it, and what else may come to the same address."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wire.webhook
from central.config import ConfigError, read_settings
from central.notifier.callbacks import KINDS, Callback, aliyun, read_callbacks, tencent, waits, webhook
from central.notifier.told import How, Pressed, Reply, Status, Told, Unreadable
from tests.harness.providers import reports

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
TOKEN = "t0ken-that-nobody-can-guess"
GOOD = '[database]\ndsn = "x"\n[broker]\nhost = "b"\n'
CALLED = "13000^116"


@pytest.mark.parametrize(
    ("read", "body", "said"),
    [
        (aliyun.sms, reports.aliyun_sms("9^0"), [Status("9^0", How.RECEIVED, "DELIVERED")]),
        (
            aliyun.sms,
            reports.aliyun_sms("9^0", success=False, code="MOBILE_NOT_ON_SERVICE"),
            [Status("9^0", How.FAILED, "MOBILE_NOT_ON_SERVICE")],
        ),
        (aliyun.voice, reports.aliyun_key(CALLED, "1"), [Pressed(CALLED, "1")]),
        (aliyun.voice, reports.aliyun_call(CALLED, "200000"), [Status(CALLED, How.ANSWERED, "200000")]),
        (
            aliyun.voice,
            reports.aliyun_call(CALLED, "200000", "1"),
            [Pressed(CALLED, "1"), Status(CALLED, How.ANSWERED, "200000")],
        ),
        (aliyun.voice, reports.aliyun_call(CALLED, "200003", "1"), [Pressed(CALLED, "1")]),
        (aliyun.voice, reports.aliyun_call(CALLED, "200002"), [Status(CALLED, How.FAILED, "200002")]),
        (aliyun.voice, reports.aliyun_call(CALLED, "299999"), [Status(CALLED, How.FAILED, "299999")]),
        (aliyun.voice, reports.aliyun_call(CALLED, "200102"), []),
        (tencent.sms, reports.tencent_sms("s-1"), [Status("s-1", How.RECEIVED, "DELIVRD")]),
        (tencent.sms, reports.tencent_sms("s-1", "FAIL", "MK:0001"), [Status("s-1", How.FAILED, "MK:0001")]),
        (tencent.voice, reports.tencent_key("c-1", "2"), [Pressed("c-1", "2")]),
        (tencent.voice, reports.tencent_call("c-1", "0"), [Status("c-1", How.ANSWERED, "0")]),
        (tencent.voice, reports.tencent_call("c-1", "1"), [Status("c-1", How.FAILED, "1")]),
        (tencent.voice, reports.tencent_failure("c-1", 8), [Status("c-1", How.FAILED, "8")]),
        (aliyun.sms, reports.aliyun_reply("收到 12"), [Reply(reports.PHONE, "收到 12", "reply:1234567890")]),
        (
            webhook.read,
            b'{"id": "in-1", "what": "reply", "from": "+8613800000000", "text": " 1\\n"}',
            [Reply("+8613800000000", "1", "reply:in-1")],
        ),
        (webhook.read, b'{"id": "m-1", "what": "received"}', [Status("m-1", How.RECEIVED)]),
        (webhook.read, b'[{"id": 7, "what": "pressed", "keys": "1#"}]', [Pressed("7", "1#")]),
    ],
)
def test_a_report_is_read_as_the_providers_page_shows_it(
    read: Callable[[bytes], list[Told]], body: bytes, said: list[Told]
) -> None:
    """An unknown code of a call is a failure: then the next channel is tried."""
    assert read(body) == said


def test_only_ones_take_an_alarm() -> None:
    """A person who presses twice means it; another key means something else."""
    keys = ["1", "11", "1#", "2", "12", "#", "1*", "一"]
    assert [key for key in keys if Pressed("c", key).takes] == ["1", "11", "1#"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[1]",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b"[" + b"{}," * 1000 + b"{}]",
        b" " * 256_001,
        b'[{"biz_id": {}, "call_id": {}, "sid": {}, "id": {}, "success": true, "what": "received"}]',
        json.dumps({"call_id": "x" * 201, "id": "x" * 201, "biz_id": "x" * 201, "sid": "\x00"}).encode(),
        json.dumps({"call_id": "\ud800", "id": "\ud800", "biz_id": "\ud800", "sid": "\ud800"}).encode(),
        b'{"voicekey_callback": []}',
        b'{"id": "m", "what": "seen"}',
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_in_the_providers_form_is_refused(kind: str, body: bytes) -> None:
    """Nothing of it is quoted."""
    with pytest.raises(Unreadable) as refused:
        KINDS[kind].read(body)
    assert "xxx" not in str(refused.value)


@given(
    st.sampled_from(sorted(KINDS)),
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["call_id", "status_code", "dtmf", "sid", "success", "voicekey_callback"]),
                inner,
            )
        ),
        max_leaves=8,
    ).map(lambda content: json.dumps(content).encode()),
)
def test_anything_at_all_is_read_or_refused(kind: str, body: bytes) -> None:
    """No other exception."""
    try:
        told = KINDS[kind].read(body)
    except Unreadable:
        return
    assert all(0 < len(one.once) < 700 for one in told)


def test_a_reply_without_a_name_of_its_own_counts_once_and_does_not_show_the_number() -> None:
    """Tencent gives its replies none."""
    (one,), (again,) = (tencent.sms(reports.tencent_reply("1")) for _ in range(2))
    (other,) = tencent.sms(reports.tencent_reply("1", at=1457336870))
    assert isinstance(one, Reply)
    assert (one.number, one.text) == (f"+86{reports.PHONE}", "1")
    assert one.once == again.once != other.once
    assert reports.PHONE not in one.once + repr(one)


def signed(body: bytes, at: datetime, secret: bytes = b"shared", key: str = "r-1") -> dict[str, str]:
    headers = wire.webhook.headers(secret, str(int(at.timestamp())), key, body)
    return {name.lower(): value for name, value in headers.items()}


def test_a_receiver_is_believed_by_its_signature_for_five_minutes() -> None:
    """Another secret, another body, an old or a missing stamp are not."""
    body = b'{"id": "m-1", "what": "received"}'
    good = signed(body, NOW)
    assert webhook.genuine(b"shared", good, body, NOW + timedelta(minutes=4))
    assert not webhook.genuine(b"shared", good, body, NOW + timedelta(minutes=6))
    assert not webhook.genuine(b"shared", good, body, NOW - timedelta(minutes=6))
    assert not webhook.genuine(b"shared", good, body + b" ", NOW)
    assert not webhook.genuine(b"other", good, body, NOW)
    assert not webhook.genuine(b"shared", {}, body, NOW)
    for name, wrong in [
        ("x-smokewatch-timestamp", "９"),
        ("x-smokewatch-signature", "é"),
        ("idempotency-key", ""),
    ]:
        assert not webhook.genuine(b"shared", good | {name: wrong}, body, NOW)


def callbacks(tmp_path: Path, text: str) -> dict[str, Callback]:
    path = tmp_path / "central.toml"
    path.write_text(GOOD + text, "utf-8")
    return read_callbacks(read_settings(path, {}))


def test_a_channel_waits_for_receipts_only_where_its_callback_says_that_they_come(tmp_path: Path) -> None:
    """Forty seconds for calls and texts, fifteen for a webhook; none where no key can be heard."""
    (tmp_path / "token").write_text(TOKEN)
    made = callbacks(
        tmp_path,
        '[channels.aliyun_voice]\nthanks = "TTS_1"\n[channels.aliyun_voice.callback]\ntoken_file = "token"\n'
        f'[channels.mute]\nkind = "aliyun_voice"\n[channels.mute.callback]\ntoken = "{TOKEN}"\n'
        f'[channels.text]\nkind = "tencent_sms"\n[channels.text.callback]\n'
        f'token = "{TOKEN}"\nreceipts = false\n'
        '[channels.webhook.callback]\nsecret = "shared"\n[channels.console]\n',
    )
    assert waits(made) == {"aliyun_voice": timedelta(seconds=40), "webhook": timedelta(seconds=15)}
    assert made["text"].genuine(TOKEN, {}, b"", NOW)
    assert not made["text"].genuine(TOKEN[:-1], {}, b"", NOW)
    assert not made["webhook"].genuine("shared", {}, b"", NOW)
    assert TOKEN not in repr(made)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f'[channels.dingtalk.callback]\ntoken = "{TOKEN}"\n',
            "dingtalk tells nobody what became of a message",
        ),
        ('[channels.aliyun_sms]\ncallback = "x"\n', "channels.aliyun_sms.callback is no table"),
        ('[channels.aliyun_sms.callback]\ntokn = "x"\n', "did you mean 'token'"),
        ("[channels.aliyun_sms.callback]\n", "channels.aliyun_sms.callback.token is missing"),
        ('[channels.aliyun_sms.callback]\ntoken = "short"\n', "24 to 128 letters"),
        ('[channels.webhook.callback]\ntoken = "x"\n', "channels.webhook.callback.token: unknown key"),
    ],
)
def test_a_callback_that_cannot_work_is_refused_with_its_mend(tmp_path: Path, text: str, said: str) -> None:
    """And no secret is in what is said."""
    with pytest.raises(ConfigError) as refused:
        callbacks(tmp_path, text)
    assert said in str(refused.value)
    assert TOKEN not in str(refused.value)
