"""Readings from a fleet through a broker and ingest into a database on this machine, and what it cost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from simulator.fleet.names import Names
from simulator.parts import Nats, Postgres
from simulator.parts.child import Child
from tests.harness.broker import Mosquitto
from tests.harness.timescale import Timescale

ROOT = Path(__file__).parents[1]
WARM_S = 5.0
SERVER = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min"}
"""As docs/install.md advises for a server of this size; whatever makes a commit durable is on."""
RAW = 1_000_000_000
"""Series from here on are no fleet's."""


@dataclass(frozen=True)
class Flow:
    """What speaks to what. `areas` streets have an ingest process each."""

    broker: str
    store: str
    gateways: int
    detectors: int
    window: int = 2
    areas: int = 1
    rate: float | None = None
    """Readings a second; None: as many as are answered."""
    roles: tuple[str, ...] = ()
    """Further roles of the centre, a process each."""
    channels: str = "[channels.console]\n"
    """Tables of the centre's configuration."""
    homes: bool = False
    """Whether the whole registry is imported, with homes and people, not the detectors alone."""

    @property
    def names(self) -> Names:
        """The fleet's."""
        return Names("fleet", self.gateways, self.detectors, self.areas)


@dataclass(frozen=True)
class Running:
    """Where the parts are."""

    dsn: str
    port: int
    pids: dict[str, list[int | None]]
    kill: dict[str, Callable[[], None]]
    """By part: kill -9, and start it again."""


@contextmanager
def running(flow: Flow) -> Iterator[Running]:
    """Start all but the fleet, whose detectors are registered."""
    folder = Path(tempfile.mkdtemp(prefix="smokewatch-flow-"))
    folder.chmod(0o755)
    kind = Timescale if flow.store == "timescaledb" else Postgres
    database = kind(folder / "db", settings=SERVER)
    broker = Mosquitto(folder / "broker") if flow.broker == "mosquitto" else Nats(folder / "broker")
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        if isinstance(database, Timescale):
            ending.callback(database.remove)
        database.start()
        ending.callback(database.stop)
        broker.start()
        ending.callback(broker.kill9)
        with psycopg.connect(database.dsn("postgres"), autocommit=True) as db:
            db.execute('CREATE DATABASE "smokewatch"')
        dsn = database.dsn("smokewatch")
        kill: dict[str, Callable[[], None]] = {
            "broker": partial(_again, broker, broker.start),
            "database": partial(_again, database, database.start),
        }
        workers: list[Child] = []
        for number in range(flow.areas):
            config = folder / f"central-{number}.toml"
            area = flow.names.area(number) if flow.areas > 1 else ""
            config.write_text(
                f'[database]\ndsn = "{dsn}"\n[broker]\nhost = "{broker.host}"\nport = {broker.port}\n'
                f'[ingest]\narea = "{area}"\n{flow.channels}'
            )
            if number == 0:
                _prepare(dsn, config, flow)
            worker = Child("ingest", folder / f"ingest-{number}.log")
            ending.callback(worker.stop)
            start = partial(
                worker.start,
                [sys.executable, "-m", "central", "ingest", str(config)],
                lambda _pid, wanted=number + 1: _hear(dsn, wanted),
                timeout_s=60,
            )
            start()
            workers.append(worker)
            kill[f"ingest-{number}"] = partial(_again, worker, start)
        pids = {"broker": [broker.pid], "ingest": [w.pid for w in workers], "database": [database.pid]}
        for role in flow.roles:
            part = Child(role, folder / f"{role}.log")
            ending.callback(part.stop)
            start = partial(
                part.start, [sys.executable, "-m", "central", role, str(config)], lambda _pid: True
            )
            start()
            pids[role] = [part.pid]
            kill[role] = partial(_again, part, start)
        yield Running(dsn, broker.port, pids, kill)


def _again(part: Child | Mosquitto | Nats | Postgres | Timescale, start: Callable[[], None]) -> None:
    part.kill9()
    start()


def speak(flow: Flow, where: Running, seconds: float, *more: str) -> subprocess.Popen[bytes]:
    """A fleet that speaks for so long; its stdout is what it did, as JSON."""
    rate = "max" if flow.rate is None else str(flow.rate)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "simulator", "fleet", "--port", str(where.port), "--json"),
            *_named(flow.names),
            *("--rate", rate, "--rows", str(max(1, flow.names.detectors)), "--window", str(flow.window)),
            *("--connections", "4", "--seconds", str(seconds), *more),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )


