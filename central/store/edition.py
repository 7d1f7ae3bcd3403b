"""The one module that knows whether the database has TimescaleDB. Schema and answers are the same."""

from __future__ import annotations

from datetime import datetime

import psycopg

from central.store.pool import Tx, one

HYPERTABLES = {
    "readings": ("at", "1 day"),
    "rollup_minute": ("bucket", "7 days"),
    "rollup_hour": ("bucket", "90 days"),
}
"""By which column each large table is cut, and into what."""
COSTLY_LOOKUPS = "timescaledb.enable_chunk_append"
"""An option that, while on, judges all chunks again for each look-up of a join. Known to TimescaleDB alone;
PostgreSQL lets anybody set it."""


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
    """Make hypertables of the large tables where that is possible; True when they are. Safe to repeat."""
    if not timescaledb_available(conn):
        return False
    conn.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    for table, (column, chunk) in HYPERTABLES.items():
        conn.execute(
            "SELECT create_hypertable(%s::regclass, by_range(%s, %s::interval),"
            " create_default_indexes => false, if_not_exists => true, migrate_data => true)",
            (table, column, chunk),
        )
    return True


async def drop_chunks(tx: Tx, table: str, before: datetime) -> int | None:
    """Drop a large table's chunks that end before a moment; how many. None where there are no chunks."""
    assert table in HYPERTABLES, table
    made = await tx.conn.execute(
        "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') AS there"
    )
    if not one(await made.fetchone())["there"]:
        return None
    dropped = await tx.conn.execute(
        "SELECT count(*) AS n FROM drop_chunks(%(table)s::regclass, older_than => %(before)s::timestamptz)"
        " AS gone",
        {"table": table, "before": before},
    )
    return int(one(await dropped.fetchone())["n"])
