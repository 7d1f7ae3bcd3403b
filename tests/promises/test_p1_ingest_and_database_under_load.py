"""P1 under load: ingest, database and broker may die; what was answered is stored, each row once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from simulator.parts.child import Child
from tests.harness.broker import Broker
from tests.harness.database import Server, new_database
from tests.harness.wait import eventually_now

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("SMOKEWATCH_SEED", "20261124"))
SHORT_KILLS = 5
SOAK_KILLS = int(os.environ.get("SMOKEWATCH_SOAK_INGEST_KILLS", "500"))
SOAK_BROKER_KILLS = int(os.environ.get("SMOKEWATCH_SOAK_BROKER_KILLS", "200"))
GATEWAYS, DETECTORS = 20, 50
MOST_RSS_MB = 200


def test_random_kills_of_ingest_and_database_lose_nothing_and_double_nothing(
    own_database_server: Server, broker: Broker, tmp_path: Path
) -> None:
    """Five kill -9 while 5,000 readings and two fires a second flow."""
    _kill_loop(own_database_server, broker, tmp_path, SHORT_KILLS, SEED)


def test_random_kills_of_the_broker_lose_nothing_and_double_nothing(
    own_database_server: Server, broker: Broker, tmp_path: Path
) -> None:
    """What ingest has under way in the database when the broker dies is cut off wherever it is."""
    _kill_loop(own_database_server, broker, tmp_path, SHORT_KILLS, SEED, ("broker",))


@pytest.mark.soak
def test_five_hundred_kills_of_ingest_and_database_lose_nothing_and_double_nothing(
    own_database_server: Server, broker: Broker, tmp_path: Path
) -> None:
    """The same with the full count."""
    _kill_loop(own_database_server, broker, tmp_path, SOAK_KILLS, SEED + 1)


@pytest.mark.soak
def test_two_hundred_kills_of_the_broker_lose_nothing_and_double_nothing(
    own_database_server: Server, broker: Broker, tmp_path: Path
) -> None:
    """The same with the full count."""
    _kill_loop(own_database_server, broker, tmp_path, SOAK_BROKER_KILLS, SEED + 2, ("broker",))


def _kill_loop(
    server: Server,
    broker: Broker,
    folder: Path,
    kills: int,
    seed: int,
    victims: Sequence[str] = ("ingest", "database"),
) -> None:
    rng = random.Random(seed)
    dsn = new_database(server)
    ingest = Child("ingest", folder / "ingest.log")
    config = _registered(dsn, broker, folder)

    def start() -> None:
        ingest.start(
            [sys.executable, "-m", "central", "ingest", str(config)], lambda _: _hears(dsn), timeout_s=30
        )

    done = dict.fromkeys(victims, 0)
    largest_mb = 0.0
    start()
    try:
        with _fleet(broker) as fleet:
            for _ in range(kills):
                victim = rng.choice(victims)
                done[victim] += 1
                time.sleep(rng.uniform(0.2, 1.0))
                largest_mb = max(largest_mb, _rss_mb(ingest.pid))
                before = _behind(dsn)
                if victim == "ingest":
                    ingest.kill9()
                    start()
                elif victim == "database":
                    server.kill9()
                    server.start()
                else:
                    broker.wipe()
                    broker.start()
                eventually_now(lambda held=before: _behind(dsn) > held, 30, f"rows after a kill of {victim}")
            told = _ended(fleet)
        print(f"kills {done}, ingest at most {largest_mb:.0f} MB, said {told['readings']} {told['events']}")
        rows = _all_stored_once(dsn, told)
    finally:
        ingest.kill9()
    print(f"stored once: {rows} readings and events")
    assert largest_mb < MOST_RSS_MB


def _registered(dsn: str, broker: Broker, folder: Path) -> Path:
    config = folder / "central.toml"
    config.write_text(
        f'[database]\ndsn = "{dsn}"\n[broker]\nhost = "{broker.host}"\nport = {broker.port}\n'
        "[channels.console]\n"
    )
    registry = folder / "registry"
    fleet = ("--gateways", str(GATEWAYS), "--detectors", str(DETECTORS))
    for command in (
        ("central", "migrate", "--config", str(config)),
        ("simulator", "fleet", *fleet, "--write-registry", str(registry)),
        ("central", "import", str(registry), "--config", str(config)),
    ):
        subprocess.run(
            [sys.executable, "-m", *command], check=True, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=120
        )
    return config


@contextmanager
def _fleet(broker: Broker) -> Iterator[subprocess.Popen[str]]:
    made = subprocess.Popen(
        [
            *(sys.executable, "-m", "simulator", "fleet", "--port", str(broker.port), "--json"),
            *("--gateways", str(GATEWAYS), "--detectors", str(DETECTORS), "--rate", "5000"),
            *("--alarms", "2", "--clear-after", "5", "--drain", "120"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield made
    finally:
        made.kill()
        made.wait()


def _ended(fleet: subprocess.Popen[str]) -> dict[str, Any]:
    """What it did, once it has recorded no more and was answered for all."""
    fleet.send_signal(signal.SIGINT)
    said, _ = fleet.communicate(timeout=180)
    told: dict[str, Any] = json.loads(said)
    return told


def _all_stored_once(dsn: str, told: dict[str, Any]) -> tuple[int, int]:
    readings, events = told["readings"], told["events"]
    assert readings["waiting"] == events["waiting"] == 0, told
    assert readings["gaps"] == events["gaps"] == 0
    with psycopg.connect(dsn) as db:

        def one(query: str) -> int:
            row = db.execute(query.encode()).fetchone()
            assert row is not None
            return int(row[0] or 0)

        assert one("SELECT count(*) FROM readings") == readings["acked"] == readings["recorded"]
        assert one("SELECT sum(cursor) FROM lane WHERE lane = 'readings'") == readings["recorded"]
        assert one("SELECT count(*) FROM data_gap") == 0
        assert one("SELECT count(*) FROM quarantine") == 0
        # Every gateway as many rows as its cursor says.
        assert (
            one(
                "SELECT count(*) FROM (SELECT gateway, count(*) AS n FROM readings JOIN series ON id = series"
                " GROUP BY gateway) AS stored FULL JOIN (SELECT gateway, sum(cursor) AS n FROM lane"
                " WHERE lane = 'readings' GROUP BY gateway) AS told USING (gateway)"
                " WHERE stored.n IS DISTINCT FROM told.n"
            )
            == 0
        )
        assert one("SELECT count(*) FROM event") == events["acked"] == events["recorded"]
        assert one("SELECT count(*) FROM event WHERE failed IS NOT NULL") == 0
        assert one("SELECT count(DISTINCT (gateway, stream, seq)) FROM event") == events["recorded"]
        # One that burns again before anybody has closed its alarm begins another round of the same one.
        burnt = one(
            "SELECT count(DISTINCT detector) FROM event WHERE kind = 'assert' AND condition = 'smoke'"
        )
        assert one("SELECT count(*) FROM alarm WHERE condition = 'smoke'") == burnt
        # Smoke that came and went while nobody heard may be told after its end: a line of the alarm.
        late = one("SELECT count(*) FROM alarm_log WHERE what = 'older_assert'")
        assert one("SELECT sum(round) FROM alarm WHERE condition = 'smoke'") + late == told["alarms"]
    return readings["recorded"], events["recorded"]


def _behind(dsn: str) -> int:
    """Readings behind the cursors of all gateways."""
    try:
        with psycopg.connect(dsn, connect_timeout=2) as db:
            row = db.execute("SELECT coalesce(sum(cursor), 0) FROM lane WHERE lane = 'readings'").fetchone()
    except psycopg.OperationalError:
        return -1  # it is not back yet
    return int(row[0]) if row else 0


def _hears(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, connect_timeout=2) as db:
            return db.execute("SELECT 1 FROM ear").fetchone() is not None
    except psycopg.OperationalError:
        return False


def _rss_mb(pid: int | None) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
