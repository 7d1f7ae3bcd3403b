"""The worker against a real database and a real receiver: once, or by another way, or again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from central import pipeline
from central.config import WorkerSettings
from central.ending import end
from central.engine.model import Act, ActKind, Disposition
from central.notifier.channel import Channel, Limits, Message, Outcome
from central.notifier.channels.webhook import Webhook, WebhookConfig
from central.notifier.plan import Planned
from central.store import deliveries
from central.store.links import LinkState, find_link
from central.store.pool import Store
from central.worker import Worker
from tests.harness.sinks import SECRET, Say, Sink, sink
from tests.harness.town import Town, batch, event, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind

A, C = EventKind.ASSERT, EventKind.CLEAR
URL = "https://fire.example"


@pytest.fixture
async def town(town: Town) -> Town:
    await town.do("DELETE FROM contact")
    await town.do("INSERT INTO contact SELECT id, 0, 'phone', id FROM worker")
    await town.do("INSERT INTO contact SELECT id, 1, 'other', id || '@' FROM worker")
    return town


@pytest.fixture
async def phone() -> AsyncIterator[Sink]:
    async with sink() as made:
        yield made


@pytest.fixture
async def other() -> AsyncIterator[Sink]:
    async with sink() as made:
        yield made


def webhook(receiver: Sink, timeout_s: float = 2.0) -> Webhook:
    return Webhook(WebhookConfig(receiver.url, SECRET.encode(), timeout_s), lambda: datetime.now(UTC))


@asynccontextmanager
async def working(
    town: Town, channels: Mapping[str, Channel], store: Store | None = None, **settings: int
) -> AsyncIterator[asyncio.Task[None]]:
    """A worker that runs meanwhile."""
    worker = Worker(store or town.store, channels, WorkerSettings(**settings), URL)
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        await end([task])
        for channel in channels.values():
            await channel.close()


async def smoke(town: Town) -> int:
    await send(town, batch([event(1, A, Condition.SMOKE)]))
    row = await town.one("SELECT id FROM alarm WHERE condition = 'smoke'")
    return int(row["id"])


async def states(town: Town) -> list[tuple[str, str]]:
    rows = await town.rows("SELECT channel, state FROM delivery ORDER BY id")
    return [(row["channel"], row["state"]) for row in rows]


async def tries(town: Town) -> list[tuple[str, int, str | None]]:
    rows = await town.rows(
        "SELECT channel, number, outcome FROM attempt JOIN delivery ON id = delivery ORDER BY id, number"
    )
    return [(row["channel"], row["number"], row["outcome"]) for row in rows]


async def settled(town: Town, wanted: list[tuple[str, str]], timeout_s: float = 10) -> None:
    async def same() -> bool:
        return await states(town) == wanted

    await eventually(same, timeout_s, f"deliveries are {wanted}")


async def test_smoke_reaches_the_grid_worker_once_with_home_person_and_a_link(
    town: Town, phone: Sink
) -> None:
    """One POST, believed by its signature; the row says sent with the provider's id; the link opens."""
    phone.answer = lambda one: Say(body=b'{"ok": true, "id": "sms-%d"}' % one.number)
    async with working(town, {"phone": webhook(phone)}):
        alarm = await smoke(town)
        await settled(town, [("phone", "sent")])
    (got,) = phone.received
    assert got.signed
    assert got.body["to"] == "primary"
    assert got.body["alarm"] == alarm
    for words in (
        "建设路3号",
        "3栋",
        "2单元",
        "5层",
        "501室",
        "厨房",
        "王奶奶",
        "听力差",
        "13800000000",
        "119",
    ):
        assert words in got.body["text"]
    assert "王奶奶" in got.body["title"]
    token = got.body["link"].removeprefix(f"{URL}/a/")
    async with town.store.transaction() as tx:
        link = await find_link(tx, token)
    assert link is not None
    assert (link.alarms, link.worker, link.state) == ((alarm,), "primary", LinkState.GOOD)
    row = await town.one("SELECT outcome, provider_id, started_at <= finished_at AS after FROM attempt")
    assert (row["outcome"], row["provider_id"], row["after"]) == ("sent", "sms-1", True)
    told = await town.one("SELECT who, subject FROM audit WHERE action = 'told'")
    assert (told["who"], told["subject"]) == ("primary", "household:h1")


