"""PostgreSQL 17 with TimescaleDB out of a Debian 13 root, started by chroot as its own postgres user.

Only root can do that; a missing root fails the run, because a suite that skips proves nothing.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from simulator.parts.child import Child, PartError
from simulator.parts.ports import HOST, free_port, require_free

ROOT_VARIABLE = "SMOKEWATCH_TSDB_ROOT"
DEFAULT_ROOT = Path("/var/cache/smokewatch/trixie")
_BIN = "/usr/lib/postgresql/17/bin"

_SETTINGS: Mapping[str, str] = {
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    # Its scheduler holds a session in every database: none could be copied or dropped.
    "timescaledb.max_background_workers": "0",
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "cluster_name": "smokewatch",
}


class Timescale:
    """A database server; the same face as `simulator.parts.Postgres`."""

    host = HOST

    def __init__(
        self, folder: Path, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self._root = Path(os.environ.get(ROOT_VARIABLE, DEFAULT_ROOT))
        self._inside = Path("/var/lib/smokewatch-test") / uuid.uuid4().hex
        self._settings = {**_SETTINGS, **(settings or {})}
        self._child = Child("TimescaleDB", folder / "timescale.log", stop_signal=signal.SIGINT)
        self.folder = folder
        self.port = free_port() if port is None else port

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def data(self) -> Path:
        """The cluster's directory as seen from outside the root."""
        return self._root / self._inside.relative_to("/") / "data"

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@{self.host}:{self.port}/{database}"

    def start(self) -> None:
        if self.pid is not None:
            return
        self._require_root()
        self.folder.mkdir(parents=True, exist_ok=True)
        require_free(self.port, "TimescaleDB")
        if not self.data.exists():
            self._make()
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        command = [*self._chroot(), f"{_BIN}/postgres", "-D", f"{self._inside}/data", "-p", str(self.port)]
        for key, value in self._settings.items():
            command += ["-c", f"{key}={value}"]
        self._child.start(command, self._is_ready, timeout_s=120.0)

    def stop(self) -> None:
        self._child.stop()

    def kill9(self) -> None:
        self._child.kill9()

    def remove(self) -> None:
        """Stop and delete the cluster."""
        self.stop()
        shutil.rmtree(self.data.parent, ignore_errors=True)

    def _chroot(self) -> list[str]:
        return ["/usr/sbin/chroot", "--userspec=postgres:postgres", str(self._root)]

    def _make(self) -> None:
        user = next(
            line.split(":")
            for line in (self._root / "etc/passwd").read_text().splitlines()
            if line.startswith("postgres:")
        )
        self.data.parent.mkdir(parents=True)
        os.chown(self.data.parent, int(user[2]), int(user[3]))
        subprocess.run(
            [
                *(*self._chroot(), f"{_BIN}/initdb", "-D", f"{self._inside}/data", "-U", "postgres"),
                *("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
            ],
            check=True,
            capture_output=True,
            cwd="/",
        )

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _require_root(self) -> None:
        if os.geteuid() != 0:
            name = pwd.getpwuid(os.geteuid()).pw_name
            raise PartError(
                f"TimescaleDB is started by chroot, which {name} may not: run these tests as root"
            )
        if not (self._root / f"{_BIN}/postgres".lstrip("/")).exists():
            raise PartError(
                f"no TimescaleDB under {self._root}: make it with `tools/timescaledb-root`, "
                f"or name another root in {ROOT_VARIABLE}"
            )
