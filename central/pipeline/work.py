"""What one transaction knows of sources and alarms, and means to write of them.

Law of this file: rows are read once for many events, decided upon in memory, and written together; what is
asked here is always answered as if it had been written already. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from central.engine.effects import DueKind
from central.engine.model import Alarm, AlarmState, Condition
from central.engine.policy import Target
from central.notifier.plan import Planned, Recipient
from central.store import alarms, deliveries, due, people, sources
from central.store.alarms import Line
from central.store.due import DueRow
from central.store.errors import StoreConflict, StoreRefused
from central.store.people import Duty
from central.store.pool import Tx
from central.store.savepoint import in_one_go, savepoint
from central.store.sources import Place, Source, Word

T = TypeVar("T")
_Key = tuple[str | None, str, Condition]
"""The gateway (None: the centre), the part and the condition of an alarm."""


class LostRace(Exception):  # noqa: N818 - not a fault: look again
    """Another transaction opened an alarm first; nothing of this work may be kept."""


async def together(tx: Tx, do: Callable[[Work], Awaitable[T]]) -> T:
    """Let `do` work, then write all that it left. Nothing is kept of it when either fails.

    `do` is called again when another transaction opened an alarm of the same source meanwhile.
    """
    for _ in range(3):
        try:
            async with savepoint(tx):
                work = Work(tx)
                done = await do(work)
                await work.write()
                return done
        except LostRace:
            continue
    raise StoreConflict("another transaction opens the same alarms")


class Work:
    """Reads through, writes behind: `write` sends what has gathered."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.now: datetime = tx.now
        self._known_words: set[tuple[str, str]] = set()
        self._words: dict[Source, Word] = {}
        self._said: dict[Source, Word] = {}
        self._known_parts: set[tuple[str | None, str]] = set()
        self._known_detectors: set[str] = set()
        self._open: dict[_Key, Alarm] = {}
        self._new: dict[int, Alarm] = {}
        self._changed: dict[int, Alarm] = {}
        self._known_closed: set[_Key] = set()
        self._closed: dict[_Key, int] = {}
        self._ids: list[int] = []
        self._places: dict[tuple[str, datetime], Place | None] = {}
        self._known_duties: set[tuple[str | None, str]] = set()
        self._people: dict[Duty, list[Recipient]] = {}
        self._lines: list[Line] = []
        self._known_due: set[int] = set()
        self._due: dict[due.Key, DueRow] = {}
        self._due_changes: dict[due.Key, DueRow | None] = {}
        self._messages: list[Planned] = []

    # -- what sources said

    async def learn_words(self, gateway: str, parts: Collection[str]) -> None:
        """Look up what these parts said last, once."""
        asked = {part for part in parts if (gateway, part) not in self._known_words}
        if asked:
            self._words |= await sources.words(self.tx, gateway, asked)
            self._known_words |= {(gateway, part) for part in asked}

    async def word(self, source: Source) -> Word | None:
        """What a source said last; None when it never said anything."""
        await self.learn_words(source.gateway, (source.part,))
        return self._words.get(source)

    def say(self, source: Source, word: Word) -> None:
        """Keep what a source says now."""
        self._words[source] = self._said[source] = word

    # -- alarms

    async def learn_parts(
        self, gateway: str | None, parts: Collection[str], detectors: Collection[str] = ()
    ) -> None:
        """Lock, once, the open alarms of parts of a gateway, and of detectors whoever told of them."""
        asked = {part for part in parts if (gateway, part) not in self._known_parts}
        hung = {detector for detector in detectors if detector not in self._known_detectors}
        if asked or hung:
            for alarm in await alarms.lock_open(self.tx, gateway, asked, hung):
                self.adopt(alarm)
            self._known_parts |= {(gateway, part) for part in asked}
            self._known_detectors |= hung

    async def open_alarm(self, gateway: str | None, part: str, condition: Condition) -> Alarm | None:
        """The open alarm of one source, held until the transaction ends."""
        await self.learn_parts(gateway, (part,))
        return self._open.get((gateway, part, condition))

    async def open_of_detector(self, detector: str) -> list[Alarm]:
        """Open alarms of a detector, whichever gateway told of them, in the order of their ids."""
        await self.learn_parts(None, (), (detector,))
        return sorted((a for a in self._open.values() if a.part == detector), key=lambda a: a.id)

    async def open_life_of_gateway(self, gateway: str, bus: str | None = None) -> list[Alarm]:
        """Active smoke and heat behind a gateway, or behind one of its buses."""
        await self.write()
        found = await alarms.lock_open_life_of_gateway(self.tx, gateway, bus)
        for alarm in found:
            self.adopt(alarm)
        return found

    async def latest(
        self, gateway: str, part: str, condition: Condition, at: datetime, span: timedelta
    ) -> Alarm | None:
        """As `alarms.lock_latest`."""
        await self.write()
        found = await alarms.lock_latest(self.tx, gateway, part, condition, at, span)
        if found is not None:
            self.adopt(found)
        return found

    async def covered(self, gateway: str | None, part: str, condition: Condition, at: datetime) -> bool:
        """As `alarms.covered`."""
        await self.write()
        return await alarms.covered(self.tx, gateway, part, condition, at)

    def adopt(self, alarm: Alarm) -> None:
        """Take an alarm whose row is locked for what it is, unless it is known here already."""
        if alarm.state is not AlarmState.CLOSED and alarm.id not in self._changed:
            self._open.setdefault((alarm.gateway, alarm.part, alarm.condition), alarm)

    async def open(self, born: Alarm) -> Alarm:
        """A new alarm (its `id` is 0), linked to the one of its source closed within the last day."""
        await self.expect(born.gateway, [(born.part, born.condition)])
        key = (born.gateway, born.part, born.condition)
        alarm = replace(born, id=self._ids.pop(0), linked_to=self._closed.get(key))
        self._new[alarm.id] = self._open[key] = alarm
        self._known_due.add(alarm.id)
        return alarm

    async def expect(self, gateway: str | None, births: Sequence[tuple[str, Condition]]) -> None:
        """Look up, once, what new alarms of these parts and conditions will need."""
        asked = {one for one in births if (gateway, *one) not in self._known_closed}
        if asked:
            for (part, condition), last in (await alarms.last_closed(self.tx, gateway, asked)).items():
                self._closed.setdefault((gateway, part, condition), last)
            self._known_closed |= {(gateway, *one) for one in asked}
        if len(self._ids) < len(births):
            self._ids += await alarms.reserve(self.tx, len(births) - len(self._ids))

    def save(self, alarm: Alarm) -> None:
        """An alarm has changed."""
        (self._new if alarm.id in self._new else self._changed)[alarm.id] = alarm
        key = (alarm.gateway, alarm.part, alarm.condition)
        if alarm.state is AlarmState.CLOSED:
            self._open.pop(key, None)
            self._closed[key] = alarm.id
        else:
            self._open[key] = alarm

    def log(self, line: Line) -> None:
        """One more line on an alarm's time line."""
        self._lines.append(line)

    # -- places and people

    async def learn_homes(self, asked: Iterable[tuple[str, datetime]]) -> None:
        """Look up where detectors hung at moments, once."""
        unknown = [one for one in dict.fromkeys(asked) if one not in self._places]
        if unknown:
            found = await sources.homes_at(self.tx, unknown)
            self._places |= {one: found.get(one) for one in unknown}

    async def home(self, detector: str, at: datetime, area: str) -> Place:
        """The home of a detector at a moment; where it is unknown, only the `area` that told of it."""
        await self.learn_homes([(detector, at)])
        return self._places[detector, at] or Place(area)

    async def learn_people(self, places: Collection[tuple[str | None, str]]) -> None:
        """Look up, once, who has a duty towards these (grid, area)."""
        asked = {place for place in places if place not in self._known_duties}
        if asked:
            self._people |= await people.recipients(self.tx, asked)
            self._known_duties |= asked

    async def recipients(self, alarm: Alarm, target: Target) -> list[Recipient]:
        """Those who have this duty towards an alarm's place."""
        await self.learn_people(((alarm.grid, alarm.area),))
        return self._people.get(Duty(alarm.grid, alarm.area, target), [])

    def tell(self, messages: Sequence[Planned]) -> None:
        """Messages to people, for now."""
        self._messages += messages

    # -- what is due

    async def learn_due(self, ids: Collection[int]) -> None:
        """Look up what waits for these alarms, once; their rows are held."""
        asked = {alarm for alarm in ids if alarm not in self._known_due}
        if asked:
            self._due = {**await due.of_alarms(self.tx, asked), **self._due}
            self._known_due |= asked

    async def due_row(self, alarm: int, kind: DueKind) -> DueRow | None:
        """What waits of this kind, due or not."""
        key = (alarm, kind)
        if key in self._due_changes:
            return self._due_changes[key]
        await self.learn_due((alarm,))
        return self._due.get(key)

    async def next_due(self, alarm: int) -> tuple[DueKind, DueRow] | None:
        """The oldest of what is due by now."""
        rows = [(kind, row) for kind in DueKind if (row := await self.due_row(alarm, kind)) is not None]
        ready = [(row.due_at, kind.value, kind, row) for kind, row in rows if row.due_at <= self.now]
        return min(ready)[2:] if ready else None

    async def schedule(self, alarm: int, kind: DueKind, row: DueRow, *, only_forward: bool) -> None:
        """Set the row of this kind; with `only_forward` one that waits for a later step stays."""
        if only_forward:
            waiting = await self.due_row(alarm, kind)
            if waiting is not None and waiting.step >= row.step:
                return
        self._due_changes[alarm, kind] = row

    def cancel(self, alarm: int, kind: DueKind) -> None:
        """Nothing of this kind is due any more."""
        self._due_changes[alarm, kind] = None

    # -- writing

    async def write(self) -> None:
        """Send all that has gathered. Raises LostRace."""
        born: Callable[[], int] | None = None
        try:
            async with in_one_go(self.tx):
                if self._changed:  # first: a source has one open alarm at most
                    await alarms.save(self.tx, list(self._changed.values()))
                if self._new:
                    born = await alarms.insert(self.tx, list(self._new.values()))
                await self._write_rest()
        except StoreRefused:
            if born is None or born() == len(self._new):
                raise
        if born is not None and born() < len(self._new):
            raise LostRace
        self._settle()

    async def _write_rest(self) -> None:
        over = [key for key, row in self._due_changes.items() if row is None and key[0] not in self._new]
        wanted = {key: row for key, row in self._due_changes.items() if row is not None}
        ended = [a.id for a in (*self._new.values(), *self._changed.values()) if a.state is AlarmState.CLOSED]
        if self._said:
            await sources.say(self.tx, self._said)
        if self._lines:
            await alarms.log(self.tx, self._lines)
        if over:
            await due.cancel(self.tx, over)
        if wanted:
            await due.schedule(self.tx, wanted)
        if self._messages:
            await deliveries.enqueue(self.tx, self._messages)
        if ended:
            await deliveries.call_off(self.tx, ended)

    def _settle(self) -> None:
        """What was to be written is what the tables hold."""
        for key, row in self._due_changes.items():
            self._due.pop(key, None)
            if row is not None:
                self._due[key] = row
        self._new, self._changed, self._said, self._due_changes = {}, {}, {}, {}
        self._lines, self._messages = [], []
