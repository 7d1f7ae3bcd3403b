"""`deploy/backup.sh` and `deploy/restore.sh` run by an administrator: owners, older backups, refusals."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from central.store.migrate import migrate, pending
from tests.harness import backup
from tests.harness.database import Server, edition

OWNER = "keeper"
EARLIER = "0008_alarm_sources"


@pytest.fixture
def server(own_database_server: Server) -> Server:
    """With a role that may nothing but own its database, as the installation page makes it."""
    with psycopg.connect(own_database_server.dsn(), autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD 'keeper'")
        conn.execute(f"CREATE DATABASE smokewatch OWNER {OWNER}")
    if edition() == "timescaledb":
        with psycopg.connect(own_database_server.dsn("smokewatch"), autocommit=True) as conn:
            conn.execute("CREATE EXTENSION timescaledb")
    return own_database_server


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "central.toml"
    path.write_text('[database]\ndsn = "dbname=not-this-one"\n[broker]\nhost = "127.0.0.1"\n')
    return path


def keeper(server: Server) -> str:
    return f"postgresql://{OWNER}:keeper@{server.host}:{server.port}/smokewatch"


def owners(server: Server) -> set[str]:
    with psycopg.connect(server.dsn("smokewatch")) as conn:
        tables = conn.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public' UNION"
            " SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'smokewatch'"
        )
        return {str(name) for (name,) in tables}


def test_a_backup_of_an_earlier_version_is_restored_brought_up_to_date_and_belongs_to_the_same_role(
    server: Server, config: Path, tmp_path: Path
) -> None:
    """Run by a superuser for a role that may do little; the old database stays under another name."""
    migrate(keeper(server), through=EARLIER)
    with psycopg.connect(keeper(server), autocommit=True) as conn:
        conn.execute("INSERT INTO area VALUES ('street', '清溪街道')")
        conn.execute("INSERT INTO epoch VALUES (true, %s, now())", ("e" * 32,))
    made = backup.backup(server.dsn("smokewatch"), tmp_path / "backups")
    assert made.returncode == 0, made.stderr
    with psycopg.connect(keeper(server), autocommit=True) as conn:
        conn.execute("DELETE FROM area")
    done = backup.restore(server.dsn("smokewatch"), Path(made.stdout.strip()), config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert owners(server) == {OWNER}
    assert pending(keeper(server)) == []
    with psycopg.connect(keeper(server)) as conn:
        row = conn.execute("SELECT (SELECT count(*) FROM area), epoch, current_user FROM epoch").fetchone()
        names = {str(name) for (name,) in conn.execute("SELECT datname FROM pg_database")}
    assert row is not None
    assert (row[0], row[2]) == (1, OWNER)
    assert row[1] != "e" * 32
    assert any(name.startswith("smokewatch_until_") for name in names)
    assert "smokewatch_restoring" not in names


def test_a_restore_that_cannot_be_finished_leaves_everything_as_it_was(
    server: Server, config: Path, tmp_path: Path
) -> None:
    """Nonsense, half a file, a database in use, a configuration that is not there."""
    migrate(keeper(server))
    made = backup.backup(server.dsn("smokewatch"), tmp_path / "backups")
    whole = Path(made.stdout.strip())
    torn = tmp_path / "torn.dump"
    torn.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    nonsense = tmp_path / "nonsense.dump"
    nonsense.write_text("nothing")
    for file in (torn, nonsense):
        assert backup.restore(server.dsn("smokewatch"), file, config).returncode == 1, file
    assert backup.restore(server.dsn("smokewatch"), whole, tmp_path / "no.toml").returncode == 2
    with psycopg.connect(keeper(server)):
        busy = backup.restore(server.dsn("smokewatch"), whole, config)
    assert (busy.returncode, "stop the centre first" in busy.stderr) == (1, True)
    with psycopg.connect(server.dsn()) as conn:
        names = {str(name) for (name,) in conn.execute("SELECT datname FROM pg_database")}
    assert not any(name.startswith("smokewatch_") for name in names)
    assert owners(server) == {OWNER}


@pytest.mark.parametrize("script", ["backup.sh", "restore.sh"])
def test_a_script_without_arguments_says_how_it_is_called(script: str) -> None:
    """The head of the file, and exit code 2."""
    said = subprocess.run([str(backup.DEPLOY / script)], capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert f"deploy/{script} F" in said.stderr
    assert "set -eu" not in said.stderr
