"""The whole system for the promise tests: real processes on a real line, a database and broker of its own.

Everything may be killed: the database server and the broker belong to the one test that asked. What the far
ends know is the truth: the agents' own files, the telephone, the rows.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from simulator.control import ask
from simulator.demo.phone import Message, Phone
from simulator.demo.system import Site, System, build, new_secret
from simulator.parts import free_port
from tests.harness.broker import Broker, new_broker
from tests.harness.database import Server, remove_server, start_server
from tests.harness.wait import eventually_now


@dataclass
class Whole:
    """A running system with its far ends."""

    system: System
    phone: Phone
    database: Server
    broker: Broker

    @property
    def detectors(self) -> list[str]:
        return [detector for units in self.system.street.detectors.values() for detector, _ in units]

    def sim(self, do: str, detector: str | None = None, **fields: Any) -> dict[str, Any]:
        """Give the simulator an order."""
        return ask(self.system.site.control, do, detector, **fields)

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Look into the tables."""
        with psycopg.connect(self.system.site.dsn, row_factory=dict_row, connect_timeout=5) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def one(self, query: str, *values: object) -> dict[str, Any]:
        found = self.rows(query, *values)
        assert len(found) == 1, found
        return found[0]

    def watching(self, timeout_s: float = 60) -> None:
        """Wait until every detector is polled and every gateway has been heard."""

        def all_polled() -> bool:
            polls = self.sim("polls")["polls"]
            return all(polls.get(detector, 0) >= 2 for detector in self.detectors)

        eventually_now(all_polled, timeout_s, "every detector is polled")
        eventually_now(
            lambda: (
                len(self.rows("SELECT FROM event WHERE kind = 'snapshot'"))
                >= len(self.system.street.gateways)
            ),
            timeout_s,
            "every gateway has sent a snapshot",
        )

    def settled(self, timeout_s: float = 90) -> None:
        """Wait until every agent has been told that all it recorded is stored."""

        def nothing_left() -> bool:
            return all(self.system.outbox(gateway)["depth"] == 0 for gateway in self.system.street.gateways)

        eventually_now(nothing_left, timeout_s, "no agent has anything left to send")

    def smoke(self, detector: str) -> dict[str, Any] | None:
        """The open smoke alarm of a detector."""
        found = self.rows(
            "SELECT * FROM alarm WHERE part = %s AND condition = 'smoke' AND state <> 'closed'", detector
        )
        return found[0] if found else None

    def message(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 30) -> Message:
        """The first message on the telephone that is wanted."""
        found = self.phone.wait_for(lambda message: wanted(message.body), timeout_s)
        assert found is not None, [m.body for m in self.phone.messages()]
        return found

    def all_stored_once(self) -> int:
        """Hold the agents' files against the tables: all is stored, once. Returns how many events."""
        total = 0
        for gateway in self.system.street.gateways:
            outbox, stored = self.at_rest(gateway)
            assert stored == list(range(1, outbox["highest_seq"] + 1)), (gateway, outbox, stored)
            total += len(stored)
        return total

    def all_stored_but_gaps(self, gateway: str) -> None:
        """After an older database was restored: what is neither stored nor a gap on record is missing."""
        outbox, stored = self.at_rest(gateway)
        gaps = self.rows(
            "SELECT from_seq, to_seq FROM data_gap WHERE lane = 'events' AND stream = %s", outbox["stream"]
        )
        assert gaps, "no gap is on record"
        gone = [seq for gap in gaps for seq in range(gap["from_seq"], gap["to_seq"] + 1)]
        assert sorted(stored + gone) == list(range(1, outbox["highest_seq"] + 1))

    def at_rest(self, gateway: str) -> tuple[dict[str, Any], list[int]]:
        """An agent's outbox and the numbers stored of its stream, when it has nothing left to say."""
        found = eventually_now(partial(self._at_rest, gateway), 30, "the agent has said all")
        assert found is not None
        return found

    def _at_rest(self, gateway: str) -> tuple[dict[str, Any], list[int]] | None:
        outbox = self.system.outbox(gateway)
        stored = self.rows(
            "SELECT seq FROM event WHERE gateway = %s AND stream = %s ORDER BY seq", gateway, outbox["stream"]
        )
        now = self.system.outbox(gateway)
        same = all(outbox[name] == now[name] for name in ("stream", "highest_seq"))
        return (outbox, [row["seq"] for row in stored]) if same and outbox["depth"] == 0 else None


@contextmanager
def whole_system(
    *, gateways: int = 1, detectors_each: int = 6, apart: bool = True, **site: Any
) -> Iterator[Whole]:
    """Start everything, give it to the test, end everything."""
    folder = Path(tempfile.mkdtemp(prefix="smokewatch-whole-"))
    folder.chmod(0o755)
    database = start_server(folder / "database")
    with psycopg.connect(database.dsn("postgres"), autocommit=True) as connection:
        connection.execute('CREATE DATABASE "smokewatch"')
    broker = new_broker(folder / "broker")
    broker.start()
    port, secret = free_port(), new_secret()
    place = Site(
        folder=folder,
        dsn=database.dsn("smokewatch"),
        broker_host=broker.host,
        broker_port=broker.port,
        http_port=free_port(),
        phone_url=f"http://127.0.0.1:{port}",
        secret=secret,
        delay_ms=2.0,
        gateways=gateways,
        detectors_each=detectors_each,
        apart=apart,
    )
    system = build(replace(place, **site))
    whole = Whole(system, Phone(port, secret, (), lambda _: None, _wall), database, broker)
    whole.phone.start()
    try:
        system.prepare()
        system.start()
        yield whole
    finally:
        system.stop()
        whole.phone.stop()
        broker.kill9()
        _show_logs(folder)
        remove_server(database, folder / "database")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def whole() -> Iterator[Whole]:
    """One gateway with six detectors, the centre's roles apart."""
    with whole_system() as running:
        running.watching()
        yield running


def _show_logs(folder: Path) -> None:
    """The end of each log; pytest shows it when the test failed."""
    for log in sorted((folder / "log").glob("*.log")):
        print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-40:], sep="\n")


def _wall() -> float:
    return time.time_ns() / 1e9
