"""A small town for tests: one street, one grid, two homes, and everybody who may be called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from central.store.pool import Store
from wire.messages import Ack, Clock, Condition, Event, EventBatch, EventKind

AREA, GATEWAY, BUS, DETECTOR = "street", "gw-1", "bus-1", "det-1"
STREAM, BOOT = "a" * 32, "b" * 32

_SQL = """
INSERT INTO area VALUES ('street', '丹水池街道');
INSERT INTO community VALUES ('c1', 'street', '一社区');
INSERT INTO grid VALUES ('g1', 'c1', '一网格', 114.3, 30.6);
INSERT INTO building VALUES ('b1', 'g1', '3栋', '建设路3号', 7, NULL, NULL);
INSERT INTO household VALUES ('h1', 'b1', '2单元', 5, '501'), ('h2', 'b1', '2单元', 6, '601');
INSERT INTO resident (id, household, name, birth_year, phone, needs)
    VALUES ('r1', 'h1', '王奶奶', 1943, '13800000000', '听力差');
INSERT INTO worker (id, area, name, role, community) VALUES
    ('primary', 'street', '李网格', 'grid_worker', 'c1'), ('backup', 'street', '周网格', 'grid_worker', 'c1'),
    ('lead', 'street', '陈书记', 'community_lead', 'c1'), ('desk', 'street', '值班', 'dispatcher', NULL),
    ('fitter', 'street', '安装', 'installer', NULL);
INSERT INTO worker_grid VALUES ('primary', 'g1', 'primary'), ('backup', 'g1', 'backup');
INSERT INTO contact SELECT id, 0, 'console', id FROM worker;
INSERT INTO gateway VALUES ('gw-1', 'street', '楼道', 'b1', now(), 'test');
INSERT INTO gateway VALUES ('gw-2', 'street', '另一楼道', 'b1', now(), 'test');
INSERT INTO lease VALUES ('gw-1', now(), '0'), ('gw-2', now(), '0');
INSERT INTO bus VALUES ('gw-1', 'bus-1', '{}'), ('gw-2', 'bus-1', '{}');
INSERT INTO detector VALUES ('det-1', 'smokewatch-reference'), ('det-2', 'smokewatch-reference');
INSERT INTO placement (detector, household, gateway, bus, unit, spot, from_at) VALUES
    ('det-1', 'h1', 'gw-1', 'bus-1', 1, '厨房', now() - interval '1 year'),
    ('det-2', 'h2', 'gw-1', 'bus-1', 2, '客厅', now() - interval '1 year');
"""


def found(dsn: str) -> None:
    """Put the town into an empty, migrated database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_SQL)


@dataclass
class Time:
    """The clock's shift, moved by tests."""

    shift: timedelta = field(default_factory=timedelta)

    def forward(self, **span: float) -> None:
        self.shift += timedelta(**span)

    def __call__(self) -> timedelta:
        return self.shift


@dataclass
class Town:
    """The store, its clock, and a look into the tables."""

    dsn: str
    store: Store
    time: Time

    async def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        async with self.store.transaction() as tx:
            return await (await tx.conn.execute(query.encode(), values)).fetchall()

    async def one(self, query: str, *values: object) -> dict[str, Any]:
        rows = await self.rows(query, *values)
        assert len(rows) == 1, rows
        return rows[0]

    async def do(self, query: str, *values: object) -> None:
        async with self.store.transaction() as tx:
            await tx.conn.execute(query.encode(), values)

    async def told(self) -> list[tuple[str, str, int, int]]:
        """worker, purpose, round, step of each delivery in order."""
        rows = await self.rows("SELECT worker, purpose, round, step FROM delivery ORDER BY id")
        return [(r["worker"], r["purpose"], r["round"], r["step"]) for r in rows]


async def open_town(dsn: str, time: Time | None = None) -> Town:
    """Found a town and open its store."""
    await asyncio.to_thread(found, dsn)
    time = Time() if time is None else time
    store = Store(dsn, clock_shift=time)
    await store.open()
    return Town(dsn, store, time)


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    """A town of one's own; a test file adds to it by a fixture of the same name that takes this one."""
    made = await open_town(database)
    yield made
    await made.store.close()


def event(seq: int, kind: EventKind, condition: Condition | None = None, **more: Any) -> Event:
    """An event of the one detector, seen `seq` seconds after the agent's boot."""
    if condition is not None and not {"detector", "bus"} & set(more):
        more["detector"] = DETECTOR
    more.setdefault("mono_ms", seq * 1000)
    return Event(seq=seq, kind=kind, at_ms=1_700_000_000_000 + seq * 1000, condition=condition, **more)


def batch(
    events: Iterable[Event],
    *,
    stream: str = STREAM,
    oldest: int = 1,
    boot: str = BOOT,
    sent_mono_ms: int | None = None,
) -> EventBatch:
    """Consecutive events, sent at the very moment of the last of them unless told otherwise."""
    listed = list(events)
    mono = max(e.mono_ms for e in listed) if sent_mono_ms is None else sent_mono_ms
    return EventBatch(
        stream=stream,
        first_seq=listed[0].seq,
        oldest_seq=min(oldest, listed[0].seq),
        boot=boot,
        sent_boot=boot,
        clock=Clock(mono_ms=mono, wall_ms=0),
        events=listed,
    )


async def send(town: Town, sent: EventBatch, *, area: str = AREA, gateway: str = GATEWAY) -> Ack:
    """Hand a batch to the pipeline as ingest would."""
    from central.pipeline import Came, take_events

    async with town.store.transaction() as tx:
        (ack,) = await take_events(tx, [Came(area, gateway, sent, tx.now)])
        return ack


MOMENT = datetime(2026, 3, 1, tzinfo=UTC)
