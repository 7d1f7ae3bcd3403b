"""Every channel there is passes the conformance kit, against real sockets."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from central.notifier.channel import Channel, Message, Sent, TryLater
from central.notifier.channels import BUILDERS
from central.notifier.channels.apprise import Apprise, AppriseConfig, Target
from central.notifier.channels.console import Console, ConsoleConfig
from central.notifier.channels.gsm import Gsm, GsmConfig
from central.notifier.channels.smtp import Smtp, SmtpConfig
from central.notifier.channels.webhook import Webhook, WebhookConfig
from simulator.parts.ports import free_port
from tests.harness.channel_kit import SITUATIONS, Case, Situation, check, message
from tests.harness.modem import Manners, PtyModem
from tests.harness.provider_cases import PROVIDER_CASES
from tests.harness.sinks import SECRET, Say, sink

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
TIMEOUT_S = 0.5


@asynccontextmanager
async def _console(situation: Situation) -> AsyncIterator[Channel]:
    out = io.StringIO()
    if situation in {"down", "failing", "garbage", "cut"}:
        out.close()
    yield Console(ConsoleConfig(), out)


@asynccontextmanager
async def _webhook(situation: Situation) -> AsyncIterator[Channel]:
    async with sink() as receiver:
        never = asyncio.Event()
        says = {
            "refusing": Say(status=410, body=b"gone"),
            "failing": Say(status=500, body=b"oops"),
            "slow": Say(wait=never),
            "busy": Say(status=429, body=b"", headers={"retry-after": "7"}),
            "html": Say(body=b"<html>sign in to the wifi</html>"),
            "huge": Say(body=b'{"ok": true, "id": "' + b"x" * 70_000 + b'"}'),
            "garbage": Say(raw=b"\x00\xff\x16\x03 not http\r\n\r\n"),
            "cut": Say(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
        }
        receiver.answer = lambda _: says.get(situation, Say())
        url = receiver.url
        if situation == "down":
            await receiver.stop()
        yield Webhook(WebhookConfig(f"{url}?key=hunter2", SECRET.encode(), TIMEOUT_S), lambda: NOW)
        never.set()


class _Mailbox:
    """aiosmtpd's handler: takes mails, or answers as told."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self.situation == "refusing":
            return "550 no such mailbox"
        if self.situation == "slow":
            await asyncio.sleep(TIMEOUT_S * 1.5)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.situation == "failing":
            return "451 come again"
        self.raw.append(envelope.content)
        self.mails.append(message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default))
        return "250 kept as 4711"


@asynccontextmanager
async def mail_server(situation: Situation) -> AsyncIterator[tuple[int, _Mailbox]]:
    box = _Mailbox(situation)
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    await asyncio.to_thread(controller.start)
    try:
        yield controller.port, box
    finally:
        await asyncio.to_thread(controller.stop)


