"""The one module that knows whether the database has TimescaleDB. Schema and answers are the same."""

from __future__ import annotations

from datetime import datetime

import psycopg

from central.store.pool import Tx, one


def timescaledb_available(conn: psycopg.Connection) -> bool:
    """Whether the extension is installed on the server and preloaded; any role may ask.

    Only a superuser may read which libraries are preloaded, but the loader leaves a setting that all can see.
    """
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')"
        " AND current_setting('timescaledb.disable_load', true) IS NOT NULL"
    ).fetchone()
    return bool(row and row[0])


def make_hypertables(conn: psycopg.Connection) -> bool:
    """Turn `readings` into a hypertable where that is possible; True when it is one. Safe to repeat."""
    if not timescaledb_available(conn):
        return False
    conn.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    conn.execute(
        "SELECT create_hypertable('readings', by_range('at', interval '1 day'),"
        " create_default_indexes => false, if_not_exists => true, migrate_data => true)"
    )
    return True


async def drop_chunks(tx: Tx, before: datetime) -> int | None:
    """Drop the chunks of `readings` that end before a moment; how many. None where there are no chunks."""
    made = await tx.conn.execute(
        "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') AS there"
    )
    if not one(await made.fetchone())["there"]:
        return None
    dropped = await tx.conn.execute(
        "SELECT count(*) AS n FROM drop_chunks('readings', older_than => %(before)s::timestamptz) AS gone",
        {"before": before},
    )
    return int(one(await dropped.fetchone())["n"])
