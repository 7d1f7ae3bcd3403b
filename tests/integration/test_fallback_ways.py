"""The agent's own webhook and SMS against rude far ends: an outcome in time, words that help, no leak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from edge_agent.fallback_settings import ModemSettings, WebhookSettings
from edge_agent.sms import Modem
from edge_agent.webhook import Webhook
from simulator.parts import free_port
from tests.harness.modem import Manners, PtyModem
from tests.harness.sinks import SECRET, Say, Sink, sink
from tests.harness.wait import eventually

PHONE = "13800000101"
_WALL_MS = 1_800_000_000_000


@pytest.fixture
async def receiver() -> AsyncIterator[Sink]:
    async with sink() as one:
        yield one


def hook(url: str, timeout_s: float = 2.0) -> Webhook:
    return Webhook(WebhookSettings(url, SECRET.encode(), timeout_s=timeout_s), "gw-1", lambda: _WALL_MS)


async def post(webhook: Webhook) -> str | None:
    return await webhook.send(PHONE, "【烟雾报警】3栋", "【烟雾报警】3栋 03:12", "fallback-gw-1-1")


async def test_a_post_is_signed_and_says_who_where_and_from_which_box(receiver: Sink) -> None:
    """The form of docs/reference/webhook.md, so that one receiver serves both senders."""
    assert await post(hook(receiver.url)) is None
    (one,) = receiver.received
    assert one.signed
    assert one.key == one.body["id"] == "fallback-gw-1-1"
    assert one.headers["x-smokewatch-timestamp"] == str(_WALL_MS // 1000)
    assert one.body == one.body | {
        "to": PHONE,
        "title": "【烟雾报警】3栋",
        "purpose": "alarm",
        "urgent": True,
        "alarm": 0,
        "link": "",
        "gateway": "gw-1",
    }


@pytest.mark.parametrize(
    "say",
    [
        Say(500),
        Say(302, headers={"location": "http://127.0.0.1:1/"}),
        Say(200, b'{"errcode": 310000}'),
        Say(200, b"x" * 20_000),
        Say(raw=b"garbage\r\n\r\n"),
        Say(raw=b""),
        Say(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"),
    ],
)
async def test_a_rude_answer_is_a_failure_that_gives_nothing_away(receiver: Sink, say: Say) -> None:
    """Neither the address nor the secret."""
    receiver.answer = lambda _: say
    why = await post(hook(receiver.url))
    assert why
    assert SECRET not in why
    assert str(receiver.port) not in why


async def test_a_silent_receiver_is_left_in_time_and_its_thread_ends(receiver: Sink) -> None:
    """The watch over homes needs its threads back."""
    never = asyncio.Event()
    receiver.answer = lambda _: Say(wait=never)
    began = asyncio.get_running_loop().time()
    try:
        why = await post(hook(receiver.url, timeout_s=0.5))
    finally:
        never.set()
    assert "no answer within the time" in str(why)
    assert asyncio.get_running_loop().time() - began < 3


async def test_a_receiver_that_is_not_there_is_a_failure() -> None:
    """Said plainly."""
    assert "cannot be reached" in str(await post(hook(f"http://127.0.0.1:{free_port()}/x?key=k")))


async def test_an_sms_goes_through_a_modem_on_a_port() -> None:
    """A real pseudo-terminal; the port is free again afterwards."""
    far = PtyModem(Manners(chatter=True, prompt_after_s=0.3, pin="1234"))
    try:
        modem = Modem(ModemSettings(far.path, pin="1234"), asyncio.get_running_loop().time)
        assert await modem.send(PHONE, "【烟雾报警】一") is None
        assert await modem.send(PHONE, "【烟雾报警】二") is None
        assert [one.text for one in far.sent] == ["【烟雾报警】一", "【烟雾报警】二"]
    finally:
        far.close()


async def test_a_modem_in_error_or_gone_is_a_failure_and_a_refused_pin_is_offered_once() -> None:
    """Each in words for the record."""
    far = PtyModem(Manners(refuse=b"ERROR"))
    clock = asyncio.get_running_loop().time
    assert "AT+CMGS: ERROR" in str(await Modem(ModemSettings(far.path), clock).send(PHONE, "x"))
    far.manners.pin = "1234"
    locked = Modem(ModemSettings(far.path, pin="9999"), clock)
    assert "refused the PIN" in str(await locked.send(PHONE, "x"))
    assert "wants a PIN" in str(await locked.send(PHONE, "x"))
    assert far.pin_tries == 1
    far.close()
    assert "cannot open" in str(await locked.send(PHONE, "x"))


async def test_a_modem_unplugged_in_the_middle_is_a_failure() -> None:
    """The port hangs up while the text is on its way."""
    far = PtyModem(Manners(silent_after_text=True))
    sending = asyncio.create_task(
        Modem(ModemSettings(far.path), asyncio.get_running_loop().time).send(PHONE, "x")
    )
    await eventually(lambda: any(command.startswith("AT+CMGS") for command in far.commands))
    far.close()
    why = await asyncio.wait_for(sending, 10)
    assert "modem port" in str(why)