async def test_a_200_with_an_error_inside_goes_to_the_next_contact_at_once(
    town: Town, phone: Sink, other: Sink
) -> None:
    """The provider's yes is none: that try has failed for good, the person's next channel is tried."""
    phone.answer = lambda _: Say(body=b'{"errcode": 45009, "errmsg": "rate"}')
    async with working(town, {"phone": webhook(phone), "other": webhook(other)}):
        await smoke(town)
        await settled(town, [("phone", "failed"), ("other", "sent")])
    assert other.received[0].body["to"] == "primary@"
    assert await tries(town) == [("phone", 1, "permanent"), ("other", 1, "sent")]
    row = await town.one("SELECT reason FROM delivery WHERE channel = 'phone'")
    assert "45009" in row["reason"]


async def test_a_provider_that_is_down_is_tried_again_while_the_next_one_is_used(
    town: Town, phone: Sink, other: Sink
) -> None:
    """Temporary: both ways go on, and the first one arrives too when it is back; the key stays."""
    phone.answer = lambda one: Say(status=503) if one.number < 3 else Say()
    async with working(town, {"phone": webhook(phone), "other": webhook(other)}):
        await smoke(town)
        await settled(town, [("phone", "pending"), ("other", "sent")])
        row = await town.one(
            "SELECT due_at - finished_at AS wait FROM delivery JOIN attempt ON delivery = id"
            " WHERE outcome = 'temporary'"
        )
        assert row["wait"] == timedelta(seconds=2)
        town.time.forward(seconds=3)
        await eventually(lambda: len(phone.received) == 2, what="the second try")
        town.time.forward(seconds=5)
        await settled(town, [("phone", "sent"), ("other", "sent")])
    assert len(set(phone.keys)) == 1
    assert len(other.received) == 1
    assert [outcome for _, _, outcome in await tries(town)] == ["temporary", "temporary", "sent", "sent"]


async def test_a_channel_that_the_server_has_not_is_passed_over(town: Town, other: Sink) -> None:
    """A contact by an unknown channel is no dead end, and the row says why."""
    async with working(town, {"other": webhook(other)}):
        await smoke(town)
        await settled(town, [("phone", "failed"), ("other", "sent")])
    row = await town.one("SELECT reason FROM delivery WHERE channel = 'phone'")
    assert "not set up" in row["reason"]


async def test_three_workers_share_the_work_and_nothing_goes_out_twice(town: Town, phone: Sink) -> None:
    """SKIP LOCKED: sixty messages, three workers, each message once."""
    alarm = await smoke(town)
    planned = [
        Planned(f"extra-{n}", alarm, "alarm", 1, 0, "primary", 0, "phone", f"p-{n}", n % 2 == 0)
        for n in range(60)
    ]
    stores = [Store(town.dsn, clock_shift=town.time) for _ in range(3)]
    for store in stores:
        await store.open()
    async with (
        working(town, {"phone": webhook(phone)}, stores[0]),
        working(town, {"phone": webhook(phone)}, stores[1]),
        working(town, {"phone": webhook(phone)}, stores[2]),
    ):
        async with town.store.transaction() as tx:
            assert await deliveries.enqueue(tx, planned) == 60
            assert await deliveries.enqueue(tx, planned) == 0
        await settled(town, [("phone", "sent")] * 61, 20)
    for store in stores:
        await store.close()
    assert len(phone.keys) == 61
    assert len(set(phone.keys)) == 61


class _Dies:
    """Hands over, and then the whole worker is gone before it can write that down."""

    limits = Limits()
    timeout_s = 2.0

    def __init__(self, inner: Webhook, died: asyncio.Event) -> None:
        self._inner = inner
        self._died = died

    async def send(self, message: Message, address: str) -> Outcome:
        outcome = await self._inner.send(message, address)
        self._died.set()
        await asyncio.Event().wait()
        return outcome

    async def close(self) -> None:
        await self._inner.close()


async def test_a_worker_that_dies_after_the_providers_yes_lets_it_go_out_again_with_the_same_key(
    town: Town, phone: Sink
) -> None:
    """At least once: the claim runs out, the lost try is on record as died, the receiver sees one key."""
    died = asyncio.Event()
    async with working(town, {"phone": _Dies(webhook(phone), died)}) as first:
        await smoke(town)
        await asyncio.wait_for(died.wait(), 10)
        await end([first])
    assert await states(town) == [("phone", "sending")]
    assert await tries(town) == [("phone", 1, None)]
    async with working(town, {"phone": webhook(phone)}):
        town.time.forward(seconds=5)
        await asyncio.sleep(1.2)
        assert len(phone.received) == 1, "the claim still holds"
        town.time.forward(seconds=8)
        await settled(town, [("phone", "sent")])
    assert phone.keys[0] == phone.keys[1]
    assert await tries(town) == [("phone", 1, "died"), ("phone", 2, "sent")]


