"""A fresh, migrated database for each test, on the edition that SMOKEWATCH_TEST_DATABASE names.

`plain` (default) is PostgreSQL from the wheel, `timescaledb` the real thing. One server per test process;
each database is a copy of a migrated one, which takes a few dozen milliseconds.
"""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from central.store.migrate import migrate
from simulator.parts import Postgres
from tests.harness.timescale import Timescale

Server = Postgres | Timescale

_VARIABLE = "SMOKEWATCH_TEST_DATABASE"
_TEMPLATE = "smokewatch_template"
_NUMBERS = itertools.count(1)


def edition() -> str:
    """`plain` or `timescaledb`; anything else stops the run."""
    name = os.environ.get(_VARIABLE, "plain")
    if name not in {"plain", "timescaledb"}:
        pytest.exit(f"{_VARIABLE}={name!r}: must be `plain` or `timescaledb`", returncode=4)
    return name


def start_server(folder: Path) -> Server:
    """A running server of the chosen edition with its data below `folder` (or in the Debian 13 root)."""
    settings = {"max_connections": "200"}
    server: Server = Timescale(folder) if edition() == "timescaledb" else Postgres(folder, settings=settings)
    server.start()
    return server


def remove_server(server: Server, folder: Path) -> None:
    """Stop it and delete what it stored."""
    if isinstance(server, Timescale):
        server.remove()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def new_database(server: Server, template: str | None = None) -> str:
    """Create a database (empty, or a copy of `template`) and return its DSN."""
    name = f"test_{next(_NUMBERS)}"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        source = f' TEMPLATE "{template}"' if template else ""
        connection.execute(f'CREATE DATABASE "{name}"{source}'.encode())
    return server.dsn(name)


def drop_database(server: Server, dsn: str) -> None:
    """Drop it, cutting whoever is still connected.

    A connection that was given up while it was being made is closed when it is collected; until then its
    server process waits for a password, a minute long, and the drop for the process.
    """
    gc.collect(1)
    name = dsn.rsplit("/", 1)[1]
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def make_template(server: Server) -> str:
    """Migrate one database, to be copied for every test."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{_TEMPLATE}"'.encode())
    migrate(server.dsn(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture(scope="session")
def database_server() -> Iterator[Server]:
    """The server that the databases of this test process share. Never stop it: see `own_database_server`."""
    folder = Path(tempfile.mkdtemp(prefix="smokewatch-test-db-"))
    server = start_server(folder)
    yield server
    remove_server(server, folder)


@pytest.fixture(scope="session")
def database_template(database_server: Server) -> str:
    """The name of the migrated database that tests get copies of."""
    return make_template(database_server)


@pytest.fixture
def database(database_server: Server, database_template: str) -> Iterator[str]:
    """The DSN of a fresh, migrated database."""
    dsn = new_database(database_server, database_template)
    yield dsn
    drop_database(database_server, dsn)


@pytest.fixture
def empty_database(database_server: Server) -> Iterator[str]:
    """The DSN of a database without any table, for the tests of the migrations."""
    dsn = new_database(database_server)
    yield dsn
    drop_database(database_server, dsn)


@pytest.fixture
def own_database_server() -> Iterator[Server]:
    """A server that this test alone may stop, kill and start again; its databases are not migrated."""
    folder = Path(tempfile.mkdtemp(prefix="smokewatch-test-db-"))
    server = start_server(folder)
    yield server
    remove_server(server, folder)