def drive(flow: Flow, where: Running, seconds: float) -> dict[str, Any]:
    """Let the fleet speak; what was stored in `seconds` after a warm-up, its cost, and what is missing."""
    fleet = speak(flow, where, seconds + WARM_S + 2, "--heartbeat", "0", "--no-snapshots")
    pids = {**where.pids, "fleet": [fleet.pid]}
    try:
        with psycopg.connect(where.dsn, autocommit=True) as db:
            time.sleep(WARM_S)
            began, rows = time.monotonic(), _stored(db)
            used = {name: _cpu_s(each) for name, each in pids.items()}
            time.sleep(seconds)
            took, rows = time.monotonic() - began, _stored(db) - rows
            spent = {name: _cpu_s(each) - used[name] for name, each in pids.items()}
            said, _ = fleet.communicate(timeout=300)
            told = json.loads(said)
            return {
                "readings_per_s": round(rows / took),
                **_checked(db, told),
                "cpu_us_per_reading": {name: round(each / rows * 1e6, 2) for name, each in spent.items()},
                "cores_busy": round(sum(spent.values()) / took, 2),
                "answer_p99_ms": told["readings"]["ack"]["p99_ms"],
                "repeated": told["readings"]["repeated"],
            }
    finally:
        fleet.kill()


def _prepare(dsn: str, config: Path, flow: Flow) -> None:
    _call("central", "migrate", "--config", str(config))
    names = flow.names
    if flow.homes:
        made = config.parent / "registry"
        _call("simulator", "fleet", *_named(names), "--write-registry", str(made), "--contact", "webhook")
        folders = [one.parent for one in sorted(made.rglob("areas.csv"))]
        for folder in folders:
            _call("central", "import", str(folder), "--config", str(config))
        return
    if not names.detectors:
        _gateways(dsn, names)
        return
    copy = "COPY detector (id, profile) FROM STDIN"
    with psycopg.connect(dsn) as db, db.cursor() as cursor, cursor.copy(copy) as copy_in:
        for gateway in range(names.gateways):
            for detector in names.detectors_of(gateway):
                copy_in.write_row((detector, "smokewatch-reference"))


def _gateways(dsn: str, names: Names) -> None:
    """Gateways alone, each with its lease, as when it was registered a moment ago."""
    copy = "COPY gateway (id, area, name, registered_at, registered_by) FROM STDIN"
    with psycopg.connect(dsn) as db:
        for number in range(names.areas):
            db.execute("INSERT INTO area VALUES (%s, %s)", (names.area(number), f"area {number}"))
        with db.cursor() as cursor, cursor.copy(copy) as rows:
            for gateway in range(names.gateways):
                area = names.area(names.area_number(gateway))
                rows.write_row((names.gateway(gateway), area, "", datetime.now(UTC), "benchmark"))
        db.execute("INSERT INTO lease (gateway, heard_at, deaf) SELECT id, now(), '0' FROM gateway")
        db.execute("ANALYZE gateway, lease")  # as autovacuum would within a minute


def _named(names: Names) -> list[str]:
    return [
        *("--area", names.fleet, "--areas", str(names.areas)),
        *("--gateways", str(names.gateways), "--detectors", str(names.detectors)),
    ]


def _call(*command: str) -> None:
    subprocess.run([sys.executable, "-m", *command], check=True, stdout=sys.stderr, cwd=ROOT)


def _hear(dsn: str, wanted: int) -> bool:
    with psycopg.connect(dsn) as db:
        row = db.execute("SELECT count(*) FROM ear").fetchone()
        return row is not None and int(row[0]) >= wanted


def _stored(db: psycopg.Connection) -> int:
    """Rows behind the cursors of all gateways: what is committed."""
    found = db.execute("SELECT coalesce(sum(cursor), 0) FROM lane WHERE lane = 'readings'").fetchone()
    return int(found[0]) if found else 0


def _checked(db: psycopg.Connection, told: dict[str, Any]) -> dict[str, int]:
    """What was acknowledged against what is there, stream by stream."""
    behind = _stored(db)
    found = db.execute("SELECT count(*) FROM readings WHERE series < %s", (RAW,)).fetchone()
    rows = int(found[0]) if found else 0
    missing = db.execute("SELECT coalesce(sum(to_seq - from_seq + 1), 0) FROM data_gap").fetchone()
    gaps = int(missing[0]) if missing else 0
    acked = int(told["readings"]["acked"])
    return {
        "stored": rows,
        "acknowledged": acked,
        "lost": max(0, acked - rows) + gaps,
        "duplicates": max(0, rows - (behind - gaps)),
    }


def _cpu_s(pids: list[int | None]) -> float:
    """Processor time of processes and of what they started, seconds."""
    wanted = {str(pid) for pid in pids if pid is not None}
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            own, fields = stat.read_text().split(" ", 1)[0], stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if own in wanted or fields[1] in wanted:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
