"""An outage of 72 hours: what the agent's disk takes, and what happens when the centre is back.

    python -m benchmarks.outage --json [--hours 72] [--detectors 128] [--events-a-day 20]

The outage is written through the agent's own outbox and readings, its time injected. Then the agent's uplink
drains it into a real centre (its four roles, its database and a broker, all processes of their own),
while every 0.1 s one more detector begins to burn. What the tables hold at the end is held against what was
written. Mosquitto when it is installed, else nats-server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from edge_agent.app import MARGIN_BYTES
from edge_agent.clock import Clock
from edge_agent.config import MqttSettings, OutboxSettings
from edge_agent.observation import Observation, Sample, Seen
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from edge_agent.publisher import Publisher
from edge_agent.readings import ReadingBuffer, Readings
from edge_agent.recorder import Recorder
from edge_agent.spool import Spool
from simulator.demo.phone import Phone
from simulator.demo.street import AREA, Street, lay_out, serial_number
from simulator.demo.system import CENTRAL_ROLES, Site, System, new_secret
from simulator.parts import Nats, Postgres, free_port
from tests.harness.broker import Mosquitto
from wire.messages import Condition, EventKind, Status

GATEWAY = "gw-1"
REPEATED = (Condition.PRE_ALARM, Condition.FAULT, Condition.CONTAMINATED, Condition.MUTED, Condition.REMOVED)
ALARM_EVERY_S = 0.1
LOOK_EVERY_S = 0.02
NEW_FIRES = b"SELECT part FROM alarm WHERE condition = 'smoke' AND opened_at > now() - interval '20 seconds'"
LIMITS = OutboxSettings()


@dataclass
class Time:
    """The agent's clocks: they stand where the outage has come to, and run once it is over."""

    wall_ms: int
    mono_ms: int = 1_000_000
    real: bool = False
    _since: float = 0.0

    def run(self) -> None:
        """From now on as the real clocks do."""
        self.real, self._since = True, time.monotonic()

    def _ran_ms(self) -> int:
        return int((time.monotonic() - self._since) * 1000) if self.real else 0

    def clock(self) -> Clock:
        """As the agent's parts want it."""
        return Clock(
            wall_ms=lambda: self.wall_ms + self._ran_ms(),
            mono_s=lambda: (self.mono_ms + self._ran_ms()) / 1000,
            boot=uuid.uuid4().hex,
            synchronised=lambda: True,
        )


@dataclass
class Written:
    """What the outage left."""

    events: int = 0
    readings: int = 0
    disk_bytes: int = 0
    took_s: float = 0.0


@dataclass
class Fires:
    """When each new alarm was recorded, and when the centre had judged and committed it."""

    recorded: dict[str, float] = field(default_factory=dict)
    stored: dict[str, float] = field(default_factory=dict)

    def latencies(self) -> list[float]:
        """Seconds, ascending."""
        return sorted(self.stored[name] - at for name, at in self.recorded.items() if name in self.stored)


def street(detectors: int, folder: Path) -> Street:
    """One gateway with so many detectors, the invented street's homes around them."""
    made = lay_out({f"gw-{n}": str(folder / f"gw-{n}") for n in (1, 2, 3, 4)}, None)
    rows = made.files["detectors"]
    rows = [dict(rows[n % len(rows)]) for n in range(detectors)]
    for n, row in enumerate(rows):
        name = f"d-{n + 1:03d}"
        row.update(id=name, gateway=GATEWAY, unit=n + 1, serial_number=str(serial_number(name)))
    return Street({**made.files, "detectors": rows}, made.gateways, made.detectors)


