"""Events, their numbers and what is kept beside them, in one SQLite database on disk or in memory.

Law of this file: each method is one transaction, all or nothing, and sequence numbers have no holes. A
*stream* ends where they could come to mean something else; the rows still held then get new numbers in a new
stream, so that the centre can tell both apart. Not for several threads at once: the outbox locks. Every
failure is a StorageError, or LocalError for an observation that no event can carry.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge_agent.folding import fold
from edge_agent.observation import Seen
from edge_agent.outbox_file import PAGE_BYTES, get, make, put, storage_error
from edge_agent.recordable import to_events
from wire.codec import decode_event, encode_event
from wire.errors import RemoteError
from wire.messages import URGENT, Condition, Event, EventKind

KEPT_COMMANDS = 1000
FOLD_ROWS = 5000
"""So many of the oldest rows are looked at first when room is wanted."""
_COLUMNS = "row, boot, at_ms, mono_ms, urgent, body, fire"
_INSERT = f"INSERT INTO event ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 -- our own names
_SEQ_DIGITS = 16
"""A row's body holds the seq it was born with; another may be longer by this much."""
_TIDY_PAGES = 1024
"""4 MB: so much lies idle in the file, and at most so much is written to shrink it."""

Row = tuple[int, str, int, int, int, bytes, int]
"""row, boot, at_ms, mono_ms, urgent, body, fire."""


class Rows(NamedTuple):
    """Consecutive events, all recorded in one boot."""

    boot: str
    events: list[Event]
    oldest_seq: int
    """The lowest event held at the same moment."""


class Contents(NamedTuple):
    """All that a ledger holds, or what of it can be read."""

    meta: Mapping[str, object]
    rows: Iterable[Row]
    tracked: Mapping[str, bytes]
    commands: Sequence[str]