async def test_nothing_is_sent_for_an_alarm_that_somebody_has_taken_or_closed(
    town: Town, phone: Sink
) -> None:
    """Planned before, needless now: called off with the reason, and no try is counted."""
    alarm = await smoke(town)
    async with town.store.transaction() as tx:
        await pipeline.act(tx, alarm, Act(ActKind.ACKNOWLEDGE), "primary", "test")
    async with working(town, {"phone": webhook(phone)}):
        await settled(town, [("phone", "cancelled")])
        async with town.store.transaction() as tx:
            late = Planned("late", alarm, "disposition", 1, 1, "desk", 0, "phone", "desk", True)
            await deliveries.enqueue(tx, [late])
        await settled(town, [("phone", "cancelled"), ("phone", "sent")])
        async with town.store.transaction() as tx:
            done = Act(ActKind.CLOSE, Disposition.TEST)
            await send_clear(town)
            await pipeline.act(tx, alarm, done, "primary", "test")
            await deliveries.enqueue(
                tx, [Planned("later", alarm, "disposition", 1, 2, "desk", 0, "phone", "desk", True)]
            )
        await settled(town, [("phone", "cancelled"), ("phone", "sent"), ("phone", "cancelled")])
    assert phone.keys == ["late"]
    rows = await town.rows("SELECT reason, attempts FROM delivery WHERE state = 'cancelled' ORDER BY id")
    assert [(row["reason"], row["attempts"]) for row in rows] == [
        ("somebody has taken the alarm", 0),
        ("the alarm is closed", 0),
    ]


async def send_clear(town: Town) -> None:
    await send(town, batch([event(2, C, Condition.SMOKE)]))


async def test_urgent_messages_do_not_wait_behind_slow_small_news(town: Town, phone: Sink) -> None:
    """All other slots hang; smoke goes out at once through slots of its own."""
    hang = asyncio.Event()
    phone.answer = lambda one: Say() if one.body["urgent"] else Say(wait=hang)
    alarm = await smoke(town)
    small = [
        Planned(f"small-{n}", alarm, "cleared", 1, 0, "lead", 0, "phone", f"p-{n}", False) for n in range(10)
    ]
    async with town.store.transaction() as tx:
        await tx.conn.execute("DELETE FROM delivery")
        await deliveries.enqueue(tx, small)
    async with working(town, {"phone": webhook(phone, 30.0)}, urgent_slots=2, other_slots=3):
        await eventually(lambda: phone.under_way == 3, what="all other slots hang")
        async with town.store.transaction() as tx:
            await deliveries.enqueue(
                tx, [Planned("fire", alarm, "alarm", 1, 0, "primary", 0, "phone", "primary", True)]
            )
        await eventually(lambda: "fire" in phone.keys, 2, "smoke goes out")
        assert phone.under_way == 3
        hang.set()
        await settled(town, [("phone", "sent")] * 11)


async def test_what_is_not_urgent_keeps_its_pace(town: Town, phone: Sink) -> None:
    """Six at two a second take two seconds; a fire among them does not wait for its turn."""
    alarm = await smoke(town)
    small = [
        Planned(f"small-{n}", alarm, "cleared", 1, 0, "lead", 0, "phone", f"p-{n}", False) for n in range(6)
    ]
    async with town.store.transaction() as tx:
        await deliveries.enqueue(tx, small)
    began = time.monotonic()
    async with working(town, {"phone": webhook(phone)}, other_slots=200, other_per_s=2.0):
        await eventually(lambda: any(not key.startswith("small") for key in phone.keys), 5, "smoke goes out")
        assert len(phone.keys) < 7
        await settled(town, [("phone", "sent")] * 7)
    assert time.monotonic() - began >= 2.0


