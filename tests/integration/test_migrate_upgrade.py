"""A database of an earlier version, with data in it, is brought up to date without losing a row."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from central.__main__ import main
from central.store import migrate as migrate_module
from central.store.errors import StoreConflict, StoreNewer
from central.store.migrate import migrate, pending
from tests.harness import town
from tests.harness.wait import eventually_now

EARLIER = "0003_alarms"


def test_a_database_with_data_is_upgraded_and_keeps_every_row(empty_database: str) -> None:
    """From the first release's schema to the present one; a second run does nothing."""
    applied = migrate(empty_database, through=EARLIER)
    assert applied[-1] == EARLIER
    waiting = pending(empty_database)
    assert waiting
    town.found(empty_database)
    with psycopg.connect(empty_database, autocommit=True) as conn:
        conn.execute("INSERT INTO epoch VALUES (true, %s, now())", ("e" * 32,))
        conn.execute(
            "INSERT INTO event (area, gateway, stream, seq, digest, kind, event_at, quality, raw_at,"
            " received_at, recorded_at, boot, mono_ms, config_version, body)"
            " VALUES ('street', 'gw-1', %s, 1, '', 'canary', now(), 'exact', now(), now(), now(), %s, 1, 0,"
            " '')",
            (town.STREAM, town.BOOT),
        )
        conn.execute(
            "INSERT INTO alarm (condition, severity, area, gateway, part, state, opened_at, event_at)"
            " VALUES ('smoke', 'life', 'street', 'gw-1', 'det-1', 'active_unacknowledged', now(), now())"
        )
    assert migrate(empty_database) == waiting
    assert pending(empty_database) == []
    assert migrate(empty_database) == []
    with psycopg.connect(empty_database) as conn:
        counts = conn.execute(
            "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM alarm),"
            " (SELECT count(*) FROM resident), (SELECT epoch FROM epoch)"
        ).fetchone()
    assert counts == (1, 1, 1, "e" * 32)


def test_the_upgraded_schema_is_the_fresh_one(empty_database: str, database: str) -> None:
    """Step by step or at once: the same columns and indexes."""
    migrate(empty_database, through=EARLIER)
    migrate(empty_database)

    def shape(dsn: str) -> list[tuple[object, ...]]:
        with psycopg.connect(dsn) as conn:
            columns = conn.execute(
                "SELECT table_name, column_name, data_type, is_nullable, column_default"
                " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
            ).fetchall()
            indexes = conn.execute(
                "SELECT tablename, indexname, indexdef FROM pg_indexes"
                " WHERE schemaname = 'public' ORDER BY 1, 2"
            ).fetchall()
        return [*columns, *indexes]

    assert shape(empty_database) == shape(database)


@pytest.fixture
def config(empty_database: str, tmp_path: Path) -> str:
    path = tmp_path / "central.toml"
    path.write_text(f'[database]\ndsn = "{empty_database}"\n[broker]\nhost = "127.0.0.1"\n')
    return str(path)


def test_a_check_names_what_is_pending_and_changes_nothing(
    empty_database: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator asks before an upgrade: an empty database stays empty, a half-way one half-way."""
    assert main(["migrate", config, "--check"]) == 3
    assert capsys.readouterr().out.startswith("pending: 0001_registry\n")
    with psycopg.connect(empty_database) as conn:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == []
    migrate(empty_database, through=EARLIER)
    before = pending(empty_database)
    assert main(["migrate", config, "--check"]) == 3
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("pending: ")] == [
        f"pending: {name}" for name in before
    ]
    assert pending(empty_database) == before
    assert main(["migrate", config]) == 0
    capsys.readouterr()
    assert main(["migrate", config, "--check"]) == 0
    assert capsys.readouterr().out == "the database is up to date\n"


@pytest.mark.parametrize("words", [["--check"], []], ids=["check", "migrate"])
def test_a_database_of_a_newer_program_is_left_alone_and_named(
    empty_database: str, config: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The upgrade was taken back, the database was not: said with the name of what is not known here."""
    migrate(empty_database)
    with psycopg.connect(empty_database, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
            " VALUES ('f', '9999_later', now())"
        )
    assert main(["migrate", config, *words]) == 4
    assert "newer than this program, which does not know 9999_later" in capsys.readouterr().err
    with pytest.raises(StoreNewer):
        pending(empty_database)


def test_a_migration_that_waits_for_a_table_lets_others_through_and_then_goes_on(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long look at a table must not become a wall behind which every new event stands."""
    monkeypatch.setattr(migrate_module, "_LOCK_TIMEOUT_S", 0.3)
    monkeypatch.setattr(migrate_module, "_REST_S", 0.3)
    migrate(empty_database, through="0006_watch")
    town.found(empty_database)
    reader = psycopg.connect(empty_database)
    reader.execute("SELECT count(*) FROM worker")
    migrating = threading.Thread(target=migrate, args=(empty_database,))
    migrating.start()
    try:
        with psycopg.connect(empty_database, autocommit=True) as other:
            eventually_now(
                lambda: other.execute(
                    "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'worker'::regclass"
                ).fetchone(),
                20,
                "the migration stands before the table",
            )
            other.execute("SET lock_timeout = '5s'")
            for _ in range(5):
                other.execute("UPDATE worker SET name = name")
    finally:
        reader.close()
        migrating.join(60)
    assert pending(empty_database) == []


def test_a_table_that_is_never_free_is_said(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was applied before stays; the next run goes on from there."""
    monkeypatch.setattr(migrate_module, "_LOCK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(migrate_module, "_REST_S", 0.05)
    monkeypatch.setattr(migrate_module, "_TRIES", 3)
    migrate(empty_database, through="0006_watch")
    with psycopg.connect(empty_database) as reader:
        reader.execute("SELECT count(*) FROM worker")
        with pytest.raises(StoreConflict, match="in use"):
            migrate(empty_database)
    assert migrate(empty_database)[0] == "0007_phone"
