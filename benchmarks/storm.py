"""A storm: five thousand homes burn within one second; each alarm opened, planned, and named to a person.

    python -m benchmarks.storm --json
    python -m benchmarks.storm --json --alarms 1000 --broker nats --store postgresql

A fleet behind fifty gateways, a broker, and the centre's ingest, worker and jobs as processes of their own.
The people of the fleet have a telephone that rings (`webhook` with `calls`) and, after it, one for messages;
both are a receiver in a process of its own. Times are this machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from typing import Any

import psycopg

from benchmarks._flow import Flow, Running, running, speak
from benchmarks._phones import Arrived, phones

LISTED_S = 5.0
"""Within this each home is named in a message that somebody can read or hear."""
STORM_AT_S = 5.0
WATCHED_S = 75.0
"""For so long people are watched: more than the minute in which a telephone may ring once."""


def main() -> None:
    """Let it burn and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--alarms", type=int, default=5_000)
    parser.add_argument("--gateways", type=int, default=50)
    parser.add_argument("--broker", choices=("mosquitto", "nats"), default="mosquitto")
    parser.add_argument("--store", choices=("timescaledb", "postgresql"), default="timescaledb")
    given = parser.parse_args()
    with phones() as calls, phones() as texts:
        channels = (
            f'[channels.webhook]\nurl = "{calls.url}"\nsecret = "s"\ncalls = true\n'
            f'[channels.text]\nkind = "webhook"\nurl = "{texts.url}"\nsecret = "s"\n'
        )
        flow = Flow(
            given.broker,
            given.store,
            given.gateways,
            -(-given.alarms // given.gateways),
            rate=0,
            roles=("worker", "jobs"),
            channels=channels,
            homes=True,
        )
        with running(flow) as where:
            found = _storm(flow, where, given.alarms)
            found |= _told(where.dsn, calls.arrived(), texts.arrived())
    settings = {
        "alarms": given.alarms,
        "within_s": 1.0,
        "gateways": given.gateways,
        "contacts": "a call first, then a message",
        "cores": os.cpu_count(),
    }
    print(
        json.dumps(
            {"name": "storm", "broker": given.broker, "store": given.store, **found, "settings": settings}
        )
    )


def _storm(flow: Flow, where: Running, alarms: int) -> dict[str, Any]:
    with psycopg.connect(where.dsn, autocommit=True) as db:
        db.execute("INSERT INTO contact SELECT worker, 1, 'text', address FROM contact")
        fleet = speak(
            flow,
            where,
            STORM_AT_S + WATCHED_S,
            *("--storm", str(alarms), "--storm-at", str(STORM_AT_S), "--clear-after", "0"),
        )
        try:
            planned_at = _until_all_are_planned(db, alarms)
            told = json.loads(fleet.communicate(timeout=WATCHED_S + 120)[0])
        finally:
            fleet.kill()
        opened, parts = _row(db, "SELECT count(*), count(DISTINCT part) FROM alarm WHERE condition = 'smoke'")
        (began,) = _row(
            db, "SELECT extract(epoch FROM min(event_at))::float8 FROM alarm WHERE condition = 'smoke'"
        )
    return {
        "opened": opened,
        "duplicates": opened - parts,
        "planned_s": None if planned_at is None else round(planned_at - began, 2),
        "events_acknowledged_p99_ms": told["events"]["ack"]["p99_ms"],
    }


def _until_all_are_planned(db: psycopg.Connection, alarms: int) -> float | None:
    """When, by this machine's clock, the last alarm's first message was committed; None: not in a minute."""
    until = time.monotonic() + STORM_AT_S + 60
    while time.monotonic() < until:
        (planned,) = _row(db, "SELECT count(DISTINCT alarm) FROM delivery WHERE urgent")
        if planned >= alarms:
            return time.time()
        time.sleep(0.05)
    print(f"  only {planned} of {alarms} alarms have a message planned", file=sys.stderr)
    return None


def _told(dsn: str, calls: list[Arrived], texts: list[Arrived]) -> dict[str, Any]:
    """Who was told what, when: each home by its first message that names it."""
    with psycopg.connect(dsn) as db:
        rows = db.execute(
            "SELECT a.id, extract(epoch FROM a.opened_at)::float8, h.room, b.name FROM alarm a"
            " JOIN household h ON h.id = a.household JOIN building b ON b.id = h.building"
            " WHERE a.condition = 'smoke'"
        ).fetchall()
        waiting, attempts = _row(
            db,
            "SELECT count(*) FILTER (WHERE state IN ('pending', 'sending')), sum(attempts) FROM delivery",
        )
    first: dict[int, float] = {}
    by_id = {alarm: (room, building) for alarm, _, room, building in rows}
    for one in sorted([*calls, *texts], key=lambda one: one.at):
        text = one.body["title"] + one.body["text"]
        for alarm in one.body["alarms"]:
            room, building = by_id.get(alarm, ("?", "?"))
            if f"{room}室" in text and building in text:
                first.setdefault(alarm, one.at)
    late = sorted(first.get(alarm, float("inf")) - opened for alarm, opened, _, _ in rows)
    return {
        "unlisted_homes": sum(each > LISTED_S for each in late),
        "listed_s": {"p50": round(late[len(late) // 2], 2), "max": round(late[-1], 2)} if late else None,
        "max_calls_per_person_minute": _most_in_a_minute(calls),
        "calls": len(calls),
        "messages": len(texts),
        "max_messages_per_person_minute": _most_in_a_minute(texts),
        "deliveries_waiting": waiting,
        "attempts": attempts,
    }


def _most_in_a_minute(arrived: list[Arrived]) -> int:
    """The most that reached one person within any 60 s; half a second is left for the way of each."""
    by_person: dict[str, list[float]] = defaultdict(list)
    for one in arrived:
        by_person[one.body["to"]].append(one.at)
    most = 0
    for moments in by_person.values():
        most = max(most, *(sum(at <= other < at + 59.5 for other in moments) for at in moments))
    return most


def _row(db: psycopg.Connection, query: str) -> Any:
    row = db.execute(query.encode()).fetchone()
    assert row is not None
    return row


if __name__ == "__main__":
    main()
