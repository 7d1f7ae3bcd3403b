"""The webhook's contract with its receiver (docs/reference/webhook.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from central.notifier.channel import Outcome, Rejected, Sent, TryLater
from central.notifier.channels.webhook import Webhook, WebhookConfig
from tests.harness.channel_kit import message
from tests.harness.sinks import SECRET, Say, Sink, sink

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
async def receiver() -> AsyncIterator[Sink]:
    async with sink() as made:
        yield made


async def post(receiver: Sink, say: Say | None = None) -> Outcome:
    receiver.answer = lambda _: say or Say()
    channel = Webhook(WebhookConfig(receiver.url, SECRET.encode(), 2.0), lambda: NOW)
    try:
        return await channel.send(message(), "13800000000")
    finally:
        await channel.close()


async def test_the_receiver_gets_all_it_needs_and_can_prove_where_it_came_from(receiver: Sink) -> None:
    """Body, key, time and signature."""
    assert await post(receiver) == Sent()
    (got,) = receiver.received
    assert got.signed
    assert got.headers["x-smokewatch-timestamp"] == str(int(NOW.timestamp()))
    assert got.key == "7:alarm:1:0:w-1:test"
    assert got.body == {
        "id": "7:alarm:1:0:w-1:test",
        "to": "13800000000",
        "title": "【烟雾报警】3栋 501室",
        "text": "地点：建设路3号 3栋 501室",
        "link": "https://fire.example/a/AAAAAAAAAAAAAAAA",
        "language": "zh",
        "alarm": 7,
        "alarms": [7],
        "purpose": "alarm",
        "urgent": True,
    }


@pytest.mark.parametrize(
    ("say", "wanted"),
    [
        (Say(body=b'{"ok": true, "id": "m-1"}'), Sent("m-1")),
        (Say(body=b'{"ok": true, "id": 12}'), Sent("12")),
        (Say(body=b""), Sent()),
        (Say(status=204, body=b""), Sent()),
        (Say(body=b'{"errcode": 0, "errmsg": "ok"}'), Sent()),
    ],
)
async def test_a_yes_is_a_yes(receiver: Sink, say: Say, wanted: Outcome) -> None:
    """2xx with `ok`, with error code 0, or empty."""
    assert await post(receiver, say) == wanted


@pytest.mark.parametrize(
    ("say", "kind", "word"),
    [
        (Say(body=b'{"ok": false, "error": "unknown number"}'), Rejected, "unknown number"),
        (Say(body=b'{"errcode": 310000, "errmsg": "sign not match"}'), Rejected, "310000"),
        (Say(body=b'{"errcode": 45009}'), Rejected, "45009"),
        (Say(body=b'{"code": 19024, "msg": "Key Words Not Found"}'), Rejected, "Key Words"),
        (Say(body=b'{"ok": false, "retry": true}'), TryLater, "failed"),
        (Say(body=b"<html>welcome to the hotel wifi</html>"), TryLater, "JSON"),
        (Say(body=b"[" * 5000), TryLater, "JSON"),
        (Say(body=b"{}"), TryLater, "ok"),
        (Say(body=b"x" * 70_000), TryLater, "bytes"),
        (Say(status=302, body=b"", headers={"location": "http://127.0.0.1:1/"}), Rejected, "302"),
        (Say(status=400, body=b"no"), Rejected, "400"),
        (Say(status=503, body=b"no"), TryLater, "503"),
    ],
)
async def test_a_200_that_is_none_has_failed(receiver: Sink, say: Say, kind: type, word: str) -> None:
    """An error inside a success, an answer of somebody else, one too long, and plain refusals."""
    outcome = await post(receiver, say)
    assert isinstance(outcome, kind)
    assert isinstance(outcome, Rejected | TryLater)
    assert word in outcome.why
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("value", "after"),
    [
        ("7", timedelta(seconds=7)),
        ("Sun, 01 Mar 2026 03:00:30 GMT", timedelta(seconds=30)),
        ("soon", timedelta(seconds=5)),
        ("9" * 30, timedelta(days=1)),
    ],
)
async def test_a_receiver_that_asks_for_patience_is_heard(
    receiver: Sink, value: str, after: timedelta
) -> None:
    """429 with Retry-After as seconds, as a date, or as nonsense."""
    outcome = await post(receiver, Say(status=429, body=b"", headers={"retry-after": value}))
    assert isinstance(outcome, TryLater)
    assert outcome.after == after
