"""What a provider's error asks for, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from central.notifier.channel import Rejected, TryLater
from central.notifier.channels import aliyun, dingtalk, feishu, tencent
from central.notifier.posting import Codes

CODES = Codes({"45009": timedelta(seconds=60), "Limit*": timedelta(seconds=5)}, frozenset({"40058"}))


def test_a_code_that_nobody_knows_is_tried_again() -> None:
    """Only what is known to be final ends a fire's message."""
    assert isinstance(CODES.outcome(200, 12345, "new since last year"), TryLater)
    assert isinstance(CODES.outcome(200, None, None), TryLater)
    assert isinstance(CODES.outcome(502, "0", "a proxy's"), TryLater)
    assert isinstance(CODES.outcome(200, 40058, ""), Rejected)


def test_a_limit_has_its_own_patience() -> None:
    """By code, or by how the code begins."""
    for code, wanted in ((45009, 60), ("LimitExceeded.Daily", 5)):
        outcome = CODES.outcome(200, code, "")
        assert isinstance(outcome, TryLater)
        assert outcome.after == timedelta(seconds=wanted)


@settings(max_examples=50)
@given(st.text(max_size=400), st.text(max_size=120))
def test_nothing_long_or_private_is_said_of_an_error(words: str, code: str) -> None:
    """Providers quote telephone numbers and keys in what they complain of."""
    why = CODES.outcome(200, code, f"{words} 13800000000 73febdcb-1b38-4d1b-a994-790f21fc8d30").why
    assert "13800000000" not in why
    assert "73febdcb" not in why
    assert len(why) < 300
    assert "\n" not in why


def test_aliyun_signs_as_its_page_shows() -> None:
    """The example of the page on V3 signatures."""
    account = aliyun.Account("YourAccessKeyId", "YourAccessKeySecret", "https://ecs.cn-shanghai.aliyuncs.com")
    query = {
        "RegionId": "cn-shanghai",
        "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
    }
    at = datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC)
    signed = aliyun.sign(account, "RunInstances", "2014-05-26", query, at, "3156853299f313e23d1673dc12e1703d")
    assert signed.headers["Authorization"].endswith(
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


def test_tencent_signs_as_its_page_shows() -> None:
    """The example of the page on signature v3."""
    account = tencent.Account(
        "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE",
        "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
        "https://cvm.tencentcloudapi.com",
    )
    body = b'{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}'
    header = tencent.authorization(account, "cvm", body, datetime.fromtimestamp(1551113065, UTC))
    assert header == (
        "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request,"
        " SignedHeaders=content-type;host,"
        " Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"
    )


def test_the_bots_of_dingtalk_and_feishu_are_signed_the_other_way_round() -> None:
    """DingTalk keys with the secret and signs time and secret; Feishu keys with both and signs nothing."""
    assert feishu.signature("demo", "1599360473") == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="
    assert dingtalk.signature("demo", "1599360473") != feishu.signature("demo", "1599360473")
