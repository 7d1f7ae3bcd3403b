"""Readings committed end to end: a fleet, a broker, the centre's ingest and a database on this one machine.

    python -m benchmarks.ingest --json                    # Mosquitto and TimescaleDB, then the others
    python -m benchmarks.ingest --json --pairs mosquitto+postgresql --seconds 20

What the tables hold is held against what the fleet was answered for. Before and after, the same columns go
into the same table with its indexes by raw binary COPY, one connection, a commit every 20,000 rows: the
higher of the two is what `ratio_to_copy` is taken against.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from central.store.readings import COPY, HEADER, TRAILER, Columns, packed
from simulator.parts import Nats, Postgres
from simulator.parts.child import Child
from tests.harness.broker import Mosquitto
from tests.harness.timescale import Timescale

ROOT = Path(__file__).parents[1]
PAIRS = ("mosquitto+timescaledb", "mosquitto+postgresql", "nats+timescaledb", "nats+postgresql")
COMMIT_EVERY = 20_000
COPY_S = 8.0
WARM_S = 5.0
AREA = "fleet"
RAW = 1_000_000_000
"""Series from here on are those of raw COPY."""


def main() -> None:
    """Run the pairs and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=PAIRS)
    parser.add_argument("--seconds", type=float, default=60.0, help="measured; 5 s before them are not")
    parser.add_argument("--gateways", type=int, default=500)
    parser.add_argument("--detectors", type=int, default=128, help="of each gateway, and rows in a message")
    parser.add_argument("--window", type=int, default=2, help="messages under way of each gateway")
    given = parser.parse_args()
    runs = [_run(given, *pair.split("+")) for pair in given.pairs]
    first, *others = runs
    print(json.dumps({"name": "ingest", **first, "others": others, "settings": _settings(given)}))


def _settings(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "seconds": given.seconds,
        "gateways": given.gateways,
        "rows_a_message": given.detectors,
        "window": given.window,
        "readings_qos": 1,
        "commit": "fsync, synchronous_commit and full_page_writes on",
        "copy": f"binary, one connection, a commit every {COMMIT_EVERY} rows, for {COPY_S:g} s",
        "cores": os.cpu_count(),
    }


def _run(given: argparse.Namespace, broker_name: str, store: str) -> dict[str, Any]:
    print(f"{broker_name} + {store}", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="smokewatch-ingest-"))
    folder.chmod(0o755)
    try:
        with _parts(folder, broker_name, store, given.gateways, given.detectors) as (
            database,
            broker,
            ingest,
            dsn,
        ):
            before = _raw_copy(dsn, given.gateways, given.detectors)
            pids = {"broker": broker.pid, "ingest": ingest.pid, "database": database.pid}
            found = _drive(given, dsn, broker.port, pids)
            after = _raw_copy(dsn, given.gateways, given.detectors)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    copied = max(before, after)
    return {
        "broker": broker_name,
        "store": store,
        "ratio_to_copy": round(found["readings_per_s"] / copied, 3),
        **found,
        "copy_rows_per_s": {"before": round(before), "after": round(after)},
    }


@contextmanager
def _parts(
    folder: Path, broker_name: str, store: str, gateways: int, detectors: int
) -> Iterator[tuple[Any, Any, Child, str]]:
    database = Timescale(folder / "db") if store == "timescaledb" else Postgres(folder / "db")
    broker = Mosquitto(folder / "broker") if broker_name == "mosquitto" else Nats(folder / "broker")
    ingest = Child("ingest", folder / "ingest.log")
    try:
        database.start()
        broker.start()
        with psycopg.connect(database.dsn("postgres"), autocommit=True) as db:
            db.execute('CREATE DATABASE "smokewatch"')
        dsn = database.dsn("smokewatch")
        config = folder / "central.toml"
        config.write_text(
            f'[database]\ndsn = "{dsn}"\n[broker]\nhost = "{broker.host}"\nport = {broker.port}\n'
            "[channels.console]\n"
        )
        _central("migrate", "--config", str(config))
        with psycopg.connect(dsn) as db:
            db.execute(
                "INSERT INTO detector (id, profile)"
                " SELECT format('%%s-%%s-%%s', %s::text, lpad(g::text, 5, '0'), lpad(n::text, 3, '0')),"
                " 'reference'"
                " FROM generate_series(1, %s) g, generate_series(1, %s) n",
                (AREA, gateways, detectors),
            )
        ingest.start(
            [sys.executable, "-m", "central", "ingest", str(config)], lambda _pid: _hears(dsn), timeout_s=60
        )
        yield database, broker, ingest, dsn
    finally:
        ingest.stop()
        broker.kill9()
        database.stop()
        if isinstance(database, Timescale):
            database.remove()


