"""The outbox as a file: opened or made, set aside when damaged, looked at from outside.

Law of this file: whatever the disk holds, the agent gets a sound file or a StorageError with the mend; no
file is ever deleted. It knows the file's form, not what the rows mean.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

SCHEMA_VERSION = 1
_APPLICATION = 0x534D4F4B  # "SMOK": tells our file from anybody else's
_PAGE_BYTES = 4096
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class StorageError(Exception):
    """The outbox could not do it and nothing is half-written; the text names the file and the mend."""


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


class _DamagedError(Exception):
    """The file is not an outbox any more."""


def open_file(path: Path, max_bytes: int | None) -> tuple[sqlite3.Connection, str | None]:
    """Open the file, or make it; a damaged one is set aside, and the second value says so.

    Raises StorageError.
    """
    report = None
    try:
        db = _connect(path, max_bytes)
    except _DamagedError as damage:
        aside = _set_aside(path)
        report = f"outbox {path} was damaged ({damage}); set aside as {aside.name}, a fresh one is in use"
        try:
            db = _connect(path, max_bytes)
        except _DamagedError as again:
            raise StorageError(f"outbox {path}: a fresh file is damaged at once ({again})") from None
    return db, report


def look(path: Path) -> Look:
    """Read an outbox file without changing it, also while an agent runs on it. Raises StorageError."""
    try:
        # Not mode=ro: after a crash the journal must be read in, which takes a writable file.
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=5.0)
        try:
            db.execute("PRAGMA query_only = ON")
            base, last_row = int(str(get(db, "base") or 0)), int(str(get(db, "last_row") or 0))
            held, oldest = db.execute("SELECT count(*), min(row) FROM event").fetchone()
            at_ms = db.execute("SELECT at_ms FROM event WHERE row = ?", (oldest,)).fetchone()
            stream = str(get(db, "stream"))
        finally:
            db.close()
    except sqlite3.Error as error:
        raise storage_error(path, "look", error) from error
    return Look(stream, last_row - base, last_row, int(held), None if at_ms is None else int(at_ms[0]))


def _connect(path: Path, max_bytes: int | None) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"outbox {path} cannot be opened: {error}; check state_dir and its rights"
        ) from error
    try:
        _prepare(path, db, max_bytes)
    except sqlite3.Error as error:
        db.close()
        if _code(error) in _DAMAGED:
            raise _DamagedError(str(error)) from error
        raise storage_error(path, "open", error) from error
    except BaseException:
        db.close()
        raise
    return db


def _prepare(path: Path, db: sqlite3.Connection, max_bytes: int | None) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    if max_bytes is not None:
        db.execute(f"PRAGMA max_page_count = {max(1, max_bytes // _PAGE_BYTES)}")
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application == 0 and version == 0 and not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        schema = Path(__file__).with_name("outbox.sql").read_text("utf-8")
        db.executescript(
            f"BEGIN; {schema} PRAGMA application_id = {_APPLICATION}; "
            f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
        return
    if application != _APPLICATION:
        raise StorageError(f"{path} is not an outbox; name another state_dir")
    if version != SCHEMA_VERSION:
        raise StorageError(
            f"outbox {path} has schema {version}, this agent knows {SCHEMA_VERSION}: install its maker"
        )
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _DamagedError(str(verdict))


def _set_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    try:
        # The log first: left beside a fresh file it would be played into it.
        for suffix in ("-wal", "-shm", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise StorageError(f"outbox {path} is damaged and cannot be set aside: {error}") from error
    return aside


def get(db: sqlite3.Connection, name: str) -> object:
    """One named value kept beside the events, or None."""
    found = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if found is None else found[0]


def put(db: sqlite3.Connection, name: str, value: str | bytes | int) -> None:
    """Keep one named value, within the caller's transaction."""
    db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def storage_error(path: Path, what: str, error: sqlite3.Error) -> StorageError:
    """What SQLite said while doing `what`, with the mend."""
    mend = {
        sqlite3.SQLITE_FULL: "the disk (or the outbox's limit) is full: make room",
        sqlite3.SQLITE_READONLY: "the file is read-only: check its rights and the mount",
        sqlite3.SQLITE_IOERR: "the disk fails: replace it",
        sqlite3.SQLITE_BUSY: "another program holds the file: only one agent may run on it",
        sqlite3.SQLITE_CORRUPT: "the file is damaged: restart the agent, it sets the file aside",
    }.get(_code(error) or 0, "see the reason")
    return StorageError(f"outbox {path}, {what}: {error}; {mend}")
