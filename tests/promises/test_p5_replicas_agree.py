"""P5: one engine and three replicas on the same input plan the same messages, and send none of them twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from central import pipeline
from central.config import WorkerSettings
from central.ending import end
from central.engine.model import Act, ActKind, Disposition, NotAllowed
from central.intake import Intake, Parcel
from central.notifier.channel import Limits, Pace
from central.notifier.channels.webhook import Webhook, WebhookConfig
from central.store import leases
from central.store.pool import Store
from central.worker import Worker
from tests.harness.database import Server, drop_database, new_database
from tests.harness.sinks import SECRET, Sink, sink
from tests.harness.town import AREA, GATEWAY, Town, batch, event, found
from tests.harness.wait import eventually
from wire import codec
from wire.messages import Condition, EventKind
from wire.topics import Channel, gateway_topic

HOMES, STEPS = 7, 6
MOVES = (7.3, 31.7, 92.9, 187.3, 401.9)
"""Seconds; no sum of a few of them comes near a step of the climb."""
BEGAN = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
_MORE = """
INSERT INTO household SELECT 'x-' || n, 'b1', '9', n, 'x' || n FROM generate_series(1, {n}) n;
INSERT INTO detector SELECT 'x-' || n, 'smokewatch-reference' FROM generate_series(1, {n}) n;
INSERT INTO placement (detector, household, gateway, bus, unit, spot, from_at)
    SELECT 'x-' || n, 'x-' || n, 'gw-1', 'bus-1', 100 + n, '', '2026-01-01' FROM generate_series(1, {n}) n;
DELETE FROM contact;
INSERT INTO contact SELECT id, 0, 'text', id FROM worker;
UPDATE lease SET heard_at = '2026-03-01 04:00+00';
"""


class _Patient(Webhook):
    """Nobody is spared a message: what waits for its pace would wait for ever on a clock that stands."""

    @property
    def limits(self) -> Limits:
        free = Pace(1000, timedelta(seconds=1))
        return Limits(free, free, homes=3)


class Still:
    """A clock that stands until it is moved; what is added to the database's."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> timedelta:
        return self.now - datetime.now(UTC)


def story(seed: int) -> Iterator[tuple[str, Any]]:
    """Smoke that comes, goes and comes back, people who act, time that passes."""
    chance = random.Random(seed)
    on: set[int] = set()
    for _ in range(STEPS):
        homes = chance.sample(range(1, HOMES + 1), chance.randint(1, 4))
        yield "events", [(home, home not in on) for home in homes]
        on ^= set(homes)
        if chance.random() < 0.5:
            kind = chance.choice([ActKind.ACKNOWLEDGE, ActKind.ON_WAY, ActKind.CLOSE])
            yield "act", (chance.randint(1, HOMES), kind, chance.choice(["primary", "backup"]))
        yield "wait", chance.choice(MOVES)


async def play(dsn: str, phone: Sink, replicas: int, seed: int) -> Town:
    """The story, told to so many replicas at once. Returns the town for a look at its tables."""
    await asyncio.to_thread(found, dsn)
    clock = Still()
    stores = [Store(dsn, clock_shift=clock, max_connections=4) for _ in range(replicas)]
    for store in stores:
        await store.open()
    town = Town(dsn, stores[0], clock)  # type: ignore[arg-type]
    await town.do(_MORE.format(n=HOMES))
    channels = [
        _Patient(WebhookConfig(phone.url, SECRET.encode(), 5.0), lambda: datetime.now(UTC)) for _ in stores
    ]
    workers = [
        asyncio.create_task(Worker(store, {"text": channel}, WorkerSettings(), "https://fire.example").run())
        for store, channel in zip(stores, channels, strict=True)
    ]
    try:
        seq = 0
        for what, told in story(seed):
            if what == "events":
                events = []
                for home, burns in told:
                    seq += 1
                    kind = EventKind.ASSERT if burns else EventKind.CLEAR
                    events.append(event(seq, kind, Condition.SMOKE, detector=f"x-{home}"))
                payload = codec.encode(batch(events))
                parcel = Parcel(
                    gateway_topic(AREA, GATEWAY, Channel.EVENTS),
                    payload,
                    False,
                    asyncio.get_running_loop().time(),
                )
                await asyncio.gather(*(Intake(store).take([parcel]) for store in stores))
            elif what == "act":
                await _act(town, *told)
            else:
                clock.now += timedelta(seconds=told)
            await asyncio.gather(*(_tick(store) for store in stores))
            clock.now += timedelta(
                seconds=1
            )  # more than the database's clock and ours differ in a transaction
            await eventually(lambda: _at_rest(town), 20, "what is due is sent")
    finally:
        await end(workers)
        for channel in channels:
            await channel.close()
    for store in stores[1:]:
        await store.close()
    return town


async def _act(town: Town, home: int, kind: ActKind, who: str) -> None:
    rows = await town.rows(
        "SELECT id FROM alarm WHERE part = %s AND condition = 'smoke' AND state <> 'closed'", f"x-{home}"
    )
    done = Act(kind, Disposition.FALSE_ALARM if kind is ActKind.CLOSE else None, remark="seen")
    for row in rows:
        try:
            async with town.store.transaction() as tx:
                await pipeline.act(tx, row["id"], done, who, "test")
        except NotAllowed:
            continue


async def _tick(store: Store) -> None:
    async with store.transaction() as tx:
        await leases.beat(tx, "")
    for _ in range(3):
        async with store.transaction() as tx:
            await pipeline.run_due(tx)
    async with store.transaction() as tx:
        await pipeline.sweep(tx)


async def _at_rest(town: Town) -> bool:
    return not await town.rows(
        "SELECT FROM delivery WHERE state = 'sending' OR (state = 'pending' AND due_at <= %s)",
        town.time.now,  # type: ignore[attr-defined]
    )


async def planned(town: Town) -> list[tuple[Any, ...]]:
    """Every message that was planned, by what makes it one; alarms by their home and which it was of it."""
    rows = await town.rows(
        "SELECT a.part, a.condition,"
        " (SELECT count(*) FROM alarm b WHERE b.part = a.part AND b.id < a.id) AS nth,"
        " d.purpose, d.round, d.step, d.worker, d.channel FROM delivery d JOIN alarm a ON a.id = d.alarm"
    )
    return sorted(tuple(row.values()) for row in rows)


@pytest.mark.parametrize(
    "seed", [pytest.param(1), *(pytest.param(n, marks=pytest.mark.soak) for n in range(2, 12))]
)
async def test_three_replicas_plan_what_one_plans_and_send_nothing_twice(
    database_server: Server, database_template: str, seed: int
) -> None:
    """Every event reaches all three at once, all three tick and send; the alarms' lives are the same."""
    lives = []
    for replicas in (1, 3):
        async with sink() as phone:
            dsn = new_database(database_server, database_template)
            town = await play(dsn, phone, replicas, seed)
            try:
                sent_twice = await town.rows(
                    "SELECT delivery FROM attempt WHERE outcome = 'sent'"
                    " GROUP BY delivery HAVING count(*) > 1"
                )
                assert sent_twice == []
                assert len(set(phone.keys)) == len(phone.keys)
                alarms = await town.rows(
                    "SELECT part, condition, state, round, disposition FROM alarm ORDER BY part, id"
                )
                lives.append((await planned(town), [tuple(row.values()) for row in alarms]))
            finally:
                await town.store.close()
        drop_database(database_server, dsn)
    one, three = lives
    assert one[1] == three[1]
    assert one[0] == three[0]
    assert len(one[0]) > 2 * STEPS, "there was something to compare"
