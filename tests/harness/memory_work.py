"""The pipeline's own work on alarms without a database: what it would write stays in memory.

Law of this file: it decides nothing. `judge`, `carry_out` and the climb are the real ones, and so is all of
`Work` but what it asks of tables; those answers are given here, from what the same work left before.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar, cast

from central.engine.book import BUILT_IN, Book
from central.engine.model import Alarm, AlarmState, Condition
from central.engine.window import Window
from central.notifier.plan import Planned, Recipient
from central.pipeline.work import Work
from central.store.alarms import Line
from central.store.due import DueRow, Key
from central.store.pool import Connection, Tx
from central.store.sources import Place, Source

T = TypeVar("T")
_TOLERANCE = timedelta(seconds=2)


class Change(NamedTuple):
    """One alarm before and after one save."""

    before: Alarm
    after: Alarm


class MemoryWork(Work):
    """One transaction that never ends."""

    def __init__(self, now: datetime, home: Place) -> None:
        """`home` is where every registered detector hangs."""
        super().__init__(Tx(cast("Connection", None), now))
        self.book: Book = BUILT_IN
        self.home_place = home
        self.registered: set[str] = set()
        self.on_duty: dict[str, list[Recipient]] = {}
        """Who is told for a target now."""
        self.worked_on: dict[str, list[Window]] = {}
        """Windows by detector."""
        self.back_at: dict[str, datetime] = {}
        """When gateways were heard again after a silence."""
        self.said: list[tuple[datetime, Line]] = []
        self.changes: list[Change] = []
        self.messages: list[Planned] = []
        self._next_id = 1

    # -- what a test looks at

    @property
    def alarms(self) -> dict[int, Alarm]:
        """All that were ever opened, as they are."""
        return self._new

    @property
    def due(self) -> dict[Key, DueRow]:
        """What waits."""
        return {key: row for key, row in self._due_changes.items() if row is not None}

    def put_due(self, rows: dict[Key, DueRow]) -> None:
        """Set rows as they are."""
        self._due_changes.update(rows)

    # -- in the place of tables

    async def learn_words(self, asked: Iterable[Source]) -> None:
        """All words are known already."""

    async def learn_parts(
        self, parts: Collection[tuple[str | None, str]], detectors: Collection[str] = ()
    ) -> None:
        """All open alarms are known already."""

    async def learn_due(self, ids: Collection[int]) -> None:
        """All rows are known already."""

    async def windows(self, part: str) -> list[Window]:
        """Those that are open now."""
        return [window for window in self.worked_on.get(part, []) if window.lasts(self.now)]

    async def person(self, worker: str) -> Recipient | None:
        """Whoever is there now."""
        return next((one for told in self.on_duty.values() for one in told if one.worker == worker), None)

    async def returned(self, gateway: str) -> datetime | None:
        """When it was heard again after a silence."""
        return self.back_at.get(gateway)

    async def learn_ended(
        self, births: Collection[tuple[str | None, str, Condition]], since: datetime
    ) -> None:
        """Those of the alarms here that closed since then."""
        for key in births:
            self._ended[key] = sum(
                (alarm.gateway, alarm.part, alarm.condition) == key
                and alarm.closed_at is not None
                and alarm.closed_at >= since
                for alarm in self.alarms.values()
            )

    async def life_behind(self, gateways: Collection[str]) -> set[str]:
        """Where smoke or heat is not closed."""
        burning = {
            alarm.gateway
            for alarm in self.alarms.values()
            if alarm.life and alarm.state is not AlarmState.CLOSED
        }
        return {gateway for gateway in gateways if gateway in burning}

    async def expect(self, births: Sequence[tuple[str | None, str, Condition]]) -> None:
        """As many ids as are needed."""
        self._ids.append(self._next_id)
        self._next_id += 1

    async def home(self, detector: str, at: datetime, area: str) -> Place:
        """The one home, or none for a detector that is not registered."""
        return self.home_place if detector in self.registered else Place(area)

    async def recipients(self, alarm: Alarm, target: str) -> list[Recipient]:
        """Whoever is there now."""
        return self.on_duty.get(target, [])

    async def policy_for(self, condition: Condition, area: str, grid: str | None) -> Any:
        """By the book as it is now."""
        return self.book.policy_for(condition, area, grid)

    async def covered(self, gateway: str | None, part: str, condition: Condition, at: datetime) -> bool:
        """As the query `covering`."""
        return any(
            alarm.event_at <= at + _TOLERANCE
            and (ended := alarm.cleared_at or alarm.closed_at) is not None
            and ended >= at - _TOLERANCE
            for alarm in self.alarms.values()
            if alarm.state is AlarmState.CLOSED
            and (alarm.gateway, alarm.part, alarm.condition) == (gateway, part, condition)
        )

    async def write(self, *, but_young: bool = False) -> None:
        """Nothing leaves memory."""

    # -- what is looked at afterwards

    def save(self, alarm: Alarm) -> None:
        """Keep what it was."""
        before = self.alarms[alarm.id]
        super().save(alarm)
        self.changes.append(Change(before, alarm))

    def log(self, line: Line) -> None:
        """Keep when it was."""
        self.said.append((self.now, line))

    def tell(self, messages: Sequence[Planned]) -> None:
        """Keep the messages."""
        self.messages += messages

    def forward(self, news: Sequence[Any]) -> None:
        """There is no fire-brigade centre here."""


def done(working: Coroutine[Any, Any, T]) -> T:
    """The outcome of a coroutine that never waits."""
    try:
        working.send(None)
    except StopIteration as ended:
        return cast("T", ended.value)
    working.close()
    raise AssertionError("it waits for something outside")


def next_row(work: MemoryWork, until: datetime) -> tuple[int, DueRow] | None:
    """The alarm whose row is due first, by `until`."""
    ready = [
        (row.due_at, alarm, kind.value, row) for (alarm, kind), row in work.due.items() if row.due_at <= until
    ]
    if not ready:
        return None
    _, alarm, _, row = min(ready)
    return alarm, row
