"""Events on record at the edge, in one SQLite file.

Law of this file: what `append` has returned survives a power cut, with the tracker's state of the same
moment, and stays until `forget`. Sequence numbers have no holes and are never used again. A *stream* ends
where these numbers could come to mean something else (another machine, a file set back in time, a clone); the
rows still held then get new numbers from 1 in a new stream, so that the centre can tell both apart. Methods
block (call them through a thread) and may be called from any thread. Every failure is a StorageError.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from edge_agent.observation import Observation, Stamp
from edge_agent.outbox_file import get, open_file, put, storage_error
from edge_agent.recordable import to_events
from wire.codec import decode, decode_event, encode
from wire.errors import RemoteError
from wire.messages import URGENT, Event, EventKind, GatewayConfig
from wire.topics import Channel

_KEPT_COMMANDS = 1000
_INSERT = "INSERT INTO event (row, boot, at_ms, mono_ms, urgent, body) VALUES (?, ?, ?, ?, ?, ?)"
_SEQ_DIGITS = 16
"""A row's body holds the seq it was born with; another may be longer by this much."""


class Rows(NamedTuple):
    """Consecutive events, all recorded in one boot."""

    boot: str
    events: list[Event]
    oldest_seq: int
    """The lowest event held at the same moment."""


class Outbox:
    """One open file. Make it with `Outbox.open`."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self.report: str | None = None
        """What a person should know of this opening (a damaged file set aside, another machine), or None."""
        self._db = db
        self._lock = threading.RLock()
        self._base = 0
        self._last_row = 0
        self._stream = ""

    @classmethod
    def open(cls, path: Path, machine_id: str, *, max_bytes: int | None = None) -> Outbox:
        """Open the file, or make it. A damaged one is set aside as `<name>.corrupt-N`, and `report` says so.

        `max_bytes` caps the file. Raises StorageError when there can be no outbox at this place.
        """
        db, report = open_file(path, max_bytes)
        outbox = cls(path, db)
        try:
            found = outbox._load(machine_id)
        except BaseException:
            db.close()
            raise
        outbox.report = report or found
        return outbox

    def close(self) -> None:
        """Close the file; what was appended stays."""
        with self._lock:
            self._db.close()

    # -- events

    @property
    def stream(self) -> str:
        """The stream these events belong to."""
        return self._stream

    @property
    def highest_seq(self) -> int:
        """The last seq ever given in this stream; 0 before the first."""
        return self._last_row - self._base

    @property
    def oldest_seq(self) -> int:
        """The lowest event held; one above the highest when none is."""
        with self._reading("oldest_seq") as db:
            (row,) = db.execute("SELECT min(row) FROM event").fetchone()
        return (self._last_row + 1 if row is None else int(row)) - self._base

    @property
    def depth(self) -> int:
        """Events held. Rows have no holes, so this costs nothing."""
        return self.highest_seq - self.oldest_seq + 1

    @property
    def oldest_unacked_at(self) -> int | None:
        """When the oldest event held was recorded, by the wall clock of then in ms; None: none is held."""
        oldest = self._oldest()
        return None if oldest is None else oldest[1]

    def oldest_unacked_s(self, boot: str, mono_ms: int, wall_ms: int) -> float | None:
        """Age in seconds of the oldest event held, by the monotonic clock where the boot is the same."""
        oldest = self._oldest()
        if oldest is None:
            return None
        its_boot, at_ms, its_mono_ms = oldest
        age_ms = mono_ms - its_mono_ms if its_boot == boot else wall_ms - at_ms
        return max(0, age_ms) / 1000

    def append(
        self,
        observations: Sequence[Observation],
        stamp: Stamp,
        tracked: Mapping[str, bytes] | None = None,
    ) -> list[int]:
        """Put observations on record with the tracker's state; returns their seqs. On disk when it returns.

        A snapshot too big for one event becomes several. Raises StorageError, and LocalError for an
        observation that no event can carry; then nothing is written.
        """
        with self._lock, self._writing("append") as db:
            row = self._last_row
            seqs: list[int] = []
            for observation in observations:
                for event, body in to_events(observation, stamp, row + 1 - self._base):
                    row += 1
                    urgent = event.kind is EventKind.ASSERT and event.condition in URGENT
                    db.execute(_INSERT, (row, stamp.boot, stamp.at_ms, stamp.mono_ms, urgent, body))
                    seqs.append(row - self._base)
            if seqs:
                put(db, "last_row", row)
            if tracked:
                db.executemany("INSERT OR REPLACE INTO tracked (name, state) VALUES (?, ?)", tracked.items())
            db.execute("COMMIT")
            self._last_row = row
        return seqs

    def batch(self, first: int, last: int, max_bytes: int) -> Rows:
        """Events `first` to at most `last`: as many as one boot and `max_bytes` of events hold, or one."""
        events: list[Event] = []
        boot = ""
        with self._reading("batch") as db:
            size = 0
            found = db.execute(
                "SELECT row, boot, body FROM event WHERE row BETWEEN ? AND ? ORDER BY row",
                (first + self._base, last + self._base),
            )
            for row, its_boot, body in found:
                size += len(body) + _SEQ_DIGITS
                if events and (its_boot != boot or size > max_bytes):
                    break
                boot = its_boot
                events.append(self._event(row, body))
            return Rows(boot, events, self.oldest_seq)

    def urgent(self, above: int = 0, limit: int = 1000) -> list[int]:
        """The newest `limit` urgent events held above a seq, in ascending order."""
        with self._reading("urgent") as db:
            found = db.execute(
                "SELECT row FROM event WHERE urgent = 1 AND row > ? ORDER BY row DESC LIMIT ?",
                (above + self._base, limit),
            ).fetchall()
        return [int(row) - self._base for (row,) in reversed(found)]

    def forget(self, through: int) -> None:
        """The centre has committed every event up to here."""
        with self._writing("forget") as db:
            db.execute("DELETE FROM event WHERE row <= ?", (min(through, self.highest_seq) + self._base,))

    def new_stream(self) -> str:
        """Start another stream: what is held gets new numbers from 1 in the old order. Returns its id."""
        stream = uuid.uuid4().hex
        with self._writing("new_stream") as db:
            base = self.oldest_seq + self._base - 1
            put(db, "stream", stream)
            put(db, "base", base)
            db.execute("COMMIT")
            self._stream, self._base = stream, base
        return stream

    # -- what is kept beside them

    def tracked(self) -> dict[str, bytes]:
        """The tracker's state as of the last append."""
        with self._reading("tracked") as db:
            return {name: bytes(state) for name, state in db.execute("SELECT name, state FROM tracked")}

    def forget_tracked(self, names: Sequence[str]) -> None:
        """Drop the state of what is no longer configured."""
        with self._writing("forget_tracked") as db:
            db.executemany("DELETE FROM tracked WHERE name = ?", [(name,) for name in names])

    @property
    def config(self) -> GatewayConfig | None:
        """The last good configuration, or None."""
        with self._reading("config") as db:
            payload = get(db, "config")
        if not isinstance(payload, bytes):
            return None
        try:
            message = decode(Channel.CONFIG, payload)
        except RemoteError:
            return None
        return message if isinstance(message, GatewayConfig) else None

    def save_config(self, config: GatewayConfig | None, standing: bytes) -> None:
        """Remember the configuration that holds (None: the local file's) and how it stands, both at once."""
        payload = b"" if config is None else encode(config)
        with self._writing("save_config") as db:
            put(db, "config", payload)
            put(db, "config_standing", standing)

    @property
    def config_standing(self) -> bytes | None:
        """How the configuration stands, as `probation` encodes it; None before the first."""
        with self._reading("config_standing") as db:
            kept = get(db, "config_standing")
        return kept if isinstance(kept, bytes) else None

    @property
    def epoch(self) -> str | None:
        """The centre's database as last heard."""
        with self._reading("epoch") as db:
            value = get(db, "epoch")
        return value if isinstance(value, str) else None

    def save_epoch(self, epoch: str) -> None:
        """Remember the centre's database."""
        with self._writing("save_epoch") as db:
            put(db, "epoch", epoch)

    def command_done(self, command: str) -> None:
        """Remember that this command was taken: call it before doing it, so that none is done twice."""
        with self._writing("command_done") as db:
            db.execute("INSERT OR IGNORE INTO command (id) VALUES (?)", (command,))
            db.execute(
                "DELETE FROM command WHERE number <= (SELECT max(number) FROM command) - ?", (_KEPT_COMMANDS,)
            )

    def was_done(self, command: str) -> bool:
        """Whether this command was taken before."""
        with self._reading("was_done") as db:
            return db.execute("SELECT 1 FROM command WHERE id = ?", (command,)).fetchone() is not None

    # -- inside

    def _load(self, machine_id: str) -> str | None:
        with self._reading("open") as db:
            stream, machine = get(db, "stream"), get(db, "machine")
            base, last_row = get(db, "base"), get(db, "last_row")
            (kept,) = db.execute("SELECT max(row) FROM event").fetchone()
        self._stream = str(stream or "")
        self._base = base if isinstance(base, int) else 0
        self._last_row = max(last_row if isinstance(last_row, int) else 0, int(kept or 0))
        if machine == machine_id and stream:
            return None
        self.new_stream()
        with self._writing("open") as db:
            put(db, "machine", machine_id)
        return None if machine is None else f"outbox {self.path} is from another machine: a new stream"

    def _oldest(self) -> tuple[str, int, int] | None:
        with self._reading("oldest") as db:
            found = db.execute("SELECT boot, at_ms, mono_ms FROM event ORDER BY row LIMIT 1").fetchone()
        return None if found is None else (str(found[0]), int(found[1]), int(found[2]))

    def _event(self, row: int, body: bytes) -> Event:
        seq = row - self._base
        try:
            event = decode_event(body)
        except RemoteError as error:
            # A row that this version cannot read keeps its number, or the lane would stand still for ever.
            return Event(
                seq=seq,
                kind=EventKind.NOTE,
                at_ms=0,
                mono_ms=0,
                text=f"unreadable at the edge: {error}"[:500],
            )
        return event if event.seq == seq else msgspec.structs.replace(event, seq=seq)

    @contextmanager
    def _reading(self, what: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise storage_error(self.path, what, error) from error

    @contextmanager
    def _writing(self, what: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                if self._db.in_transaction:
                    self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise storage_error(self.path, what, error) from error
                raise
