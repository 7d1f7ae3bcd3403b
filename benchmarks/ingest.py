"""Readings committed end to end: a fleet, a broker, the centre's ingest and a database on this one machine.

    python -m benchmarks.ingest --json                    # Mosquitto and TimescaleDB, then the others
    python -m benchmarks.ingest --json --pairs mosquitto+postgresql --seconds 20

What the tables hold is held against what the fleet was answered for. Before and after, rows like
them (the same columns; each series' time goes on) go into the same table with its indexes by raw binary COPY,
one connection, a commit every 20,000 rows: the higher of the two is what `ratio_to_copy` is taken against.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

import psycopg

from benchmarks._flow import RAW, Flow, drive, running
from central.store.readings import COPY, EPOCH_MS, HEADER, TRAILER, Columns, packed

PAIRS = ("mosquitto+timescaledb", "mosquitto+postgresql", "nats+timescaledb", "nats+postgresql")
COMMIT_EVERY = 20_000
COPY_S = 8.0


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


def _run(given: argparse.Namespace, broker: str, store: str) -> dict[str, Any]:
    print(f"{broker} + {store}", file=sys.stderr)
    flow = Flow(broker, store, given.gateways, given.detectors, given.window)
    with running(flow) as where:
        before = _raw_copy(where.dsn, given.gateways, given.detectors)
        with psycopg.connect(where.dsn) as db:
            db.execute("TRUNCATE readings")  # deleted one by one, they would be vacuumed while we measure
        found = drive(flow, where, given.seconds)
        after = _raw_copy(where.dsn, given.gateways, given.detectors)
    copied = max(before, after)
    return {
        "broker": broker,
        "store": store,
        "ratio_to_copy": round(found["readings_per_s"] / copied, 3),
        **found,
        "copy_rows_per_s": {"before": round(before), "after": round(after)},
    }


def _raw_copy(dsn: str, gateways: int, detectors: int) -> float:
    """Rows a second of raw COPY of such rows into `readings`; they stay there."""
    count, took, began = 0, 0.0, _us(time.time())
    with psycopg.connect(dsn) as db:
        while took < COPY_S:
            pieces = [_rows(count + n * COMMIT_EVERY, gateways, detectors, began) for n in range(8)]
            start = time.monotonic()
            for piece in pieces:
                with db.cursor() as cursor, cursor.copy(COPY) as copy_in:
                    copy_in.write(HEADER + piece + TRAILER)
                db.commit()
            took += time.monotonic() - start
            count += len(pieces) * COMMIT_EVERY
    print(f"  raw COPY {count / took:,.0f} rows/s", file=sys.stderr)
    return count / took


def _rows(made: int, gateways: int, detectors: int, began_us: int) -> bytes:
    """The next rows after so many: gateway after gateway, and a second later each again, as a fleet's."""
    pieces, end = [], made + COMMIT_EVERY
    while made < end:
        message, first = divmod(made, detectors)
        lap, gateway = divmod(message, gateways)
        row = range(first, min(detectors, first + end - made))
        values = [round(0.1 + (n % 37) / 100, 2) for n in row]
        batch = Columns(
            received_us=began_us,
            series=[RAW + gateway * detectors + n for n in row],
            at_us=[began_us + lap * 1_000_000 + n * 1000 for n in row],
            smoke=values,
            temperature=values,
            battery=values,
            contamination=values,
            status=[0] * len(row),
        )
        pieces += packed([batch])
        made += len(row)
    return b"".join(pieces)


def _us(wall_s: float) -> int:
    return (int(wall_s * 1000) - EPOCH_MS) * 1000


if __name__ == "__main__":
    main()
