"""A database of an earlier version, with data in it, is brought up to date without losing a row."""

from __future__ import annotations

import psycopg

from central.store.migrate import migrate, pending
from tests.harness import town

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
