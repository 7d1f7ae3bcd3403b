"""The centre's programs: start, say how they stand, bear outages, stop in time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg
import pytest

from central import app, job_watch
from central.config import Settings, read_settings
from central.health import Health
from central.store.migrate import migrate, pending
from simulator.parts.ports import free_port
from tests.harness.broker import Broker
from tests.harness.database import Server, new_database
from tests.harness.sinks import SECRET, Say, sink
from tests.harness.town import batch, event, found, open_town, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind


def write_config(
    folder: Path, dsn: str, broker_port: int, http_port: int, webhook: str = "", table: str = "broker"
) -> Path:
    path = folder / "central.toml"
    path.write_text(
        f'[database]\ndsn = "{dsn}"\n[{table}]\nhost = "127.0.0.1"\nport = {broker_port}\n'
        f'[http]\nport = {http_port}\npublic_url = "https://fire.example"\n'
        + (
            f'[channels.webhook]\nurl = "{webhook}"\nsecret = "{SECRET}"\ntimeout_s = 3\n'
            if webhook
            else "[channels.console]\n"
        )
    )
    return path


@asynccontextmanager
async def running(settings: Settings, roles: frozenset[str] = app.ROLES) -> AsyncIterator[Health]:
    """The roles in this process, stopped at the end, within the time they have."""
    stop, health = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        app.run(settings, roles, {}, stop=stop, started=lambda h: health.set_result(h))
    )
    done, _ = await asyncio.wait([task, health], timeout=15, return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        task.result()
    try:
        yield health.result()
    finally:
        began = time.monotonic()
        stop.set()
        await asyncio.wait_for(task, 10)
        assert time.monotonic() - began < 5


async def get(port: int, path: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=15) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(ask)


async def is_ready(port: int) -> bool:
    return (await get(port, "/readyz"))[0] == 200


async def test_all_roles_start_turn_report_and_stop(tmp_path: Path, database: str, broker: Broker) -> None:
    """Ready with database and broker; every loop turns; figures are there; stopped within 5 s."""
    port = free_port()
    settings = read_settings(write_config(tmp_path, database, broker.port, port), {})
    async with running(settings) as health:
        await eventually(lambda: is_ready(port), 15, "ready")
        status, text = await get(port, "/healthz")
        assert status == 200
        parts = json.loads(text)["parts"]
        assert {"proof", "jobs due", "jobs sweep", "worker console urgent"} <= set(parts)
        before = health.ages()["jobs due"]
        await eventually(lambda: health.ages()["jobs due"] < max(before, 0.9), 5, "the due tick goes on")
        _, figures = await get(port, "/metrics")
        assert "smokewatch_broker_connected 1.0" in figures
        assert "smokewatch_deliveries_overdue 0.0" in figures
    with socket.create_server(("127.0.0.1", port)):
        pass  # the port is free again


async def test_fire_brigade_centres_and_transmitters_have_loops_of_their_own(
    tmp_path: Path, database: str, broker: Broker
) -> None:
    """Where the configuration names them; a centre that is away makes nothing unhealthy."""
    port, heard = free_port(), free_port()
    path = write_config(tmp_path, database, broker.port, port)
    with path.open("a") as file:
        file.write(
            f'[[forward]]\nid = "fire-119"\nhost = "127.0.0.1"\nport = {free_port()}\nsource_address = 889\n'
            f'destination_address = 88888\n[transmitters]\nlisten = "127.0.0.1:{heard}"\naddress = 88888\n'
            '[[transmitters.known]]\naddress = 1\ngateway = "tx-1"\n'
        )
    async with running(read_settings(path, {})) as health:
        loops = {"forward watch", "forward fire-119", "transmitters"}
        await eventually(lambda: is_ready(port), 15, "ready")
        assert loops <= set(health.ages())
        await eventually(lambda: max(health.ages()[loop] for loop in loops) < 5, 10, "they turn")
        with socket.create_connection(("127.0.0.1", heard), timeout=5):
            pass
        _, figures = await get(port, "/metrics")
        assert 'smokewatch_forward_waiting{centre="fire-119"} 0.0' in figures


async def test_readiness_reflects_a_broker_that_goes_and_comes(
    tmp_path: Path, database: str, broker: Broker
) -> None:
    """Unready with the reason, never dead; ready again by itself."""
    port = free_port()
    settings = read_settings(write_config(tmp_path, database, broker.port, port), {})
    async with running(settings):
        await eventually(lambda: is_ready(port), 15, "ready")
        await asyncio.to_thread(broker.kill9)

        async def unready() -> bool:
            status, text = await get(port, "/readyz")
            return status == 503 and json.loads(text)["parts"]["broker"] != "ok"

        await eventually(unready, 15, "unready")
        assert (await get(port, "/healthz"))[0] == 200
        await asyncio.to_thread(broker.start)
        await eventually(lambda: is_ready(port), 30, "ready again")


async def test_the_centre_outlives_its_database(
    tmp_path: Path, own_database_server: Server, broker: Broker
) -> None:
    """Killed and started again: unready meanwhile, alive all the time, ready afterwards."""
    server = own_database_server
    dsn = await asyncio.to_thread(new_database, server)
    await asyncio.to_thread(migrate, dsn)
    port = free_port()
    settings = read_settings(write_config(tmp_path, dsn, broker.port, port), {})
    async with running(settings) as health:
        await eventually(lambda: is_ready(port), 15, "ready")
        await asyncio.to_thread(server.kill9)

        async def unready() -> bool:
            return not (await health.ready()).ok

        await eventually(unready, 15, "unready")
        assert health.live().ok
        await asyncio.to_thread(server.start)
        await eventually(lambda: is_ready(port), 30, "ready again")


async def test_missing_migrations_are_named_and_applied_on_demand(
    tmp_path: Path, empty_database: str, broker: Broker
) -> None:
    """Refused with the command to run; `migrate_first` applies them."""
    settings = read_settings(write_config(tmp_path, empty_database, broker.port, free_port()), {})
    with pytest.raises(app.StartError, match=r"0001_registry.*smokewatch-central migrate"):
        await app.run(settings, app.ROLES, {}, stop=asyncio.Event())
    stop = asyncio.Event()
    await asyncio.wait_for(
        app.run(settings, app.ROLES, {}, stop=stop, migrate_first=True, started=lambda _health: stop.set()),
        30,
    )
    assert await asyncio.to_thread(pending, empty_database) == []


async def test_a_program_that_is_older_than_its_database_goes_on_watching(
    tmp_path: Path, database: str, broker: Broker
) -> None:
    """While an upgrade goes round machines, or was taken back: a restart of ours must not end the watch."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)"
            " VALUES ('f', '9999_later', now())"
        )
    port = free_port()
    settings = read_settings(write_config(tmp_path, database, broker.port, port), {})
    async with running(settings):
        await eventually(lambda: is_ready(port), 30, "ready")


