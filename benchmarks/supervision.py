"""A hundred thousand gateways under watch: what a look at all costs, and how soon silence is noticed.

    python -m benchmarks.supervision --json
    python -m benchmarks.supervision --json --gateways 10000

Their heartbeats really flow, every 30 s each, from a fleet over a broker into ingest. Some gateways fall
silent; then ingest, the broker, the database and the jobs are killed (-9) and started again, one after the
other. Nobody but those who fell silent may be raised.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from typing import Any

import psycopg

from benchmarks._flow import Flow, Running, running, speak
from central import pipeline
from central.store.errors import StoreError
from central.store.pool import Store

HEARTBEAT_S = 30.0
LEASE_S = 90.0
SETTLE_S = 45.0
"""Until every gateway has been heard."""
SWEEP_EVERY_S = 2.0


def main() -> None:
    """Watch and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--gateways", type=int, default=100_000)
    parser.add_argument("--silent", type=int, default=200, help="gateways that fall silent")
    parser.add_argument("--broker", choices=("mosquitto", "nats"), default="mosquitto")
    parser.add_argument("--store", choices=("timescaledb", "postgresql"), default="timescaledb")
    given = parser.parse_args()
    flow = Flow(given.broker, given.store, given.gateways, 0, rate=0, roles=("jobs",))
    with running(flow) as where:
        found = _watched(flow, where, given)
    settings = {
        "heartbeat_s": HEARTBEAT_S,
        "lease_s": LEASE_S,
        "silent": given.silent,
        "restarted": "kill -9: ingest, broker, database, jobs",
        "cores": os.cpu_count(),
    }
    print(
        json.dumps(
            {
                "name": "supervision",
                "broker": given.broker,
                "store": given.store,
                **found,
                "settings": settings,
            }
        )
    )


def _watched(flow: Flow, where: Running, given: argparse.Namespace) -> dict[str, Any]:
    outage_at = SETTLE_S
    length = SETTLE_S + LEASE_S + HEARTBEAT_S + 5 * 25 + LEASE_S + 20
    share = given.silent / given.gateways
    fleet = speak(
        flow,
        where,
        length,
        *("--heartbeat", str(HEARTBEAT_S), "--outage", f"{share}:{outage_at}:{10 * length}"),
    )
    began = time.monotonic()
    sweeps: list[float] = []
    ended = threading.Event()
    sweeping = threading.Thread(target=_sweep, args=(where.dsn, sweeps, ended))
    try:
        _until(began + SETTLE_S)
        beats, at = _beats(where.dsn)
        sweeping.start()
        _until(began + SETTLE_S + LEASE_S + HEARTBEAT_S + 10)
        flowing = _beats_since(where.dsn, beats, at)
        quiet = list(sweeps)
        for part in ("ingest-0", "broker", "database", "jobs"):
            print(f"  kill -9 {part}", file=sys.stderr)
            where.kill[part]()
            time.sleep(25)
        _until(began + length - 5)
        ended.set()
        sweeping.join()
        return {
            "gateways": given.gateways,
            **_said(where.dsn, given.silent),
            "heartbeats_per_s": flowing,
            "sweep_ms": _at(quiet, 1.0),
            "sweep_p50_ms": _at(quiet, 0.5),
            "sweep_through_restarts_ms": _at(sweeps, 1.0),
        }
    finally:
        ended.set()
        fleet.kill()


def _sweep(dsn: str, sweeps: list[float], ended: threading.Event) -> None:
    """What the jobs do every two seconds, done once more and timed."""

    async def sweep() -> None:
        store = Store(dsn, name="benchmark", max_connections=1)
        await store.open()
        try:
            while not ended.is_set():
                began = time.perf_counter()
                try:
                    async with store.transaction() as tx:
                        await pipeline.sweep(tx)
                    sweeps.append(1000 * (time.perf_counter() - began))
                except StoreError as error:
                    print(f"  no sweep: {error}", file=sys.stderr)
                await asyncio.sleep(SWEEP_EVERY_S)
        finally:
            await store.close()

    asyncio.run(sweep())


def _beats(dsn: str) -> tuple[float, float]:
    with psycopg.connect(dsn) as db:
        row = db.execute("SELECT sum(extract(epoch FROM heard_at))::float8 FROM lease").fetchone()
    assert row is not None
    return float(row[0]), time.monotonic()


def _beats_since(dsn: str, beats: float, at: float) -> int:
    """Heartbeats a second since then: each moves its gateway's moment by one interval."""
    after, now = _beats(dsn)
    return round((after - beats) / HEARTBEAT_S / (now - at))


def _said(dsn: str, silent: int) -> dict[str, Any]:
    with psycopg.connect(dsn) as db:
        rows = db.execute(
            "SELECT a.state, extract(epoch FROM a.opened_at - l.heard_at)::float8 - %s,"
            " l.heard_at > a.opened_at AS heard_since"
            " FROM alarm a JOIN lease l ON l.gateway = a.gateway WHERE a.condition = 'gateway_silent'",
            (LEASE_S,),
        ).fetchall()
    true = [late for state, late, since in rows if state != "closed" and not since]
    return {
        "raised": len(true),
        "not_raised": max(0, silent - len(true)),
        "false_offline": len(rows) - min(len(true), silent),
        "late_p50_s": _at(true, 0.5),
        "late_p99_s": _at(true, 0.99),
    }


def _until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _at(values: list[float], share: float) -> float | None:
    kept = sorted(values)
    return round(kept[min(int(len(kept) * share), len(kept) - 1)], 2) if kept else None


if __name__ == "__main__":
    main()