async def test_smoke_climbs_two_steps_under_moved_time_and_tells_each_duty(town: Town, phone: Sink) -> None:
    """Nobody answers: the backup and the community after 90 s, the command centre after 180 s."""
    async with working(town, {"phone": webhook(phone)}):
        await smoke(town)
        await settled(town, [("phone", "sent")])  # while one is sent its claim would run out with the clock
        for seconds, told in ((91, 3), (90, 4)):
            town.time.forward(seconds=seconds)
            async with town.store.transaction() as tx:
                await pipeline.run_due(tx)
            await settled(town, [("phone", "sent")] * told)
    assert {one.body["to"] for one in phone.received} == {"primary", "backup", "lead", "desk"}
    climbed = next(one for one in phone.received if one.body["to"] == "desk")
    assert "尚无人接警" in climbed.body["text"]


async def test_smoke_from_a_gateway_nobody_registered_is_delivered_to_the_command_centre(
    town: Town, phone: Sink
) -> None:
    """Address unknown stands in its title; the device is named, so that they can find out."""
    await send(town, batch([event(1, A, Condition.SMOKE, detector="stranger")]), gateway="nobody-knows")
    async with working(town, {"phone": webhook(phone)}):
        await settled(town, [("phone", "sent")])
    (got,) = phone.received
    assert got.body["to"] == "desk"
    assert got.body["title"].startswith("【烟雾报警】地址不明")
    assert "设备：nobody-knows / stranger" in got.body["text"]


async def test_an_alarm_out_of_a_backlog_is_delivered_and_says_first_that_it_is_over(
    town: Town, phone: Sink
) -> None:
    """Late and already cleared: the grid worker is told when it was, and to look all the same."""
    await send(town, batch([event(5000, C, Condition.SMOKE)]))
    await send(town, batch([event(1, A, Condition.SMOKE)], sent_mono_ms=5_000_000))
    row = await town.one(
        "SELECT to_char(event_at AT TIME ZONE 'Asia/Shanghai', 'MM-DD HH24:MI') AS at FROM alarm"
    )
    async with working(town, {"phone": webhook(phone)}):
        await settled(town, [("phone", "sent")])
    (got,) = phone.received
    assert got.body["to"] == "primary"
    assert got.body["title"].startswith(f"【烟雾报警·{row['at']} 发生·已自行消除】")
    assert "仍须到场核实" in got.body["text"]


@pytest.mark.parametrize("condition", [Condition.NO_RESPONSE, Condition.REMOVED])
async def test_an_installer_is_told_the_door_and_never_who_lives_behind_it(
    town: Town, phone: Sink, condition: Condition
) -> None:
    """The community lead, who calls on people, gets the name; the audit log holds only that look."""
    await send(town, batch([event(1, A, condition)]))
    async with working(town, {"phone": webhook(phone)}):
        await settled(town, [("phone", "sent")] * 2)
    told = {one.body["to"]: one.body["title"] + one.body["text"] for one in phone.received}
    assert set(told) == {"fitter", "lead"}
    assert "501室" in told["fitter"]
    assert "厨房" in told["fitter"]
    for personal in ("王奶奶", "13800000000", "听力差", "83 岁"):
        assert personal not in told["fitter"]
    assert "王奶奶" in told["lead"]
    looks = await town.rows("SELECT who FROM audit WHERE action = 'told'")
    assert [row["who"] for row in looks] == ["lead"]


async def test_a_database_that_goes_away_is_waited_out(town: Town, phone: Sink) -> None:
    """Every connection is cut; the worker goes on, and what is planned later is sent."""
    async with working(town, {"phone": webhook(phone)}) as task:
        await eventually(lambda: not task.done())
        await town.do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await smoke(town)
        await settled(town, [("phone", "sent")])
        assert not task.done()


async def test_a_clock_that_is_set_back_holds_no_message_up(town: Town, phone: Sink) -> None:
    """Neither one that was never tried, nor one that waits for its next try, nor one whose worker died."""
    phone.answer = lambda one: Say(status=503) if one.number == 1 else Say()
    await smoke(town)
    town.time.forward(hours=-1)
    async with working(town, {"phone": webhook(phone)}):
        await settled(town, [("phone", "pending"), ("other", "failed")])
        town.time.forward(hours=-1)
        await settled(town, [("phone", "sent"), ("other", "failed")])
        await town.do("UPDATE delivery SET state = 'sending', claimed_until = now() WHERE channel = 'phone'")
        await settled(town, [("phone", "sent"), ("other", "failed")])
    assert len(phone.received) == 3