class Ledger:
    """One open database in the outbox's form. `path` only names it in errors."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._db = db
        self.stream = ""
        self.base = 0
        """A row's seq is its number less this."""
        self.last_row = 0
        self._load()

    @classmethod
    def in_memory(cls, max_bytes: int, last_row: int) -> Ledger:
        """An empty one that lives as long as the process; rows are counted on from `last_row`."""
        db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        make(db)
        db.execute(f"PRAGMA max_page_count = {max_bytes // PAGE_BYTES}")
        ledger = cls(db, Path(":memory:"))
        ledger.last_row = last_row
        ledger.new_stream()
        return ledger

    def close(self) -> None:
        """Close the database; what is on disk stays."""
        self._db.close()

    # -- events

    @property
    def highest_seq(self) -> int:
        """The last seq ever given in this stream; 0 before the first."""
        return self.last_row - self.base

    @property
    def oldest_seq(self) -> int:
        """The lowest event held; one above the highest when none is."""
        with self._reading("oldest_seq"):
            return self._oldest_row() - self.base

    @property
    def used_bytes(self) -> int:
        """Bytes in use; what was freed inside the file is not counted."""
        with self._reading("used_bytes") as db:
            (pages,), (free,) = (
                db.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "freelist_count")
            )
        return int(pages - free) * PAGE_BYTES

    def record(self, groups: Sequence[Seen]) -> list[int]:
        """Put groups on record in one transaction; returns the seqs of their events."""
        row, seqs = self.last_row, []
        with self._writing("append") as db:
            for seen in groups:
                stamp = seen.stamp
                for observation in seen.observations:
                    for event, body in to_events(observation, stamp, row + 1 - self.base):
                        row += 1
                        urgent = event.kind is EventKind.ASSERT and event.condition in URGENT
                        db.execute(
                            _INSERT,
                            (row, stamp.boot, stamp.at_ms, stamp.mono_ms, urgent, body, of_fire(event)),
                        )
                        seqs.append(row - self.base)
                db.executemany(
                    "INSERT OR REPLACE INTO tracked (name, state) VALUES (?, ?)", seen.tracked.items()
                )
            if seqs:
                put(db, "last_row", row)
        self.last_row = row
        return seqs

    def batch(self, first: int, last: int, max_bytes: int) -> Rows:
        """Events `first` to at most `last`: as many as one boot and `max_bytes` of events hold, or one."""
        events: list[Event] = []
        boot, size = "", 0
        with self._reading("batch") as db:
            found = db.execute(
                "SELECT row, boot, body FROM event WHERE row BETWEEN ? AND ? ORDER BY row",
                (first + self.base, last + self.base),
            )
            for row, its_boot, body in found:
                size += len(body) + _SEQ_DIGITS
                if events and (its_boot != boot or size > max_bytes):
                    break
                boot = its_boot
                events.append(_event(row - self.base, body))
            return Rows(boot, events, self.oldest_seq)

    def urgent(self, above: int, limit: int) -> list[int]:
        """The newest `limit` urgent events held above a seq, in ascending order."""
        with self._reading("urgent") as db:
            found = db.execute(
                "SELECT row FROM event WHERE urgent = 1 AND row > ? ORDER BY row DESC LIMIT ?",
                (above + self.base, limit),
            ).fetchall()
        return [int(row) - self.base for (row,) in reversed(found)]

    def oldest(self) -> tuple[str, int, int] | None:
        """Boot, wall clock and monotonic clock (ms) of the oldest event held."""
        with self._reading("oldest") as db:
            found = db.execute("SELECT boot, at_ms, mono_ms FROM event ORDER BY row LIMIT 1").fetchone()
        return None if found is None else (str(found[0]), int(found[1]), int(found[2]))

    def forget(self, through: int) -> None:
        """The centre has committed every event up to here. A power cut may undo it: then they go again."""
        with self._writing("forget", lasting=False) as db:
            db.execute("DELETE FROM event WHERE row <= ?", (min(through, self.highest_seq) + self.base,))

    def tidy(self) -> None:
        """Give the room of a long outage back to the disk, once little is held."""
        with self._reading("tidy") as db:
            (free,) = db.execute("PRAGMA freelist_count").fetchone()
            if free > _TIDY_PAGES >= self.used_bytes // PAGE_BYTES:
                db.execute("VACUUM")

    def settle(self) -> bool:
        """Put the log's pages where they belong and give its room back to the disk; whether that was done."""
        try:
            (busy, _, _) = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:
            return False
        return not busy

    def new_stream(self) -> None:
        """Start another stream: what is held gets new numbers from 1 in the old order."""
        with self._writing("new_stream") as db:
            base = self._oldest_row() - 1
            stream = self._begin_stream(db, base)
        self.stream, self.base = stream, base

    # -- room

    def fold(self) -> int:
        """Fold repeats; returns how many events went.

        The rows before them move up to close the holes, and a new stream begins whose first numbers stand
        for the events that went: to the centre they are a gap, which it puts on record.
        """
        window = FOLD_ROWS
        while True:
            with self._writing("fold") as db:
                oldest = self._oldest_row()
                held = self.last_row + 1 - oldest
                end = oldest + min(window, held)
                found = db.execute(
                    "SELECT row, body FROM event WHERE row < ? AND fire = 0 ORDER BY row", (end,)
                )
                gone, notes = fold((row, _event(max(1, row - self.base), body)) for row, body in found)
                if len(gone) < min(window, held) // 4 and window < held:
                    window *= 4
                    continue
                if not gone:
                    return 0
                for row, note in notes.items():
                    db.execute("UPDATE event SET body = ? WHERE row = ?", (encode_event(note), row))
                db.executemany("DELETE FROM event WHERE row = ?", ((row,) for row in gone))
                kept = [int(row) for (row,) in db.execute("SELECT row FROM event WHERE row < ?", (end,))]
                _move_up(db, sorted(kept), end)
                base = end - len(kept) - len(gone) - 1
                stream = self._begin_stream(db, base)
            self.stream, self.base = stream, base
            return len(gone)

    # -- from one ledger to another

    def contents(self) -> Contents:
        """All it holds; rows come as they are asked for, oldest first."""
        with self._reading("contents") as db:
            meta = dict(db.execute("SELECT name, value FROM meta"))
            tracked = {str(name): bytes(state) for name, state in db.execute("SELECT * FROM tracked")}
            commands = [str(one) for (one,) in db.execute("SELECT id FROM command ORDER BY number")]
        return Contents(meta, self._rows(), tracked, commands)

    def restore(self, contents: Contents, *, above: int = 0, shift: int = 0) -> None:
        """Take over all that another one held, its row numbers raised by `shift`, in one transaction.

        Rows held here above `above` give way to it. Where some stay below, all that is held then gets new
        numbers in a new stream; else the stream is the other one's.
        """
        with self._writing("restore") as db:
            db.execute("DELETE FROM event WHERE row > ?", (above,))
            stayed = [int(row) for (row,) in db.execute("SELECT row FROM event ORDER BY row")]
            first, last = None, _whole(contents.meta.get("last_row"), 0) + shift
            for row, *rest in contents.rows:
                first = row + shift if first is None else first
                last = max(last, row + shift)
                db.execute(_INSERT, (row + shift, *rest))
            for name, value in contents.meta.items():
                put(db, name, value)
            db.executemany("INSERT OR REPLACE INTO tracked VALUES (?, ?)", contents.tracked.items())
            db.executemany("INSERT OR IGNORE INTO command (id) VALUES (?)", ((c,) for c in contents.commands))
            put(db, "last_row", last)
            put(db, "base", _whole(contents.meta.get("base"), 0) + shift)
            if stayed:
                end = last + 1 if first is None else first
                _move_up(db, stayed, end)
                self._begin_stream(db, end - len(stayed) - 1)
        self._load()

    # -- what is kept beside them

    def value(self, name: str) -> object:
        """One named value, or None."""
        with self._reading(name) as db:
            return get(db, name)

    def keep(self, **values: object) -> None:
        """Keep named values: text, bytes or whole numbers."""
        with self._writing(next(iter(values))) as db:
            for name, value in values.items():
                put(db, name, value)

    def tracked(self) -> dict[str, bytes]:
        """The tracker's state as of the last append."""
        with self._reading("tracked") as db:
            return {str(name): bytes(state) for name, state in db.execute("SELECT name, state FROM tracked")}

    def forget_tracked(self, names: Sequence[str]) -> None:
        """Drop the state of what is no longer configured."""
        with self._writing("forget_tracked") as db:
            db.executemany("DELETE FROM tracked WHERE name = ?", [(name,) for name in names])

    def command_done(self, command: str) -> None:
        """Remember that this command was taken."""
        with self._writing("command_done") as db:
            db.execute("INSERT OR IGNORE INTO command (id) VALUES (?)", (command,))
            db.execute(
                "DELETE FROM command WHERE number <= (SELECT max(number) FROM command) - ?", (KEPT_COMMANDS,)
            )

    def was_done(self, command: str) -> bool:
        """Whether this command was taken before."""
        with self._reading("was_done") as db:
            return db.execute("SELECT 1 FROM command WHERE id = ?", (command,)).fetchone() is not None

    # -- inside

    def _load(self) -> None:
        with self._reading("open") as db:
            self.stream = str(get(db, "stream") or "")
            self.base = _whole(get(db, "base"), 0)
            (kept,) = db.execute("SELECT max(row) FROM event").fetchone()
            self.last_row = max(_whole(get(db, "last_row"), 0), int(kept or 0))

    def _oldest_row(self) -> int:
        (row,) = self._db.execute("SELECT min(row) FROM event").fetchone()
        return self.last_row + 1 if row is None else int(row)

    def _rows(self) -> Iterator[Row]:
        reached = 0
        while True:
            with self._reading("rows") as db:
                select = f"SELECT {_COLUMNS} FROM event WHERE row > ? ORDER BY row LIMIT 500"  # noqa: S608
                some: list[Row] = db.execute(select, (reached,)).fetchall()
            if not some:
                return
            yield from some
            reached = some[-1][0]

    def _begin_stream(self, db: sqlite3.Connection, base: int) -> str:
        stream = uuid.uuid4().hex
        put(db, "stream", stream)
        put(db, "base", base)
        return stream

    @contextmanager
    def _reading(self, what: str) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db
        except sqlite3.Error as error:
            raise storage_error(self.path, what, error) from error

    @contextmanager
    def _writing(self, what: str, *, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction; `lasting`: on the disk itself when it is over."""
        try:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise storage_error(self.path, what, error) from error
        finally:
            if self._db.in_transaction:
                with suppress(sqlite3.Error):  # what went wrong first is what is told
                    self._db.execute("ROLLBACK")


def of_fire(event: Event) -> bool:
    """Whether it is about smoke, heat or a test, told or taken back: such an event is never folded."""
    if event.states is not None:
        return any(_burns(each or ()) for each in event.states.values())
    return event.condition in URGENT


def _burns(conditions: Iterable[Condition]) -> bool:
    return any(each in URGENT for each in conditions)


def _move_up(db: sqlite3.Connection, rows: Sequence[int], end: int) -> None:
    """Give these rows, ascending, the consecutive numbers that end just below `end`."""
    targets = range(end - len(rows), end)
    for row, target in zip(reversed(rows), reversed(targets), strict=True):
        if row != target:
            db.execute("UPDATE event SET row = ? WHERE row = ?", (target, row))


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _event(seq: int, body: bytes) -> Event:
    try:
        event = decode_event(body)
    except RemoteError as error:
        # A row that this version cannot read keeps its number, or the lane would stand still for ever.
        text = f"此条记录已损坏 / unreadable at the edge: {error}"
        return Event(seq=seq, kind=EventKind.NOTE, at_ms=0, mono_ms=0, text=text[:500])
    return event if event.seq == seq else msgspec.structs.replace(event, seq=seq)
