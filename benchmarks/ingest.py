"""Readings committed end to end: a fleet, a broker, the centre's ingest and a database on this one machine.

    python -m benchmarks.ingest --json                    # Mosquitto and TimescaleDB, then the others
    python -m benchmarks.ingest --json --pairs mosquitto+postgresql --seconds 20

What the tables hold is held against what the fleet was answered for. Raw binary COPY puts the same columns
into the same table with its indexes, each series' time going on, one connection, a commit every 20,000 rows:
into the empty table `before` the run, counted from the row to the row between which the run is (a table that
is five times as full takes rows half as fast, whoever brings them), and for 8 s `after` it. `ratio_to_copy`
is taken against the higher; `first_4_million` are those of the empty table, for comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from bisect import bisect_left
from typing import Any, NamedTuple

import psycopg

from benchmarks._flow import RAW, WARM_S, Flow, drive, running
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
        "copy": f"binary, one connection, a commit every {COMMIT_EVERY} rows; after: {COPY_S:g} s",
        "cores": os.cpu_count(),
    }


def _run(given: argparse.Namespace, broker: str, store: str) -> dict[str, Any]:
    print(f"{broker} + {store}", file=sys.stderr)
    flow = Flow(broker, store, given.gateways, given.detectors, given.window)
    with running(flow) as where:
        empty = _raw_copy(where.dsn, given.gateways, given.detectors, given.seconds + WARM_S)
        with psycopg.connect(where.dsn) as db:
            db.execute("TRUNCATE readings")  # deleted one by one, they would be vacuumed while we measure
        found = drive(flow, where, given.seconds)
        after = _raw_copy(where.dsn, given.gateways, given.detectors, COPY_S).per_s()
    measured = int(found["readings_per_s"] * given.seconds)
    warm = max(0, found["stored"] - measured)
    before = empty.per_s(warm, warm + measured)
    return {
        "broker": broker,
        "store": store,
        "ratio_to_copy": round(found["readings_per_s"] / max(before, after), 3),
        **found,
        "copy_rows_per_s": {
            "before": round(before),
            "after": round(after),
            "first_4_million": round(empty.per_s(0, 4_000_000)),
        },
    }


class Copied(NamedTuple):
    """How far raw COPY had come: rows that were in, and seconds, after each of its laps."""

    rows: list[int]
    took: list[float]

    def per_s(self, first: int = 0, last: int | None = None) -> float:
        """Rows a second from the row number `first` to the row number `last`, as far as it came."""
        end = min(bisect_left(self.rows, last or self.rows[-1]), len(self.rows) - 1)
        begin = min(bisect_left(self.rows, first), end - 1)
        return (self.rows[end] - self.rows[begin]) / (self.took[end] - self.took[begin])


def _raw_copy(dsn: str, gateways: int, detectors: int, seconds: float) -> Copied:
    """Raw COPY of such rows into `readings`; they stay there."""
    copied, began = Copied([0], [0.0]), _us(time.time())
    with psycopg.connect(dsn) as db:
        while copied.took[-1] < seconds:
            count = copied.rows[-1]
            pieces = [_rows(count + n * COMMIT_EVERY, gateways, detectors, began) for n in range(8)]
            start = time.monotonic()
            for piece in pieces:
                with db.cursor() as cursor, cursor.copy(COPY) as copy_in:
                    copy_in.write(HEADER + piece + TRAILER)
                db.commit()
            copied.took.append(copied.took[-1] + time.monotonic() - start)
            copied.rows.append(count + len(pieces) * COMMIT_EVERY)
    print(f"  raw COPY {copied.per_s():,.0f} rows/s", file=sys.stderr)
    return copied


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