async def outage(given: Any, outbox: Outbox, readings: Readings, moved: Time, names: list[str]) -> Written:
    """Live through it: a reading a minute of each detector, events at random moments."""
    chance = random.Random(72)
    written = Written()
    minutes, begun = int(given.hours * 60), moved.mono_ms
    wanted = round(given.events_a_day * given.hours / 24)
    due = sorted((chance.uniform(0, minutes), name, turn) for name in names for turn in range(wanted))
    due.reverse()
    turns: dict[str, int] = dict.fromkeys(names, 0)
    stamps = moved.clock()
    began, wall = time.monotonic(), moved.wall_ms
    for minute in range(minutes):
        moved.mono_ms, moved.wall_ms = begun + minute * 60_000, wall + minute * 60_000
        while due and due[-1][0] < minute:
            _, name, _ = due.pop()
            turn, turns[name] = turns[name], turns[name] + 1
            kind = EventKind.ASSERT if turn % 2 == 0 else EventKind.CLEAR
            condition = REPEATED[turn // 2 % len(REPEATED)]
            seen = Observation(kind, condition, name, "riser-1", value=round(chance.uniform(0, 3), 3))
            moved.mono_ms += 1
            outbox.record([Seen((seen,), stamps.stamp(1))])
            written.events += 1
        for name in names:
            readings.add(_sample(name, chance), moved.wall_ms)
            written.readings += 1
        await readings.tend()
        if minute % 600 == 0:
            print(f"  hour {minute // 60} of {given.hours}", file=sys.stderr)
    written.took_s = time.monotonic() - began
    return written


def _sample(name: str, chance: random.Random) -> Sample:
    return Sample(
        name,
        smoke=round(chance.gauss(0.4, 0.1), 2),
        temperature=round(chance.gauss(21, 2), 1),
        battery=round(chance.gauss(3.0, 0.02), 2),
        contamination=round(chance.uniform(10, 12), 1),
        status=0,
    )


async def drain(
    outbox: Outbox, readings: Readings, moved: Time, broker: Any, names: list[str], fires: Fires, done: Any
) -> None:
    """The agent's uplink and recorder, and one more fire every moment until all is drained."""
    moved.run()
    clock = moved.clock()

    async def nothing(_: object = None) -> None:
        return None

    publisher = Publisher(
        MqttSettings(broker.host, broker.port), AREA, GATEWAY, outbox, readings, clock,
        lambda: Status(online=True, boot=clock.boot, stream=outbox.stream, outbox_depth=outbox.depth),
        nothing, nothing, nothing,
    )  # fmt: skip
    recorder = Recorder(outbox, lambda: clock.stamp(1), publisher.wake, StorageError)
    tasks = [asyncio.create_task(publisher.run()), asyncio.create_task(recorder.run())]
    left = list(names)
    while not done():
        if publisher.connected and left:
            name = left.pop()
            await recorder.record([Observation(EventKind.ASSERT, Condition.SMOKE, name, "riser-1")], {})
            fires.recorded[name] = time.monotonic()
        await asyncio.sleep(ALARM_EVERY_S)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Watcher:
    """Looks into the tables from a thread of its own: when each alarm is there, when the backlog is."""

    def __init__(self, dsn: str, fires: Fires, events: int, readings: int, stream: str) -> None:
        self._dsn, self._fires = dsn, fires
        self._events, self._readings, self._stream = events, readings, stream
        self._end = threading.Event()
        self.began = time.monotonic()
        self.events_s: float | None = None
        self.all_s: float | None = None
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def done(self) -> bool:
        """All of the outage is stored, and every fire that was recorded is judged."""
        fires = self._fires
        return self.all_s is not None and fires.recorded.keys() <= fires.stored.keys()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as db:
            looks = 0
            while not self._end.wait(LOOK_EVERY_S):
                for (name,) in db.execute(NEW_FIRES).fetchall():
                    self._fires.stored.setdefault(name, time.monotonic())
                looks += 1
                if self.events_s is None:
                    self.events_s = self._reached(db, "events", self._events)
                elif looks % 20 == 0 and self.all_s is None:
                    moved = db.execute("SELECT sum(cursor) FROM lane WHERE lane = 'readings'").fetchone()
                    if moved is not None and int(moved[0] or 0) >= self._readings:
                        self.all_s = time.monotonic() - self.began

    def _reached(self, db: psycopg.Connection[Any], lane: str, wanted: int) -> float | None:
        found = db.execute(
            "SELECT cursor FROM lane WHERE lane = %s AND stream = %s", (lane, self._stream)
        ).fetchone()
        return time.monotonic() - self.began if found is not None and found[0] >= wanted else None


@contextlib.contextmanager
def centre(folder: Path, detectors: int) -> Iterator[tuple[System, Any, str]]:
    """Database, broker, telephone and the centre's roles; the registry knows the detectors."""
    database = Postgres(folder / "database", settings={"max_connections": "100"})
    mosquitto = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    broker = Mosquitto(folder / "broker") if mosquitto else Nats(folder / "broker")
    port, secret = free_port(), new_secret()
    phone = Phone(port, secret, (), lambda _: None, lambda: time.time_ns() / 1e9)
    try:
        database.start()
        with psycopg.connect(database.dsn("postgres"), autocommit=True) as connection:
            connection.execute('CREATE DATABASE "smokewatch"')
        broker.start()
        phone.start()
        site = Site(
            folder=folder,
            dsn=database.dsn("smokewatch"),
            broker_host=broker.host,
            broker_port=broker.port,
            http_port=free_port(),
            phone_url=f"http://127.0.0.1:{port}",
            secret=secret,
            apart=True,
        )
        system = System(site, street(detectors, folder))
        system.prepare()
        system.start(*CENTRAL_ROLES)
        _until_it_works(site.dsn)
        yield system, broker, "mosquitto" if mosquitto else "nats"
        system.stop()
    finally:
        for child in system.children.values() if "system" in locals() else ():
            child.stop()
        phone.stop()
        broker.kill9()
        database.stop()


def _until_it_works(dsn: str) -> None:
    """The centre is back when all its roles work, not when their processes begin to start."""
    up = (
        "SELECT EXISTS (SELECT FROM ear) AND count(DISTINCT application_name) >= %s"
        " FROM pg_stat_activity WHERE application_name = ANY(%s)"
    )
    names = [f"smokewatch-{role}" for role in CENTRAL_ROLES]
    with psycopg.connect(dsn, autocommit=True) as db:
        until = time.monotonic() + 60
        while not (db.execute(up.encode(), (len(names), names)).fetchone() or (False,))[0]:
            if time.monotonic() > until:
                raise SystemExit("the centre does not come up")
            time.sleep(0.05)


def checked(dsn: str, outbox: Outbox, written: Written, fires: Fires) -> dict[str, int]:
    """What the tables hold against what was written."""
    with psycopg.connect(dsn) as db:

        def one(query: str, *values: object) -> int:
            found = db.execute(query.encode(), values).fetchone()
            return int(found[0]) if found else 0

        events = one("SELECT count(*) FROM event WHERE stream = %s", outbox.stream)
        distinct = one("SELECT count(DISTINCT seq) FROM event WHERE stream = %s", outbox.stream)
        disorder = one(
            "SELECT count(*) FROM (SELECT seq < lag(seq) OVER (ORDER BY id) AS back FROM event"
            " WHERE stream = %s AND seq <= %s) AS each WHERE back",
            outbox.stream,
            written.events,
        )
        readings = one("SELECT count(*) FROM readings")
        different = one("SELECT count(*) FROM (SELECT DISTINCT series, at FROM readings) AS each")
        failed = one("SELECT count(*) FROM event WHERE failed IS NOT NULL")
        alarms = one("SELECT count(*) FROM alarm WHERE condition = 'smoke'")
    return {
        "lost": (outbox.highest_seq - distinct) + (written.readings - different),
        "duplicates": (events - distinct) + (readings - different) + (alarms - len(fires.recorded)),
        "events_out_of_order": disorder,
        "events_failed": failed,
    }


def main() -> None:
    """Run it and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--hours", type=float, default=72)
    parser.add_argument("--detectors", type=int, default=128)
    parser.add_argument("--events-a-day", type=float, default=20)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="smokewatch-outage-"))
    folder.chmod(0o755)
    try:
        print(json.dumps(asyncio.run(_measure(given, folder))))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(given: Any, folder: Path) -> dict[str, Any]:
    names = [f"d-{n + 1:03d}" for n in range(given.detectors)]
    state = folder / "state"
    moved = Time(wall_ms=int((time.time() - given.hours * 3600) * 1000))
    spool = Spool(state / "readings")
    outbox = Outbox.open(state / "outbox.db", "bench", limits=LIMITS)
    readings = Readings(
        ReadingBuffer(uuid.uuid4().hex, uuid.uuid4().hex),
        spool,
        lambda: LIMITS.max_bytes - outbox.used_bytes - MARGIN_BYTES,
        lambda: moved.wall_ms,
    )
    written = await outage(given, outbox, readings, moved, names)
    written.disk_bytes = sum(
        file.stat().st_blocks * 512 for file in state.rglob("*") if file.is_file() and file.name != "reserve"
    )
    print(f"  written in {written.took_s:.0f} s; now it drains", file=sys.stderr)
    fires = Fires()
    with centre(folder, given.detectors) as (system, broker, kind):
        dsn = system.site.dsn
        watcher = Watcher(dsn, fires, written.events, written.readings, outbox.stream)
        try:
            async with asyncio.timeout(600):
                await drain(outbox, readings, moved, broker, names, fires, watcher.done)
        finally:
            watcher.stop()
        found = checked(dsn, outbox, written, fires)
        with psycopg.connect(dsn) as db:
            shown = {
                name: (db.execute(f"SHOW {name}".encode()).fetchone() or ("",))[0]
                for name in ("fsync", "synchronous_commit", "full_page_writes", "server_version")
            }
    outbox.close()
    taken = fires.latencies()
    events_s, all_s = watcher.events_s or 0.0, watcher.all_s or 0.0
    return {
        "name": "outage",
        **found,
        "events": written.events,
        "readings": written.readings,
        "disk_mb": round(written.disk_bytes / 1e6, 2),
        "drain_events_per_s": round(written.events / events_s, 1),
        "drain_readings_per_s": round(written.readings / all_s, 1),
        "drained_in_s": round(all_s, 2),
        "new_alarms_while_draining": len(taken),
        "new_alarm_p50_s_while_draining": round(taken[len(taken) // 2], 3),
        "new_alarm_p99_s_while_draining": round(taken[min(len(taken) - 1, int(len(taken) * 0.99))], 3),
        "settings": {
            **shown,
            "broker": kind,
            "qos": 1,
            "cores": os.cpu_count(),
            "hours": given.hours,
            "detectors": given.detectors,
            "events_a_detector_a_day": given.events_a_day,
            "outbox": "SQLite, WAL, synchronous=FULL",
        },
    }


if __name__ == "__main__":
    main()