async def test_the_workers_process_notices_that_nobody_runs_the_jobs(
    tmp_path: Path, database: str, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of the jobs is gone: who is left raises the alarm, and sends it."""
    monkeypatch.setattr(job_watch, "LOOK_S", 0.1)
    found(database)
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("INSERT INTO job VALUES ('due', interval '1 second', now() - interval '5 minutes')")
    settings = read_settings(write_config(tmp_path, database, broker.port, free_port()), {})
    query = (
        "SELECT delivery.state FROM delivery JOIN alarm ON alarm.id = delivery.alarm"
        " WHERE alarm.part = 'job:due:street' AND delivery.worker = 'desk' AND delivery.state = 'sent'"
    )
    with psycopg.connect(database, autocommit=True) as conn:
        async with running(settings, frozenset({"worker"})):
            await eventually(lambda: conn.execute(query).fetchone(), 20, "the desk is told")


async def test_a_busy_port_is_named(tmp_path: Path, database: str, broker: Broker) -> None:
    """The message says which port and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = read_settings(write_config(tmp_path, database, broker.port, port), {})
        with pytest.raises(app.StartError, match=rf"{port}.*another http.port"):
            await app.run(settings, app.ROLES, {}, stop=asyncio.Event())


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """One of the programs, its log to be read by `communicate`."""
    return subprocess.Popen(
        [sys.executable, "-m", "central", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def central(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "central", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.fixture
def started() -> AsyncIterator[list[subprocess.Popen[str]]]:
    """Processes to be ended with the test."""
    all_of_them: list[subprocess.Popen[str]] = []
    yield all_of_them
    for process in all_of_them:
        process.kill()
        process.communicate()


async def test_the_program_tells_systemd_and_ends_on_sigterm(
    tmp_path: Path, database: str, broker: Broker, started: list[subprocess.Popen[str]]
) -> None:
    """READY, a watchdog's word, STOPPING; exit code 0 within 5 s; nothing secret in the log."""
    path = write_config(tmp_path, database, broker.port, free_port())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        process = start("serve", "--config", str(path), **environment)
        started.append(process)
        said = [await asyncio.to_thread(systemd.recv, 4096) for _ in range(2)]
        assert said == [b"READY=1", b"WATCHDOG=1"]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, log = await asyncio.to_thread(process.communicate, timeout=10)
        assert process.returncode == 0, log
        assert time.monotonic() - began < 5
        rest = b""
        systemd.setblocking(False)
        try:
            while True:
                rest += systemd.recv(4096)
        except BlockingIOError:
            pass
        assert b"STOPPING=1" in rest
    password = database.split(":")[2].partition("@")[0]
    assert password not in log
    assert "Traceback" not in log


async def test_a_worker_killed_between_the_providers_yes_and_the_commit_sends_again(
    tmp_path: Path, database: str, broker: Broker, started: list[subprocess.Popen[str]]
) -> None:
    """Kill -9 of the real process; the next one finds the claim, and the receiver sees the same key."""
    town = await open_town(database)
    await town.do("UPDATE contact SET channel = 'webhook'")
    async with sink() as phone:
        path = write_config(tmp_path, database, broker.port, free_port(), phone.url)
        hang = asyncio.Event()
        phone.answer = lambda one: Say(wait=hang) if one.number == 1 else Say()
        first = start("worker", str(path))
        started.append(first)
        await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
        await eventually(lambda: len(phone.received) == 1, 20, "the first worker hands over")
        first.kill()
        await asyncio.to_thread(first.wait)
        hang.set()
        started.append(start("worker", str(path)))
        # As if the claim's time were over: nobody else may have it before.
        await town.do("UPDATE delivery SET claimed_until = claimed_until - interval '1 minute'")
        await eventually(lambda: len(phone.received) == 2, 20, "the second worker hands over")

        async def sent() -> bool:
            return (await town.one("SELECT state FROM delivery"))["state"] == "sent"

        await eventually(sent)
    assert phone.keys[0] == phone.keys[1]
    rows = await town.rows("SELECT number, outcome FROM attempt ORDER BY number")
    assert [(row["number"], row["outcome"]) for row in rows] == [(1, "died"), (2, "sent")]
    await town.store.close()


async def test_the_commands_answer_with_words_and_exit_codes(
    tmp_path: Path, empty_database: str, broker: Broker
) -> None:
    """check-config, migrate --check, migrate, and a mistake in the file."""
    path = str(write_config(tmp_path, empty_database, broker.port, free_port()))
    good = await asyncio.to_thread(central, "check-config", path)
    assert (good.returncode, good.stderr) == (0, "")
    assert "console" in good.stdout
    check = await asyncio.to_thread(central, "migrate", path, "--check")
    assert check.returncode == 3
    assert "pending: 0001_registry" in check.stdout
    done = await asyncio.to_thread(central, "migrate", SMOKEWATCH_CENTRAL_CONFIG=path)
    assert done.returncode == 0
    assert "applied: 0005_delivery_reason" in done.stdout
    again = await asyncio.to_thread(central, "migrate", "--config", path)
    assert "up to date" in again.stdout
    typo = str(write_config(tmp_path, empty_database, broker.port, free_port(), table="brocker"))
    wrong = await asyncio.to_thread(central, "serve", typo)
    assert wrong.returncode == 2
    assert "did you mean 'broker'?" in wrong.stderr
    assert "Traceback" not in wrong.stderr