def _central(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "central", *words], check=True, stdout=sys.stderr, cwd=ROOT)


def _hears(dsn: str) -> bool:
    with psycopg.connect(dsn) as db:
        return db.execute("SELECT 1 FROM ear").fetchone() is not None


def _raw_copy(dsn: str, gateways: int, detectors: int) -> float:
    """Rows a second of raw COPY of such rows into `readings`; they are removed again."""
    made = [_rows(turn, gateways, detectors) for turn in range(8)]
    with psycopg.connect(dsn) as db:
        count, began = 0, time.monotonic()
        while time.monotonic() - began < COPY_S:
            for piece in made:
                with db.cursor() as cursor, cursor.copy(COPY) as copy_in:
                    copy_in.write(HEADER + piece + TRAILER)
                db.commit()
                count += COMMIT_EVERY
        took = time.monotonic() - began
        db.execute("DELETE FROM readings WHERE series >= %s", (RAW,))
        db.commit()
    print(f"  raw COPY {count / took:,.0f} rows/s", file=sys.stderr)
    return count / took


def _rows(turn: int, gateways: int, detectors: int) -> bytes:
    now_ms = int(time.time() * 1000)
    pieces, made = [], 0
    while made < COMMIT_EVERY:
        gateway = (turn * 157 + made // detectors) % gateways
        size = min(detectors, COMMIT_EVERY - made)
        values = [round(0.1 + (n % 37) / 100, 2) for n in range(size)]
        pieces.append(
            packed(
                Columns(
                    received_ms=now_ms,
                    series=[RAW + gateway * detectors + n for n in range(size)],
                    at_ms=[now_ms - turn * 1000 - n for n in range(size)],
                    smoke=values,
                    temperature=values,
                    battery=values,
                    contamination=values,
                    status=[0] * size,
                )
            )
        )
        made += size
    return b"".join(pieces)


def _drive(given: argparse.Namespace, dsn: str, port: int, pids: dict[str, int | None]) -> dict[str, Any]:
    fleet = subprocess.Popen(
        [
            *(sys.executable, "-m", "simulator", "fleet", "--port", str(port), "--area", AREA, "--json"),
            *("--gateways", str(given.gateways), "--detectors", str(given.detectors), "--rate", "max"),
            *("--rows", str(given.detectors), "--window", str(given.window), "--heartbeat", "0"),
            *("--seconds", str(given.seconds + WARM_S + 2), "--no-snapshots", "--connections", "4"),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    try:
        with psycopg.connect(dsn, autocommit=True) as db:
            time.sleep(WARM_S)
            began, rows = time.monotonic(), _stored(db)
            used = {name: _cpu_s(pid) for name, pid in pids.items()} | {"fleet": _cpu_s(fleet.pid)}
            time.sleep(given.seconds)
            took, rows = time.monotonic() - began, _stored(db) - rows
            spent = {name: _cpu_s(pid) - used[name] for name, pid in pids.items()}
            spent["fleet"] = _cpu_s(fleet.pid) - used["fleet"]
            said, _ = fleet.communicate(timeout=300)
            told = json.loads(said)
            return {
                "readings_per_s": round(rows / took),
                **_checked(db, told),
                "cpu_us_per_reading": {name: round(each / rows * 1e6, 2) for name, each in spent.items()},
                "repeated": told["readings"]["repeated"],
            }
    finally:
        fleet.kill()


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


def _cpu_s(pid: int | None) -> float:
    """Processor time of a process and of what it started, seconds."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            own, fields = stat.read_text().split(" ", 1)[0], stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if pid is not None and (own == str(pid) or fields[1] == str(pid)):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
