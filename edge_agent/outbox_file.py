"""The outbox as a file: opened, made or brought to this version's form; looked at from outside.

Law of this file: whatever the disk holds, the agent gets a sound connection, DamagedError, or a StorageError
with the mend; no file is ever deleted. It knows the file's form, not what the rows mean.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

SCHEMA_VERSION = 2
_UPGRADES = {1: "ALTER TABLE event ADD COLUMN fire INTEGER NOT NULL DEFAULT 1;"}
"""Version -> what makes it the next one. An old row counts as one about a fire: it is never folded."""
_APPLICATION = 0x534D4F4B  # "SMOK": tells our file from anybody else's
PAGE_BYTES = 4096
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_REFUSES = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class StorageError(Exception):
    """The outbox could not do it and nothing is half-written; the text names the file and the mend.

    `code` is SQLite's primary result code, None where the refusal is our own.
    """

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code

    @property
    def full(self) -> bool:
        """No room: on the disk, or below our own limit."""
        return self.code == sqlite3.SQLITE_FULL

    @property
    def damaged(self) -> bool:
        """The file is not sound any more."""
        return self.code in _DAMAGED

    @property
    def refuses(self) -> bool:
        """The disk takes nothing: full, read-only, failing."""
        return self.code in _REFUSES


class DamagedError(StorageError):
    """The file is not a sound outbox any more."""

    def __init__(self, text: str) -> None:
        super().__init__(text, sqlite3.SQLITE_CORRUPT)


class Look(NamedTuple):
    """What an outbox file holds, seen from outside."""

    stream: str
    highest_seq: int
    """The last seq ever given in this stream."""
    rows: int
    """Events ever recorded in this file, over all its streams."""
    depth: int
    """Events held."""
    oldest_at_ms: int | None
    """When the oldest one held was recorded, by the wall clock of then."""


def look(path: Path) -> Look:
    """Read an outbox file without changing it, also while an agent runs on it. Raises StorageError."""
    try:
        with closing(_reader(path)) as db:
            base, last_row = int(str(get(db, "base") or 0)), int(str(get(db, "last_row") or 0))
            held, oldest = db.execute("SELECT count(*), min(row) FROM event").fetchone()
            at_ms = db.execute("SELECT at_ms FROM event WHERE row = ?", (oldest,)).fetchone()
            stream = str(get(db, "stream"))
    except sqlite3.Error as error:
        raise storage_error(path, "look", error) from error
    return Look(stream, last_row - base, last_row, int(held), None if at_ms is None else int(at_ms[0]))


def held_events(path: Path) -> Iterator[dict[str, Any]]:
    """Every event held, oldest first, as of one moment: its fields, its `stream` and its `boot`.

    Changes nothing, also while an agent runs on the file. Raises StorageError.
    """
    try:
        with closing(_reader(path)) as db:
            db.execute("BEGIN")
            stream, base = get(db, "stream"), int(str(get(db, "base") or 0))
            for row, boot, body in db.execute("SELECT row, boot, body FROM event ORDER BY row"):
                try:
                    fields = msgspec.json.decode(body, type=dict[str, Any])
                except (msgspec.DecodeError, UnicodeDecodeError):
                    fields = {"unreadable": bytes(body).hex()}
                yield {"stream": stream, "boot": boot, **fields, "seq": row - base}
    except sqlite3.Error as error:
        raise storage_error(path, "export", error) from error


def _reader(path: Path) -> sqlite3.Connection:
    # Not mode=ro: after a crash the journal must be read in, which takes a writable file.
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=5.0, isolation_level=None)
    db.execute("PRAGMA query_only = ON")
    return db


def connect(path: Path, max_bytes: int | None = None) -> sqlite3.Connection:
    """Open the file, or make it. Raises DamagedError and StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    except OSError as error:
        text = f"outbox {path} cannot be opened: {error}; check state_dir and its rights"
        raise StorageError(text, sqlite3.SQLITE_CANTOPEN) from error
    except sqlite3.Error as error:
        raise storage_error(path, "open", error) from error
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if max_bytes is not None:
            db.execute(f"PRAGMA max_page_count = {max(1, max_bytes // PAGE_BYTES)}")
        if not _is_ours(path, db):
            make(db)
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DamagedError(str(verdict))
        _upgrade(db)
    except sqlite3.Error as error:
        db.close()
        found = storage_error(path, "open", error)
        raise DamagedError(str(error)) if found.damaged else found from error
    except BaseException:
        db.close()
        raise
    return db


def make(db: sqlite3.Connection) -> None:
    """Give an empty database the outbox's form, in one transaction."""
    schema = Path(__file__).with_name("outbox.sql").read_text("utf-8")
    db.executescript(
        f"BEGIN; {schema} PRAGMA application_id = {_APPLICATION}; "
        f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )


def _is_ours(path: Path, db: sqlite3.Connection) -> bool:
    """False for an empty file. Raises StorageError for somebody else's, or one from a newer agent."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application == 0 and version == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        return False
    if application != _APPLICATION:
        raise StorageError(f"{path} is not an outbox; name another state_dir")
    if not 1 <= version <= SCHEMA_VERSION:
        raise StorageError(
            f"outbox {path} has schema {version}, this agent knows {SCHEMA_VERSION}: install its maker"
        )
    return True


def _upgrade(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for each in range(version, SCHEMA_VERSION):
        db.executescript(f"BEGIN; {_UPGRADES[each]} PRAGMA user_version = {each + 1}; COMMIT;")


def get(db: sqlite3.Connection, name: str) -> object:
    """One named value kept beside the events, or None."""
    found = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if found is None else found[0]


def put(db: sqlite3.Connection, name: str, value: object) -> None:
    """Keep one named value (text, bytes or a whole number), within the caller's transaction."""
    db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))


def storage_error(path: Path, what: str, error: sqlite3.Error) -> StorageError:
    """What SQLite said while doing `what`, with the mend."""
    code = getattr(error, "sqlite_errorcode", None)
    code = None if code is None else int(code) & 0xFF
    mend = {
        sqlite3.SQLITE_FULL: "the disk (or the outbox's limit) is full: make room",
        sqlite3.SQLITE_READONLY: "the file is read-only: check its rights and the mount",
        sqlite3.SQLITE_IOERR: "the disk fails: replace it",
        sqlite3.SQLITE_CANTOPEN: "check state_dir, its rights and the disk",
        sqlite3.SQLITE_BUSY: "another program holds the file: only one agent may run on it",
        sqlite3.SQLITE_CORRUPT: "the file is damaged: it is set aside by itself",
    }.get(code or 0, "see the reason")
    return StorageError(f"outbox {path}, {what}: {error}; {mend}", code)
