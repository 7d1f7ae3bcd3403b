"""The centre's acting parts on a small town with a real telephone, its time moved by the test.

After each step the telephone's whole list of messages is known: one too many fails as well as one too few.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from central import pipeline
from central.config import JobsSettings, WorkerSettings
from central.ending import end
from central.engine.model import Act, ActKind
from central.jobs import Jobs
from central.notifier.channels.webhook import Webhook, WebhookConfig
from central.store import deliveries, leases
from central.store.pool import Store
from central.worker import Worker
from simulator.demo.phone import Phone
from simulator.parts import free_port
from tests.harness.town import AREA, BOOT, STREAM, Time, Town, batch, event, open_town, send
from tests.harness.wait import eventually
from wire.messages import Clock, Condition, EventKind, Status

SECRET, URL = "a secret of the test", "https://fire.example"

Heard = list[tuple[str, str, int, int]]
"""Of each message: to whom, for what purpose, which round, which step."""


class SlowTime(Time):
    """Time that creeps at a hundredth: however slow the machine, a step comes when the test moves to it.

    Standing still it would not do: what is due now must be past for who looks a moment later. Tests keep a
    second off every deadline.
    """

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()

    def __call__(self) -> timedelta:
        return self.shift - 0.99 * timedelta(seconds=time.monotonic() - self._began)


@dataclass
class Centre:
    """Everything of the centre that acts, on one database; may be torn down and built again."""

    town: Town
    phone: Phone
    seq: int = 0
    seen: int = 0
    parts: list[asyncio.Task[None]] = field(default_factory=list)
    channel: Webhook | None = None

    async def build(self, *, ticking: bool = False) -> None:
        """A new worker, and with `ticking` new ticks; the store is the town's."""
        config = WebhookConfig(f"{self.phone.url}/messages", SECRET.encode(), 5.0)
        self.channel = Webhook(config, lambda: datetime.now(UTC))
        worker = Worker(self.town.store, {"webhook": self.channel}, WorkerSettings(), URL)
        self.parts = [asyncio.create_task(worker.run())]
        if ticking:
            jobs = Jobs(self.town.store, JobsSettings(), lambda: datetime.now(UTC))
            self.parts.append(asyncio.create_task(jobs.run()))

    async def tear_down(self) -> None:
        """Nothing of it is left in memory."""
        await end(self.parts)
        self.parts = []
        if self.channel is not None:
            await self.channel.close()
        await self.town.store.close()

    async def open_store(self) -> None:
        """The store of a process that has just started; the gateways are heard again before it ticks."""
        self.town.store = Store(self.town.dsn, clock_shift=self.town.time)
        await self.town.store.open()
        await self.listen()
        for gateway in ("gw-1", "gw-2"):
            await self.heartbeat(gateway)

    async def listen(self) -> None:
        """Ingest beats."""
        async with self.town.store.transaction() as tx:
            await leases.beat(tx, "")

    async def heartbeat(self, gateway: str = "gw-1", **more: Any) -> None:
        """A live heartbeat; `more` are fields of the status."""
        async with self.town.store.transaction() as tx:
            clock = Clock(mono_ms=1, wall_ms=round(tx.now.timestamp() * 1000))
            status = Status(online=True, boot=BOOT, stream=STREAM, clock=clock, **more)
            await pipeline.take_beats(tx, [pipeline.Beat(AREA, gateway, status, tx.now)])

    async def smoke(self, kind: EventKind) -> None:
        """The detector's next word."""
        self.seq += 1
        await send(self.town, batch([event(self.seq, kind, Condition.SMOKE)]))

    async def after(self, **span: float) -> None:
        """Time passes, and the tick looks. What is due is sent before: a leap would outdate its claim."""
        if self.parts:
            _: bool = await eventually(self._nothing_waits, 15, "everything that is due is sent")
        self.town.time.forward(**span)
        async with self.town.store.transaction() as tx:
            await pipeline.run_due(tx)

    async def act(self, kind: ActKind, who: str = "primary", **more: Any) -> None:
        """A person acts."""
        async with self.town.store.transaction() as tx:
            await pipeline.act(tx, 1, Act(kind, **more), who, "test")

    async def heard(self, *wanted: tuple[str, str, int, int]) -> None:
        """The telephone has got these since the last question, each once, and nothing else is on its way."""

        async def quiet() -> bool:
            waiting = await self.town.rows("SELECT FROM delivery WHERE state <> 'sent'")
            return not waiting and len(self.phone.messages()) >= self.seen + len(wanted)

        _: bool = await eventually(quiet, 15, f"{len(wanted)} more message(s) after {self._since(0)}")
        assert self._since(self.seen) == sorted(wanted)
        self.seen = len(self.phone.messages())

    async def _nothing_waits(self) -> bool:
        async with self.town.store.transaction() as tx:
            return (await deliveries.backlog(tx)).waiting == 0

    def _since(self, seen: int) -> Heard:
        found: Heard = []
        for message in self.phone.messages()[seen:]:
            _, purpose, round_, step, worker, _ = message.body["id"].split(":")
            assert message.body["to"] == f"tel-{worker}"
            found.append((worker, purpose, int(round_), int(step)))
        return sorted(found)

    @property
    def link(self) -> str:
        """The path of the page in the last message."""
        return str(self.phone.messages()[-1].body["link"]).removeprefix(URL)

    async def alarm(self) -> tuple[str, int]:
        """State and round of the one alarm there is."""
        row = await self.town.one("SELECT state, round FROM alarm")
        return row["state"], row["round"]


def tell(step: int, *workers: str, round_: int = 1, purpose: str = "alarm") -> Heard:
    return [(worker, purpose, round_, step) for worker in workers]


@asynccontextmanager
async def acting_centre(dsn: str) -> AsyncIterator[Centre]:
    """A town whose people are reached by one telephone."""
    town = await open_town(dsn, SlowTime())
    await town.do("UPDATE contact SET channel = 'webhook', address = 'tel-' || worker")
    phone = Phone(free_port(), SECRET, (), lambda _: None, lambda: datetime.now(UTC).timestamp())
    phone.start()
    made = Centre(town, phone)
    await made.build()
    yield made
    await made.tear_down()
    phone.stop()
