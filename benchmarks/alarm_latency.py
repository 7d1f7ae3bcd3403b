"""From the wire to the channel: how long a fire takes while readings flow, and that none is lost.

    python -m benchmarks.alarm_latency --json
    python -m benchmarks.alarm_latency --json --seconds 30 --alarms 5 --rate 20000

A fleet tells readings at a steady rate and lights fires in between; the centre's ingest, worker and jobs are
processes of their own. A fire's time runs from the moment at which the gateway recorded it (this machine's
clock) to the moment at which the receiver of its person's channel has the whole message. A checkpoint of the
database falls into the run. The fires of the first seconds, when every part has only just started, are told
apart (`cold`). One follows the other in another street: how much one person bears is for `storm` to say.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

import psycopg

from benchmarks._flow import WARM_S, Flow, Running, running, speak
from benchmarks._phones import Arrived, phones


def main() -> None:
    """Light the fires and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--seconds", type=float, default=125.0)
    parser.add_argument("--alarms", type=float, default=9.0, help="fires a second")
    parser.add_argument("--rate", type=float, default=52_000.0, help="readings a second")
    parser.add_argument("--gateways", type=int, default=500)
    parser.add_argument("--detectors", type=int, default=64, help="of each gateway")
    parser.add_argument("--broker", choices=("mosquitto", "nats"), default="mosquitto")
    parser.add_argument("--store", choices=("timescaledb", "postgresql"), default="timescaledb")
    given = parser.parse_args()
    with phones() as texts:
        flow = Flow(
            given.broker,
            given.store,
            given.gateways,
            given.detectors,
            rate=given.rate,
            roles=("worker", "jobs"),
            channels=f'[channels.webhook]\nurl = "{texts.url}"\nsecret = "s"\n',
            homes=True,
        )
        with running(flow) as where:
            warm_at, found = _burning(flow, where, given)
            found |= _latency(where.dsn, texts.arrived(), warm_at)
    settings = {
        "seconds": given.seconds,
        "alarms_per_s": given.alarms,
        "gateways": given.gateways,
        "detectors": given.gateways * given.detectors,
        "checkpoint": "in the middle",
        "commit": "fsync, synchronous_commit and full_page_writes on",
        "cores": os.cpu_count(),
    }
    print(
        json.dumps(
            {
                "name": "alarm_latency",
                "broker": given.broker,
                "store": given.store,
                **found,
                "settings": settings,
            }
        )
    )


def _burning(flow: Flow, where: Running, given: argparse.Namespace) -> tuple[float, dict[str, Any]]:
    fleet = speak(
        flow,
        where,
        given.seconds + WARM_S,
        *("--alarms", str(given.alarms), "--clear-after", "20", "--heartbeat", "30", "--no-snapshots"),
    )
    try:
        with psycopg.connect(where.dsn, autocommit=True) as db:
            time.sleep(WARM_S)
            began, warm_at, before = time.monotonic(), time.time(), _readings(db)
            time.sleep(given.seconds / 2)
            checkpoint = time.monotonic()
            db.execute("CHECKPOINT")
            checkpoint = time.monotonic() - checkpoint
            print(f"  checkpoint {checkpoint:.1f} s", file=sys.stderr)
            time.sleep(max(0.0, began + given.seconds - time.monotonic()))
            rate = (_readings(db) - before) / (time.monotonic() - began)
            told = json.loads(fleet.communicate(timeout=300)[0])
            _until_all_is_sent(db)
    finally:
        fleet.kill()
    return warm_at, {
        "background_readings_per_s": round(rate),
        "checkpoint_s": round(checkpoint, 2),
        "events_waiting": told["events"]["waiting"],
    }


def _until_all_is_sent(db: psycopg.Connection) -> None:
    """What was lit last is waited for as long as a person's list may wait."""
    for _ in range(100):
        row = db.execute(
            "SELECT count(*) FROM delivery WHERE urgent AND state IN ('pending', 'sending')"
        ).fetchone()
        if row == (0,):
            return
        time.sleep(0.1)


def _readings(db: psycopg.Connection) -> int:
    row = db.execute("SELECT coalesce(sum(cursor), 0) FROM lane WHERE lane = 'readings'").fetchone()
    return 0 if row is None else int(row[0])


def _latency(dsn: str, texts: list[Arrived], warm_at: float) -> dict[str, Any]:
    with psycopg.connect(dsn) as db:
        rows = db.execute(
            "SELECT a.id, extract(epoch FROM e.raw_at)::float8, extract(epoch FROM e.received_at)::float8,"
            " extract(epoch FROM d.made_at)::float8, extract(epoch FROM t.started_at)::float8"
            " FROM alarm a JOIN event e ON e.id = a.event"
            " LEFT JOIN delivery d ON d.alarm = a.id AND d.purpose = 'alarm' AND d.step = 0 AND d.round = 1"
            " LEFT JOIN attempt t ON t.delivery = d.id AND t.number = 1"
            " WHERE a.condition = 'smoke'"
        ).fetchall()
    first: dict[int, float] = {}
    for one in texts:
        for alarm in one.body["alarms"]:
            first.setdefault(alarm, one.at)
    warm = [row for row in rows if row[1] >= warm_at]
    took = [first[alarm] - raw for alarm, raw, *_ in warm if alarm in first]
    cold = [first[alarm] - raw for alarm, raw, *_ in rows if alarm in first and raw < warm_at]
    stages = {
        "received": [received - raw for _, raw, received, _, _ in warm],
        "transaction_begins": [made - raw for _, raw, _, made, _ in warm if made is not None],
        "claimed": [claimed - raw for _, raw, _, _, claimed in warm if claimed is not None],
    }
    return {
        "alarms": len(warm),
        "lost": len(rows) - len(took) - len(cold),
        "p50_ms": _at(took, 0.5),
        "p99_ms": _at(took, 0.99),
        "max_ms": _at(took, 1.0),
        "cold": {"alarms": len(cold), "max_ms": _at(cold, 1.0)},
        "until": {
            name: {"p50_ms": _at(each, 0.5), "p99_ms": _at(each, 0.99)} for name, each in stages.items()
        },
    }


def _at(seconds: list[float], share: float) -> float | None:
    """In ms."""
    values = sorted(seconds)
    return round(1000 * values[min(int(len(values) * share), len(values) - 1)], 1) if values else None


if __name__ == "__main__":
    main()