@asynccontextmanager
async def _smtp(situation: Situation) -> AsyncIterator[Channel]:
    def config(port: int) -> SmtpConfig:
        return SmtpConfig("127.0.0.1", port, "smokewatch@example.org", security="none", timeout_s=TIMEOUT_S)

    if situation == "down":
        yield Smtp(config(free_port()))
    elif situation in {"garbage", "cut"}:

        async def rude(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if situation == "garbage":
                writer.write(b"\x00\xff 999 what\r\n")
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(rude, "127.0.0.1", 0)
        async with server:
            yield Smtp(config(server.sockets[0].getsockname()[1]))
    else:
        async with mail_server(situation) as (port, _):
            yield Smtp(config(port))


@asynccontextmanager
async def _gsm(situation: Situation) -> AsyncIterator[Channel]:
    modem = PtyModem(Manners(refuse=b"+CMS ERROR: 332" if situation == "failing" else None))
    path = modem.path
    if situation == "cut":
        asyncio.get_running_loop().call_later(0.1, modem.close)
    if situation == "down":
        modem.close()
    yield Gsm(GsmConfig(path, 115200, "1234"))
    if situation == "good":
        (sms,) = modem.sent
        assert (sms.number, sms.international) == ("8613800000000", True)
        assert sms.text == "【烟雾报警】3栋 501室 https://fire.example/a/AAAAAAAAAAAAAAAA"
    if situation not in {"cut", "down"}:
        modem.close()


@asynccontextmanager
async def _apprise(situation: Situation) -> AsyncIterator[Channel]:
    async with sink() as receiver:
        never = asyncio.Event()
        says = {
            "failing": Say(status=500, body=b"oops"),
            "busy": Say(status=429, body=b""),
            "slow": Say(wait=never),
            "garbage": Say(raw=b"\x00\xff\x16\x03 not http\r\n\r\n"),
            "cut": Say(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
        }
        receiver.answer = lambda _: says.get(situation, Say())
        port = receiver.port
        if situation == "down":
            await receiver.stop()
        target = Target(f"json://hunter2:hunter2@127.0.0.1:{port}/messages", personal=False)
        yield Apprise(AppriseConfig({"ntfy": target}, 0.3 if situation == "slow" else 5.0))
        never.set()
        if situation == "good":
            (got,) = receiver.received
            assert got.body["title"] == "【烟雾报警】3栋 501室"
            assert "/a/" not in got.body["message"]


CASES = {
    "console": Case(
        _console, "w-1", cannot=frozenset({"refusing", "busy", "slow", "html", "huge", "unproven"})
    ),
    "webhook": Case(
        _webhook, "13800000000", secrets=("hunter2", SECRET, "127.0.0.1"), cannot=frozenset({"unproven"})
    ),
    "smtp": Case(
        _smtp,
        "li@example.org",
        secrets=("127.0.0.1",),
        cannot=frozenset({"busy", "html", "huge", "unproven"}),
    ),
    # A modem that is silent or talks nonsense is tested with the dialogue, in time that is made.
    "gsm": Case(
        _gsm,
        "13800000000",
        secrets=("13800000000", "1234"),
        cannot=frozenset({"refusing", "busy", "slow", "garbage", "html", "huge", "unproven"}),
    ),
    # Apprise says yes or no and nothing else, and yes to any answer with a 200.
    "apprise": Case(
        _apprise,
        "ntfy",
        secrets=("hunter2", "127.0.0.1"),
        cannot=frozenset({"refusing", "busy", "html", "huge", "unproven"}),
    ),
    **PROVIDER_CASES,
}


def test_the_kit_knows_every_channel() -> None:
    """A channel in the list without a case would go unchecked."""
    assert set(CASES) == set(BUILDERS)


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", sorted(CASES))
async def test_a_channel_bears_its_provider(name: str, situation: Situation) -> None:
    """Whatever the provider does becomes an outcome, in time, without a secret."""
    case = CASES[name]
    if situation in case.cannot:
        assert situation not in {"down", "good"}
        return
    await check(case, situation)


async def test_a_mail_is_readable_and_carries_its_own_id() -> None:
    """Subject and text come out as they went in; the id depends on the key alone."""
    async with mail_server("good") as (port, box):
        channel = Smtp(SmtpConfig("127.0.0.1", port, "smokewatch@example.org", security="none"))
        first = await channel.send(message(), "li@example.org")
        await channel.send(message(), "li@example.org")
    assert isinstance(first, Sent)
    assert first.provider_id is not None
    assert "4711" in first.provider_id
    mail = box.mails[0]
    assert mail["Subject"] == "【烟雾报警】3栋 501室"
    assert mail["To"] == "li@example.org"
    assert "地点：建设路3号" in mail.get_content()
    assert mail["Message-ID"] == box.mails[1]["Message-ID"]


async def test_a_mail_cannot_be_given_headers_or_a_second_receiver_by_its_text() -> None:
    """Line breaks in the title or address do not become commands or headers."""
    async with mail_server("good") as (port, box):
        channel = Smtp(SmtpConfig("127.0.0.1", port, "smokewatch@example.org", security="none"))
        await channel.send(message(title="x\r\nBcc: evil@example.org"), "li@example.org")
        refused = await channel.send(message(), "li@example.org\r\nRCPT TO:<evil@example.org>")
    assert box.mails[0]["Bcc"] is None
    assert not isinstance(refused, Sent)
    assert len(box.mails) == 1


async def test_a_modem_sends_one_message_after_the_other() -> None:
    """Two at once would talk into each other."""
    modem = PtyModem(Manners(echo=True, chatter=True))
    channel = Gsm(GsmConfig(modem.path))
    outcomes = await asyncio.gather(*(channel.send(message(), "13800000000") for _ in range(3)))
    modem.close()
    assert sorted(str(one.provider_id) for one in outcomes if isinstance(one, Sent)) == ["1", "2", "3"]


async def test_a_pin_that_was_refused_is_not_offered_again() -> None:
    """The third refusal locks the SIM."""
    modem = PtyModem(Manners(pin="4321"))
    channel = Gsm(GsmConfig(modem.path, pin="1234"))
    first = await channel.send(message(), "13800000000")
    second = await channel.send(message(), "13800000000")
    modem.close()
    assert isinstance(first, TryLater)
    assert isinstance(second, TryLater)
    assert "1234" not in first.why
    assert modem.pin_tries == 1


async def test_an_sms_says_that_a_reply_takes_the_alarm_where_there_is_room() -> None:
    """Only where replies are read, and never for a letter of what burns where."""
    modem = PtyModem()
    channel = Gsm(GsmConfig(modem.path, replies=True))
    short = message(title="【烟雾报警】3栋 501室")
    fields = {name: getattr(short, name) for name in short.__slots__}
    for changed in ({}, {"title": "【烟雾报警】3栋 2单元 5层 501室 欧阳奶奶"}, {"purpose": "closed"}):
        await channel.send(Message(**fields | changed), "13800000000")
    modem.close()
    link = " https://fire.example/a/AAAAAAAAAAAAAAAA"
    assert [sms.text for sms in modem.sent] == [
        f"【烟雾报警】3栋 501室 回复1接警{link}",
        f"【烟雾报警】3栋 2单元 5层 501室 欧阳奶奶{link}",
        f"【烟雾报警】3栋 501室{link}",
    ]


async def test_what_does_not_fit_into_one_sms_is_cut_but_the_link_stays() -> None:
    """Unless the link alone would leave no room to say where it burns."""
    modem = PtyModem()
    channel = Gsm(GsmConfig(modem.path))
    long = message(title="【烟雾报警】" + "很长的地址" * 20)
    await channel.send(long, "13800000000")
    fields = {name: getattr(long, name) for name in long.__slots__}
    await channel.send(Message(**fields | {"link": "https://" + "x" * 60 + "/a/A"}), "13800000000")
    modem.close()
    first, second = (sms.text for sms in modem.sent)
    assert first.endswith(" https://fire.example/a/AAAAAAAAAAAAAAAA")
    assert first.startswith("【烟雾报警】很长的地址")
    assert len(first) == len(second) == 70
    assert "https" not in second
