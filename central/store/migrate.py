"""Migrations: the plain SQL files of `central/store/migrations/`, applied by yoyo under one advisory lock.

yoyo's own lock is a row that a killed process leaves behind; the advisory lock ends with its connection.
"""

from __future__ import annotations

import uuid
from importlib import resources
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
import yoyo
from psycopg.conninfo import conninfo_to_dict

from central.store.edition import make_hypertables
from central.store.errors import StoreDown, StoreError

_LOCK = 0x736D6F6B65  # "smoke"


def migrate(dsn: str, *, through: str | None = None) -> list[str]:
    """Bring the database up to date (or up to migration `through`); returns what was applied, in order.

    Raises StoreDown when the database cannot be reached, StoreError when a migration fails: it is rolled
    back.
    """
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as conn:
            conn.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
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
    """The migrations that are not applied yet, in order. Raises StoreDown when the database is away."""
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as conn:
            row = conn.execute("SELECT to_regclass('_yoyo_migration')").fetchone()
            if row is None or row[0] is None:
                return [migration.id for migration in _all()]
        with _backend(dsn) as backend:
            return [migration.id for migration in backend.to_apply(_all())]
    except psycopg.OperationalError as error:
        raise StoreDown(str(error)) from error
    except psycopg.Error as error:
        raise StoreError(str(error)) from error


def _apply(dsn: str, through: str | None) -> list[str]:
    with _backend(dsn) as backend:
        backend.break_lock()  # ours is the only lock: a row left by a killed migration means nothing
        todo = backend.to_apply(_all())
        names = [migration.id for migration in todo]
        if through is not None:
            names = [name for name in names if name <= through]
            todo = todo.__class__([migration for migration in todo if migration.id <= through])
        backend.apply_migrations(todo)
        return names


def _all() -> yoyo.migrations.MigrationList:
    with resources.as_file(resources.files("central.store") / "migrations") as folder:
        return yoyo.read_migrations(str(Path(folder)))


def _backend(dsn: str) -> yoyo.backends.DatabaseBackend:
    options = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    database = options.pop("dbname", "")
    return yoyo.get_backend(f"postgresql+psycopg:///{quote(database, safe='')}?{urlencode(options)}")
