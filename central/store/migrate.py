"""Migrations: the plain SQL files of `central/store/migrations/`, applied by yoyo under one advisory lock.

Law of this file: the centre keeps running meanwhile. A statement that cannot have its table soon gives up
its place, lets those who wait behind it through, and asks again. yoyo's own lock is a row that a killed
process leaves behind; the advisory lock ends with its connection.
"""

from __future__ import annotations

import time
import uuid
from importlib import resources
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import yoyo
from psycopg.conninfo import conninfo_to_dict

from central.store.edition import make_hypertables
from central.store.errors import StoreConflict, StoreDown, StoreError, StoreNewer

_LOCK = 0x736D6F6B65  # "smoke"
_LOCK_TIMEOUT_S = 2.0
"""So long a migration may make others wait for a table that it does not get."""
_REST_S = 1.0
_TRIES = 60


def migrate(dsn: str, *, through: str | None = None) -> list[str]:
    """Bring the database up to date (or up to migration `through`); returns what was applied, in order.

    Raises StoreDown when the database cannot be reached, StoreNewer when it has migrations that this program
    does not know, StoreConflict when a table was in use all the time, StoreError when a migration fails: it
    is rolled back, those before it stay.
    """
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as conn:
            conn.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            _refuse_newer(_applied(conn))
            applied = _apply(dsn, through)
            if through is None:
                make_hypertables(conn)
                conn.execute(
                    "INSERT INTO epoch (epoch, since) VALUES (%s, now()) ON CONFLICT DO NOTHING",
                    (uuid.uuid4().hex,),
                )
            return applied
    except psycopg.OperationalError as error:
        raise StoreDown(str(error)) from error
    except psycopg.Error as error:
        raise StoreError(str(error)) from error


def pending(dsn: str) -> list[str]:
    """The migrations that are not applied yet, in order; changes nothing.

    Raises StoreDown when the database is away, StoreNewer when it has migrations that this program does not
    know and lacks none that it knows: an older program may go on working on it, but must not migrate it.
    """
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as conn:
            conn.execute("SET default_transaction_read_only = on")
            applied = _applied(conn)
    except psycopg.OperationalError as error:
        raise StoreDown(str(error)) from error
    except psycopg.Error as error:
        raise StoreError(str(error)) from error
    missing = [name for name in _names() if name not in applied]
    if not missing:
        _refuse_newer(applied)
    return missing


def _applied(conn: psycopg.Connection) -> set[str]:
    row = conn.execute("SELECT to_regclass('_yoyo_migration')").fetchone()
    if row is None or row[0] is None:
        return set()
    return {str(name) for (name,) in conn.execute("SELECT migration_id FROM _yoyo_migration")}


def _refuse_newer(applied: set[str]) -> None:
    unknown = sorted(applied.difference(_names()))
    if unknown:
        raise StoreNewer(
            f"the database is newer than this program, which does not know {', '.join(unknown)}:"
            " install the program's newer version"
        )


def _apply(dsn: str, through: str | None) -> list[str]:
    done: list[str] = []
    for left in range(_TRIES - 1, -1, -1):
        try:
            with _backend(dsn) as backend:
                backend.break_lock()  # ours is the only lock: a row left by a killed migration means nothing
                todo = backend.to_apply(_all())
                for migration in todo:
                    if through is None or migration.id <= through:
                        backend.apply_migrations(todo.__class__([migration]))
                        done.append(migration.id)
                return done
        except psycopg.errors.LockNotAvailable as error:
            if left == 0:
                raise StoreConflict(f"a table is in use all the time: {error}") from error
            time.sleep(_REST_S)
    raise AssertionError("the last try returns or raises")


def _names() -> list[str]:
    return sorted(migration.id for migration in _all())


def _all() -> yoyo.migrations.MigrationList:
    with resources.as_file(resources.files("central.store") / "migrations") as folder:
        return yoyo.read_migrations(str(Path(folder)))


def _backend(dsn: str) -> yoyo.backends.DatabaseBackend:
    options = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    database = options.pop("dbname", "")
    options["options"] = f"{options.get('options', '')} -c lock_timeout={_LOCK_TIMEOUT_S * 1000:.0f}".strip()
    return yoyo.get_backend(
        f"postgresql+psycopg:///{quote(database, safe='')}?{urlencode(options, quote_via=quote)}"
    )
