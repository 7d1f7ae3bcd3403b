"""What one transaction knows of sources and alarms, and means to write of them.

Law of this file: rows are read once for many events, decided upon in memory, and written together; what is
asked here is always answered as if it had been written already. It decides nothing. Nobody waits for a write:
while the database is at it the next events are judged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from msgspec.structs import replace

from central.engine.book import Book
from central.engine.effects import DueKind
from central.engine.model import Alarm, AlarmState, Condition
from central.engine.policy import Policy, family_channels
from central.engine.window import Window, holds
from central.forwarding import News
from central.notifier.plan import Planned, Recipient
from central.store import alarms, deliveries, due, folds, forward, leases, people, policies, sources, windows
from central.store.alarms import Line
from central.store.due import DueRow
from central.store.errors import StoreConflict, StoreDown, StoreRefused
from central.store.people import Duty, People
from central.store.pool import Tx
from central.store.savepoint import at_once, in_one_go, mark, undo
from central.store.sources import Place, Source, Word

_log = structlog.get_logger()
T = TypeVar("T")
_MARK = "work"
_Key = tuple[str | None, str, Condition]
"""The gateway (None: the centre), the part and the condition of an alarm."""


class LostRace(Exception):  # noqa: N818 - not a fault: look again
    """Another transaction opened an alarm first; nothing of this work may be kept."""


async def together(tx: Tx, do: Callable[[Work], Awaitable[T]]) -> T:
    """Let `do` work, then write all that it left. Nothing is kept of it when either fails.

    `do` is called again when another transaction opened an alarm of the same source meanwhile.
    """
    for _ in range(3):
        work = Work(tx)
        try:
            async with in_one_go(tx):
                await mark(tx, _MARK)
                done = await do(work)
                await work.write()
            work.check_births()
        except Exception as error:
            await undo(tx, _MARK)
            raced = isinstance(error, LostRace) or (isinstance(error, StoreRefused) and work.lost_race)
            if not raced:
                raise
        else:
            return done
    raise StoreConflict("another transaction opens the same alarms")


async def all_or_each(
    tx: Tx, ids: Sequence[int], do: Callable[[Work, Sequence[int]], Awaitable[int]], name: str
) -> int:
    """Let `do` work on all of these alarms together; when that fails, on each by itself. What it counted.

    One that cannot be worked on hinders no other.
    """
    try:
        return await together(tx, lambda work: do(work, ids))
    except (StoreDown, StoreConflict):
        raise
    except Exception as error:  # noqa: BLE001 - one of them; the others must be seen to
        _log.error("failed together", work=name, alarms=len(ids), error=f"{type(error).__name__}: {error}")
    done = 0
    for alarm in ids:
        alone = partial(_alone, do=do, alarm=alarm)
        try:
            done += await together(tx, alone)
        except (StoreDown, StoreConflict):
            raise
        except Exception as error:  # noqa: BLE001 - the other alarms must be seen to
            _log.critical("failed", work=name, alarm=alarm, error=f"{type(error).__name__}: {error}")
    return done


async def _alone(work: Work, do: Callable[[Work, Sequence[int]], Awaitable[int]], alarm: int) -> int:
    return await do(work, [alarm])


class Work:
    """Reads through, writes behind: `write` sends what has gathered."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.now: datetime = tx.now
        self._known_words: set[Source] = set()
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
        self._people = People()
        self._told: dict[Duty, list[Recipient]] = {}
        self._book: Book | None = None
        self._windows: dict[str, list[Window]] = {}
        self._lines: list[Line] = []
        self._known_due: set[int] = set()
        self._due: dict[due.Key, DueRow] = {}
        self._due_changes: dict[due.Key, DueRow | None] = {}
        self._messages: list[Planned] = []
        self._news: list[News] = []
        self._births: list[Callable[[], bool]] = []
        self._folds: dict[int, int] = {}
        self._returned: dict[str, datetime | None] = {}
        self._ended: dict[_Key, int] = {}

    # -- what sources said

    async def learn_words(self, asked: Iterable[Source]) -> None:
        """Look up what these sources said last, once."""
        unknown = {source for source in asked if source not in self._known_words}
        if unknown:
            self._words |= await sources.words(self.tx, unknown)
            self._known_words |= unknown

    async def word(self, source: Source) -> Word | None:
        """What a source said last; None when it never said anything."""
        if source not in self._known_words:
            await self.learn_words((source,))
        return self._words.get(source)

    def say(self, source: Source, word: Word) -> None:
        """Keep what a source says now."""
        self._words[source] = self._said[source] = word

    # -- alarms

    async def learn_parts(
        self, parts: Collection[tuple[str | None, str]], detectors: Collection[str] = ()
    ) -> None:
        """Lock, once, the open alarms of parts of gateways, and of detectors whoever told of them."""
        asked = {one for one in parts if one not in self._known_parts}
        hung = {detector for detector in detectors if detector not in self._known_detectors}
        if asked or hung:
            for alarm in await alarms.lock_open(self.tx, asked, hung):
                self.adopt(alarm)
            self._known_parts |= asked
            self._known_detectors |= hung

    async def open_alarm(self, gateway: str | None, part: str, condition: Condition) -> Alarm | None:
        """The open alarm of one source, held until the transaction ends."""
        await self.learn_parts([(gateway, part)])
        return self._open.get((gateway, part, condition))

    async def open_of_detector(self, detector: str) -> list[Alarm]:
        """Open alarms of a detector, whichever gateway told of them, in the order of their ids."""
        await self.learn_parts((), (detector,))
        return sorted((a for a in self._open.values() if a.part == detector), key=lambda a: a.id)

    async def open_life_of_gateway(self, gateway: str, bus: str | None = None) -> list[Alarm]:
        """Active smoke and heat behind a gateway, or behind one of its buses."""
        await self.write()
        found = await alarms.lock_open_life_of_gateways(self.tx, [gateway], bus)
        for alarm in found:
            self.adopt(alarm)
        return found

    async def open_life_of_gateways(self, gateways: Collection[str]) -> list[Alarm]:
        """Active smoke and heat behind gateways."""
        await self.write()
        found = await alarms.lock_open_life_of_gateways(self.tx, gateways)
        for alarm in found:
            self.adopt(alarm)
        return found

    async def life_behind(self, gateways: Collection[str]) -> set[str]:
        """Those behind which smoke or heat is not closed, known to be there still or not."""
        here = {alarm.gateway for alarm in self._open.values() if alarm.life and alarm.gateway is not None}
        return here.intersection(gateways) | await folds.life_behind(self.tx, gateways)

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
        key = (born.gateway, born.part, born.condition)
        await self.expect([key])
        alarm = replace(born, id=self._ids.pop(0), linked_to=self._closed.get(key))
        self._new[alarm.id] = self._open[key] = alarm
        self._known_due.add(alarm.id)
        return alarm

    async def expect(self, births: Sequence[_Key]) -> None:
        """Look up, once, what new alarms of these gateways, parts and conditions will need."""
        asked = [one for one in dict.fromkeys(births) if one not in self._known_closed]
        await at_once(self._learn_closed(asked), self._learn_ids(len(births)))

    async def _learn_closed(self, asked: Sequence[_Key]) -> None:
        if asked:
            for key, last in (await alarms.last_closed(self.tx, asked)).items():
                self._closed.setdefault(key, last)
            self._known_closed.update(asked)

    async def _learn_ids(self, wanted: int) -> None:
        if len(self._ids) < wanted:
            self._ids += await alarms.reserve(self.tx, wanted - len(self._ids))

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

    # -- what stands for what

    def fold(self, alarm: int, parent: int) -> None:
        """Nobody is told of an alarm while its parent stands."""
        self._folds[alarm] = parent

    async def returned(self, gateway: str) -> datetime | None:
        """When a gateway was last heard again after a silence, its own or ours."""
        if gateway not in self._returned:
            self._returned[gateway] = (await leases.returned(self.tx, [gateway])).get(gateway)
        return self._returned[gateway]

    async def learn_ended(self, births: Collection[_Key], since: datetime) -> None:
        """Look up, once, how many alarms of these sources have ended since a moment."""
        asked = [one for one in dict.fromkeys(births) if one not in self._ended]
        if asked:
            found = await folds.ended(self.tx, asked, since)
            self._ended |= {one: found.get(one, 0) for one in asked}

    async def ended(self, key: _Key, since: datetime) -> int:
        """How many alarms of a source have ended since a moment."""
        await self.learn_ended([key], since)
        return self._ended[key]

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
        """Look up, once, who has a duty towards these (grid, area), and whom their policies name."""
        asked = {place for place in places if place not in self._known_duties}
        if asked:
            book = await self._policies()
            named = {name for grid, area in asked for name in book.named(area, grid)}
            await people.learn(self.tx, self._people, asked, named)
            self._known_duties |= asked

    async def recipients(self, alarm: Alarm, target: str) -> list[Recipient]:
        """Those who have this duty towards an alarm's place now, are named by it, or are the families."""
        if channels := family_channels(target):
            if alarm.household is None:
                return []
            return await people.families(self.tx, alarm.area, alarm.household, channels)
        duty = Duty(alarm.grid, alarm.area, target)
        if duty not in self._told:
            await self.learn_people(((alarm.grid, alarm.area),))
            self._told[duty] = self._people.told(duty, self.now)
        return self._told[duty]

    async def person(self, worker: str) -> Recipient | None:
        """One worker by name, whatever their hours; None when they are off duty or have no contact."""
        contacts = (await deliveries.contacts(self.tx, [worker])).get(worker)
        return Recipient(worker, contacts) if contacts else None

    async def policy(self, alarm: Alarm) -> Policy:
        """The climb of an alarm, now."""
        return await self.policy_of(alarm.condition, alarm.area, alarm.grid, alarm.part)

    async def policy_of(self, condition: Condition, area: str, grid: str | None, part: str) -> Policy:
        """The climb of a condition of a part at a place, now."""
        policy = await self.policy_for(condition, area, grid)
        return holds(policy, condition, await self.windows(part), self.now)

    async def learn_windows(self, parts: Iterable[str]) -> None:
        """Look up, once, which of these detectors somebody works on."""
        unknown = {part for part in parts if part not in self._windows}
        if unknown:
            found = await windows.of_detectors(self.tx, unknown)
            self._windows |= {part: found.get(part, []) for part in unknown}

    async def windows(self, part: str) -> list[Window]:
        """The windows of a detector that are open now; what is no detector has none."""
        if part == "" or ":" in part:
            return []
        await self.learn_windows((part,))
        return self._windows[part]

    async def policy_for(self, condition: Condition, area: str, grid: str | None) -> Policy:
        """The climb of a condition at a place."""
        return (await self._policies()).policy_for(condition, area, grid)

    async def _policies(self) -> Book:
        """The same for all of this work: whom a policy names is looked up with the people of a place."""
        if self._book is None:
            self._book = await policies.book(self.tx)
        return self._book

    def tell(self, messages: Sequence[Planned]) -> None:
        """Messages to people, for now."""
        self._messages += messages

    def forward(self, news: Sequence[News]) -> None:
        """News for fire-brigade centres."""
        self._news += news

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

    async def write(self, *, but_young: bool = False) -> None:
        """Send what has gathered; the database may still be at it when this returns.

        With `but_young` what belongs to new alarms that are open waits: they may change again, and a row that
        is written once costs half of one that is written and changed.
        """
        young = {a.id for a in self._new.values() if but_young and a.state is not AlarmState.CLOSED}
        new = [alarm for alarm in self._new.values() if alarm.id not in young]
        lines = [line for line in self._lines if line.alarm not in young]
        messages = [message for message in self._messages if message.alarm not in young]
        news = [one for one in self._news if one.alarm not in young]
        due_changes = {key: row for key, row in self._due_changes.items() if key[0] not in young}
        ended = [a.id for a in (*new, *self._changed.values()) if a.state is AlarmState.CLOSED]
        if self._changed:  # first: a source has one open alarm at most
            await alarms.save(self.tx, list(self._changed.values()))
        if new:
            self._births.append(await alarms.insert(self.tx, new))
        if self._said:
            await sources.say(self.tx, self._said)
        if lines:
            await alarms.log(self.tx, lines)
        folded = {alarm: parent for alarm, parent in self._folds.items() if alarm not in young}
        if folded:
            await folds.add(self.tx, folded)
        await self._write_due(due_changes)
        if messages:
            await deliveries.enqueue(self.tx, messages)
        if news:
            await forward.add(self.tx, news)
        if ended:
            await deliveries.call_off(self.tx, ended)
        self._changed, self._said = {}, {}
        self._new = {alarm: self._new[alarm] for alarm in young}
        self._lines = [line for line in self._lines if line.alarm in young]
        self._messages = [message for message in self._messages if message.alarm in young]
        self._news = [one for one in self._news if one.alarm in young]
        self._folds = {alarm: parent for alarm, parent in self._folds.items() if alarm in young}
        for key in due_changes:
            del self._due_changes[key]

    async def _write_due(self, changes: dict[due.Key, DueRow | None]) -> None:
        over = [key for key, row in changes.items() if row is None and key[0] not in self._new]
        wanted = {key: row for key, row in changes.items() if row is not None}
        if over:
            await due.cancel(self.tx, over)
        if wanted:
            await due.schedule(self.tx, wanted)
        for key in over:
            self._due.pop(key, None)
        self._due |= wanted

    @property
    def lost_race(self) -> bool:
        """Whether another transaction is known to have opened one of our alarms first."""
        return any(lost() for lost in self._births)

    def check_births(self) -> None:
        """When all has been answered. Raises LostRace."""
        if self.lost_race:
            raise LostRace
