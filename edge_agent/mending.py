"""A damaged outbox file: what can still be read goes into a fresh one, the damaged one is set aside.

Law of this file: at every moment of it a crash leaves either the damaged file or a whole fresh one, never
neither. Rows keep their stream and their numbers; one that cannot be read any more keeps its number and
becomes a note that says so. Where the file's own identity is gone, the rows are counted anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

from edge_agent.ledger import Contents, Ledger, Row
from edge_agent.outbox_file import DamagedError, StorageError, connect, get, make, storage_error

_IDENTITY = ("stream", "base", "last_row")
_VALUES = (*_IDENTITY, "machine", "epoch", "config", "config_standing")
_LEAST_ROW_BYTES = 60
_DONE = "mended"


def open_sound(
    path: Path, max_bytes: int | None = None, damage: str | None = None
) -> tuple[sqlite3.Connection, str | None]:
    """Open the file, or make it, mended where need be; the second value says what was done, in words.

    `damage`: what showed that it is damaged, where that is known already. Raises StorageError.
    """
    report = None
    try:
        _finish(path)
        if damage is not None:
            raise DamagedError(damage)
        return connect(path, max_bytes), None
    except DamagedError as found:
        report = _mend(path, str(found))
    except OSError as error:
        raise _refused(path, error) from error
    try:
        return connect(path, max_bytes), report
    except DamagedError as again:
        text = f"outbox {path}: a fresh file is damaged at once ({again}); replace the disk"
        raise StorageError(text, sqlite3.SQLITE_IOERR) from None


def readable(path: Path) -> Contents | None:
    """All that can be read from the file without writing anything, or None when nothing can be."""
    for how in ("mode=ro", "immutable=1"):
        try:
            with closing(_open(path, how)) as db:
                found = salvage(db, path.stat().st_size)
                return found._replace(rows=list(found.rows))
        except (sqlite3.Error, OSError):
            continue
    return None


def salvage(db: sqlite3.Connection, file_bytes: int) -> Contents:
    """What a damaged database still shows. Rows come as they are asked for, oldest first, without holes."""
    meta: dict[str, object] = {}
    for name in _VALUES:
        with suppress(sqlite3.Error):
            value = get(db, name)
            if value is not None:
                meta[name] = value
    last_row = meta.get("last_row")
    if not all(name in meta for name in _IDENTITY) or not isinstance(last_row, int):
        for name in _IDENTITY:
            meta.pop(name, None)
        rows = _counted_anew(_rows(db, None, file_bytes))
    else:
        rows = _without_holes(_rows(db, last_row, file_bytes), last_row)
    tracked: dict[str, bytes] = {}
    with suppress(sqlite3.Error):
        tracked.update(
            (name, state)
            for name, state in db.execute("SELECT name, state FROM tracked")
            if isinstance(name, str) and isinstance(state, bytes)
        )
    commands: list[str] = []
    with suppress(sqlite3.Error):
        commands.extend(str(one) for (one,) in db.execute("SELECT id FROM command ORDER BY number"))
    return Contents(meta, rows, tracked, commands)


def _rows(db: sqlite3.Connection, last_row: int | None, file_bytes: int) -> Iterator[Row]:
    """Every row that can be read, in order: as a whole as far as that goes, then one by one."""
    reached = 0
    columns = "row, boot, at_ms, mono_ms, urgent, body, fire"
    try:
        db.execute("SELECT fire FROM event LIMIT 0")
    except sqlite3.Error:
        columns = columns.replace("fire", "1")  # version 1
    select = f"SELECT {columns} FROM event"  # noqa: S608 -- our own names
    try:
        for row in db.execute(f"{select} ORDER BY row"):
            reached = row[0]
            if _sane(row):
                yield row
    except sqlite3.Error:
        pass  # the page with the next row is damaged; those behind it may not be
    else:
        return
    with suppress(sqlite3.Error):
        (highest,) = db.execute("SELECT row FROM event ORDER BY row DESC LIMIT 1").fetchone()
        last_row = max(last_row or 0, int(highest))
    if reached == 0:
        with suppress(sqlite3.Error):
            reached = _before_first(db)
    most = reached + file_bytes // _LEAST_ROW_BYTES
    for number in range(reached + 1, min(last_row or 0, most) + 1):
        with suppress(sqlite3.Error):
            row = db.execute(f"{select} WHERE row = ?", (number,)).fetchone()
            if row is not None and _sane(row):
                yield row


def _before_first(db: sqlite3.Connection) -> int:
    """The number before the lowest row that an index still names; 0 when none does."""
    found = db.execute("SELECT min(row) FROM event INDEXED BY event_urgent WHERE urgent = 1").fetchone()
    return 0 if found[0] is None else max(0, int(found[0]) - 1)


def _sane(row: tuple[object, ...]) -> bool:
    """Whether the columns are what they should be; a damaged page may show anything."""
    kinds = (int, str, int, int, int, bytes, int)
    return all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True)) and (
        len(cast("str", row[1])) == 32
    )


def _without_holes(rows: Iterable[Row], last_row: int) -> Iterator[Row]:
    """A row that is gone keeps its number: the lane counts on there being none missing."""
    before: Row | None = None
    for row in rows:
        if row[0] > last_row:
            break
        if before is not None:
            yield from _lost(before, row[0])
        yield row
        before = row
    if before is not None:
        yield from _lost(before, last_row + 1)


def _lost(before: Row, until: int) -> Iterator[Row]:
    for number in range(before[0] + 1, until):
        yield (number, before[1], before[2], before[3], 0, b"", 1)


def _counted_anew(rows: Iterable[Row]) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        yield (number, *row[1:])


# -- the fresh file takes the damaged one's place


def _mend(path: Path, why: str) -> str:
    fresh = _fresh(path)
    kept = lost = 0
    try:
        _remove(fresh)
        with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            make(db)
            found = Contents({}, (), {}, ())
            with suppress(sqlite3.Error), closing(_open(path, "mode=rw")) as damaged:
                found = salvage(damaged, path.stat().st_size)
                found = found._replace(rows=list(found.rows))
            Ledger(db, fresh).restore(found._replace(meta={**found.meta, _DONE: 1}))
            (kept,) = db.execute("SELECT count(*) FROM event WHERE body <> x''").fetchone()
            (lost,) = db.execute("SELECT count(*) FROM event WHERE body = x''").fetchone()
        aside = _swap(path)
    except sqlite3.Error as error:
        raise storage_error(path, "mend", error) from error
    except OSError as error:
        raise _refused(path, error) from error
    return (
        f"本机存储曾损坏 / outbox {path} was damaged ({why}); set aside as {aside.name}; "
        f"{kept} events of it go on, {lost} known ones are lost"
    )


def _finish(path: Path) -> None:
    """Complete what a crash interrupted: a fresh file that is whole takes its place, a half one goes."""
    fresh = _fresh(path)
    if not fresh.exists():
        return
    whole = False
    with suppress(sqlite3.Error), closing(_open(fresh, "mode=rw")) as db:
        whole = get(db, _DONE) is not None
    if whole:
        _swap(path)
    else:
        _remove(fresh)


def _swap(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    # The log first: left beside a fresh file it would be played into it.
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    _fresh(path).rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return aside


def _fresh(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _remove(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=5.0, isolation_level=None)


def _refused(path: Path, error: OSError) -> StorageError:
    text = f"outbox {path} is damaged and cannot be set aside: {error}; check the disk"
    return StorageError(text, sqlite3.SQLITE_CANTOPEN)
