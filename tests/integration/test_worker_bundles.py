"""Many homes at once: one list for a person, one call a minute, and no home that nobody was told of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from central.config import WorkerSettings
from central.ending import end
from central.notifier.channel import Channel
from central.notifier.channels.webhook import Webhook, WebhookConfig
from central.store.links import find_link
from central.worker import Worker
from tests.harness.sinks import SECRET, Say, Sink, sink
from tests.harness.town import Town, batch, event, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind

HOMES = 60
URL = "https://fire.example"
_MORE = """
INSERT INTO household SELECT 'x-' || n, 'b1', '9', n, 'x' || n FROM generate_series(1, {n}) n;
INSERT INTO detector SELECT 'x-' || n, 'smokewatch-reference' FROM generate_series(1, {n}) n;
INSERT INTO placement (detector, household, gateway, bus, unit, spot, from_at)
    SELECT 'x-' || n, 'x-' || n, 'gw-1', 'bus-1', 100 + n, '', now() - interval '1 day'
    FROM generate_series(1, {n}) n;
DELETE FROM contact;
INSERT INTO contact SELECT id, 0, 'text', id FROM worker;
"""


@pytest.fixture
async def town(town: Town) -> Town:
    await town.do(_MORE.format(n=HOMES))
    return town


@pytest.fixture
async def phone() -> AsyncIterator[Sink]:
    async with sink() as made:
        yield made


@asynccontextmanager
async def working(town: Town, channels: Mapping[str, Channel]) -> AsyncIterator[None]:
    worker = Worker(town.store, channels, WorkerSettings(), URL)
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        await end([task])
        for channel in channels.values():
            await channel.close()


def webhook(receiver: Sink, *, calls: bool = False) -> Webhook:
    return Webhook(WebhookConfig(receiver.url, SECRET.encode(), 2.0, calls), lambda: datetime.now(UTC))


async def burn(town: Town, first: int, last: int) -> None:
    """Smoke in the homes of these numbers."""
    smoke = [event(n, EventKind.ASSERT, Condition.SMOKE, detector=f"x-{n}") for n in range(first, last + 1)]
    await send(town, batch(smoke))


async def all_sent(town: Town) -> bool:
    return not await town.rows("SELECT FROM delivery WHERE state IN ('pending', 'sending')")


def named(phone: Sink, to: str = "primary") -> list[set[str]]:
    """The homes that each message to a person names."""
    bodies = [one.body for one in phone.received if one.body["to"] == to]
    return [
        {f"x{n}" for n in range(1, HOMES + 1) if f"x{n}室" in one["title"] + one["text"]} for one in bodies
    ]


async def test_sixty_homes_at_once_are_one_list_and_its_link_opens_all_of_them(
    town: Town, phone: Sink
) -> None:
    """Each is on record as sent, with the same name of the provider; one link knows all."""
    await burn(town, 1, HOMES)
    async with working(town, {"text": webhook(phone)}):
        await eventually(lambda: all_sent(town), 10)
    (body,) = [one.body for one in phone.received]
    assert named(phone) == [{f"x{n}" for n in range(1, HOMES + 1)}]
    assert body["title"] == f"【烟雾报警】{HOMES} 处"
    ids = [row["id"] for row in await town.rows("SELECT id FROM alarm ORDER BY id")]
    assert sorted(body["alarms"]) == ids
    async with town.store.transaction() as tx:
        link = await find_link(tx, body["link"].removeprefix(f"{URL}/a/"))
    assert link is not None
    assert sorted(link.alarms) == ids
    assert len(await town.rows("SELECT FROM attempt WHERE outcome = 'sent'")) == HOMES


async def test_what_comes_faster_than_somebody_can_read_waits_for_the_next_list(
    town: Town, phone: Sink
) -> None:
    """Three at once, then a list after two seconds; also with three workers on the same rows."""
    channel = {"text": webhook(phone)}
    async with working(town, channel), working(town, channel), working(town, channel):
        for n in range(1, 4):
            await burn(town, n, n)
            await eventually(lambda n=n: len(phone.received) == n, 5)
        await burn(town, 4, 9)
        await burn(town, 10, 14)

        await asyncio.sleep(0.3)  # three workers look, and leave them
        assert len(await town.rows("SELECT FROM delivery WHERE state = 'pending'")) == 11
        assert len(phone.received) == 3
        town.time.forward(seconds=2)
        await eventually(lambda: all_sent(town), 5)
    assert named(phone)[:3] == [{"x1"}, {"x2"}, {"x3"}]
    lists = named(phone)[3:]
    assert len(lists) <= 2, "two workers may have shared them on a machine that took its time"
    assert set().union(*lists) == {f"x{n}" for n in range(4, 15)}
    assert len(await town.rows("SELECT FROM attempt")) == 14, "waiting is no try"


async def test_one_call_a_minute_and_what_misses_it_is_told_in_writing_at_once(
    town: Town, phone: Sink
) -> None:
    """The call is about one home, the list about all the others; the next minute may ring again."""
    await town.do("INSERT INTO contact SELECT id, 1, 'write', id FROM worker")
    async with (
        sink() as written,
        working(town, {"text": webhook(phone, calls=True), "write": webhook(written)}),
    ):
        await burn(town, 1, 12)
        await eventually(lambda: all_sent(town), 10)
        assert [len(homes) for homes in named(phone)] == [1]
        assert len(set().union(*named(phone), *named(written))) == 12
        await burn(town, 13, 13)
        await eventually(lambda: "x13" in set().union(*named(written)), 10)
        assert len(phone.received) == 1
        town.time.forward(seconds=60)
        await burn(town, 14, 14)
        await eventually(lambda: "x14" in set().union(*named(phone)), 10)
    rows = await town.rows("SELECT reason FROM delivery WHERE state = 'cancelled'")
    assert len(rows) == 12
    assert "told in writing" in rows[0]["reason"]


async def test_a_call_that_the_provider_did_not_take_is_made_when_the_minute_is_over(
    town: Town, phone: Sink
) -> None:
    """It was told in writing at once; the call is not given up for that."""
    await town.do("INSERT INTO contact SELECT id, 1, 'write', id FROM worker")
    phone.answer = lambda one: Say(status=503) if one.number == 1 else Say()
    async with (
        sink() as written,
        working(town, {"text": webhook(phone, calls=True), "write": webhook(written)}),
    ):
        await burn(town, 1, 1)
        await eventually(lambda: named(written) == [{"x1"}], 5)
        town.time.forward(seconds=10)
        await asyncio.sleep(1.2)  # it is due again, and may not ring yet
        assert len(phone.received) == 1
        town.time.forward(seconds=60)
        await eventually(lambda: all_sent(town), 5)
    assert named(phone) == [{"x1"}, {"x1"}]
    states = await town.rows("SELECT channel, state FROM delivery ORDER BY channel")
    assert [(row["channel"], row["state"]) for row in states] == [("text", "sent"), ("write", "sent")]


async def test_who_can_only_be_called_is_called_again_when_the_minute_is_over(
    town: Town, phone: Sink
) -> None:
    """Nothing is withheld for want of another way."""
    async with working(town, {"text": webhook(phone, calls=True)}):
        await burn(town, 1, 2)
        await eventually(lambda: len(phone.received) == 1, 5)
        town.time.forward(seconds=60)
        await eventually(lambda: all_sent(town), 5)
    assert sorted(named(phone), key=str) == [{"x1"}, {"x2"}]
