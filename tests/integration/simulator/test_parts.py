"""The parts that the demo runs: nobody else's folder or port, and nothing left behind."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from simulator.parts import Nats, PartError, PortBusyError, Postgres, child, free_port
from simulator.parts.broker import accepts_mqtt
from simulator.parts.child import is_alive
from tests.harness.programs import lacking
from tests.harness.wait import eventually_now

ROOT = Path(__file__).resolve().parents[3]

_PARENT = """
import json, sys, time
from pathlib import Path
from simulator.parts import Nats, Postgres
folder = Path(sys.argv[1])
parts = [Postgres(folder / "database"), Nats(folder / "broker")]
for part in parts:
    part.start()
print(json.dumps([[part.pid, part.port] for part in parts]), flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="smokewatch-test-parts-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def postgres(folder: Path) -> Iterator[Postgres]:
    server = Postgres(folder / "database")
    server.start()
    yield server
    server.stop()


def test_nothing_outlives_a_parent_that_is_killed(folder: Path) -> None:
    """A kill -9 of the program that started them ends database and broker; a new start finds all free."""
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with parent:
        assert parent.stdout
        started = json.loads(parent.stdout.readline())
        assert all(is_alive(pid) for pid, _port in started)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    again = Postgres(folder / "database", port=started[0][1])  # at once: it waits for what still shuts down
    again.start()
    eventually_now(lambda: not any(is_alive(pid) for pid, _port in started))
    with psycopg.connect(again.dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    again.stop()


def test_a_pid_file_of_a_dead_server_does_not_stop_a_start(postgres: Postgres) -> None:
    """Even when its number now belongs to another living process."""
    postgres.kill9()
    pid_file = postgres.data / "postmaster.pid"
    assert pid_file.exists()
    pid_file.write_text(pid_file.read_text().replace(pid_file.read_text().split()[0], str(os.getpid()), 1))
    postgres.start()
    assert postgres.pid is not None


def test_a_folder_in_use_is_named_with_its_user(postgres: Postgres) -> None:
    """Two programs never share a cluster."""
    with pytest.raises(PartError, match=f"already run by process {os.getpid()}: stop that one or choose"):
        Postgres(postgres.folder).start()


def test_a_busy_port_is_named_with_the_mend(folder: Path) -> None:
    """Who holds it, and what to do."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        wanted = f"port {port} on 127.0.0.1.*in use by .*process {os.getpid()}.*choose another port"
        for part in (Postgres(folder / "database", port=port), Nats(folder / "broker", port=port)):
            with pytest.raises(PortBusyError, match=wanted):
                part.start()


def test_a_chosen_port_is_not_one_of_outgoing_connections() -> None:
    """A client that calls while the server is down must not be able to connect to itself."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_port() < lowest for _ in range(50))


def test_the_database_asks_for_its_password(postgres: Postgres) -> None:
    """Another user of the machine does not get in over loopback."""
    stranger = postgres.dsn().replace(postgres.dsn().split(":")[2].split("@")[0], "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(stranger)
    assert (postgres.folder / "password").stat().st_mode & 0o077 == 0


def test_making_a_database_twice_is_no_error(postgres: Postgres) -> None:
    """And the name of one that cannot be made is in the message."""
    postgres.create_database("street")
    postgres.create_database("street")
    with psycopg.connect(postgres.dsn("street")) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("street",)
    with pytest.raises(PartError, match=r"x{70}"):
        postgres.kill9()
        postgres.create_database("x" * 70)


def test_a_part_that_cannot_start_shows_the_end_of_its_log(folder: Path) -> None:
    """The reason is in the message, not only in a file."""
    server = Postgres(folder / "database", settings={"max_connections": "none"})
    with pytest.raises(PartError, match=r"(?s)ended at once.*max_connections"):
        server.start()
    assert server.pid is None


def test_a_killed_child_that_does_not_end_is_told(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs in a system call outlives even kill -9; the next start would meet it."""
    monkeypatch.setattr(child, "is_alive", lambda _pid: True)
    monkeypatch.setattr(child, "_STEP_S", 0)
    with pytest.raises(PartError, match=r"its children \d[\d ]+ were killed and do not end"):
        postgres.kill9()
    assert postgres.pid is None


def test_the_broker_takes_back_its_port_after_a_kill(folder: Path) -> None:
    """Stopped, killed, wiped: the same port each time."""
    broker = Nats(folder / "broker")
    broker.start()
    port = broker.port
    for end in (broker.stop, broker.kill9, broker.wipe):
        end()
        assert not accepts_mqtt(broker.host, port)
        broker.start()
        assert broker.port == port
        assert accepts_mqtt(broker.host, port)
    broker.stop()


def _require_root() -> None:
    if os.geteuid() != 0:
        lacking("only root can become somebody else: run this test as root")


def _anybody_may_run(place: str) -> bool:
    """Whether every folder on the way to this file lets others pass."""
    file = Path(place).resolve()
    return file.exists() and all(folder.stat().st_mode & 0o001 for folder in file.parents)


def test_a_normal_user_can_run_the_parts(folder: Path) -> None:
    """Nothing needs root: the parts then run as the caller."""
    _require_root()
    nobody = pwd.getpwnam("nobody")
    home = folder / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    folder.chmod(0o755)
    pythons = [place for place in (sys.executable, "/usr/bin/python3") if _anybody_may_run(place)]
    if not pythons or not _anybody_may_run(str(ROOT / "Makefile")):
        lacking(
            f"{sys.executable} or {ROOT} is in a folder that only root may enter: put the clone elsewhere"
        )
    run = subprocess.run(
        [pythons[0], "-c", _PARENT.replace("time.sleep(60)", ""), str(home)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        env={
            "HOME": str(home),
            "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    assert run.returncode == 0, run.stderr
    assert len(json.loads(run.stdout)) == 2


def test_a_cluster_stays_with_the_user_that_made_it(folder: Path) -> None:
    """Root runs the server as the owner of its folder; another user is told that the folder is not theirs."""
    _require_root()
    server = Postgres(folder / "database")
    server.start()
    server.stop()
    for file in [server.data, *server.data.rglob("*")]:
        os.chown(file, pwd.getpwnam("nobody").pw_uid, -1)
    server.start()
    assert Path(f"/proc/{server.pid}").owner() == "nobody"
    server.stop()
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        with pytest.raises(PartError, match=r"cannot use .*Permission denied.*choose another folder"):
            Postgres(folder / "database").start()
    finally:
        os.seteuid(0)
