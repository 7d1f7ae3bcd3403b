"""How throughput moves with ingest processes and gateways, and what this machine holds at a report a minute.

    python -m benchmarks.scale --json
    python -m benchmarks.scale --json --seconds 10

`full`: as fast as it goes, for each number of ingest processes (one a street) and of gateways. `minute`:
every detector reports once in 60 s, with ever more detectors, until the answers come late (p99 above 2 s) or
rows are left behind; `held_detectors` is the last number that was carried.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from benchmarks._flow import Flow, drive, running

BROKER, STORE = "mosquitto", "timescaledb"
FULL = ((1, 50, 128), (1, 500, 128), (1, 5_000, 32), (2, 500, 128), (2, 5_000, 32))
"""Ingest processes, gateways, detectors of each."""
MINUTE = (1_000, 4_000, 8_000)
"""Gateways of 128 detectors."""
LATE_MS = 2_000
REPORT_S = 60


def main() -> None:
    """Run all and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="(always printed)")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured of each case")
    given = parser.parse_args()
    full = [
        {
            "ingest_processes": areas,
            "gateways": gateways,
            "detectors_each": each,
            **_measured(Flow(BROKER, STORE, gateways, each, areas=areas), given.seconds),
        }
        for areas, gateways, each in FULL
    ]
    minute: list[dict[str, Any]] = []
    for gateways in MINUTE:
        rate = gateways * 128 / REPORT_S
        found = _measured(Flow(BROKER, STORE, gateways, 128, window=4, rate=rate), max(60.0, given.seconds))
        carried = found["answer_p99_ms"] <= LATE_MS and found["readings_per_s"] >= 0.98 * rate
        minute.append({"detectors": gateways * 128, "carried": carried, **found})
        if not carried:
            break
    held = max((each["detectors"] for each in minute if each["carried"]), default=0)
    settings = {
        "broker": BROKER,
        "store": STORE,
        "readings_qos": 1,
        "commit": "fsync, synchronous_commit and full_page_writes on",
        "seconds": given.seconds,
        "cores": os.cpu_count(),
    }
    print(
        json.dumps(
            {"name": "scale", "held_detectors": held, "full": full, "minute": minute, "settings": settings}
        )
    )


def _measured(flow: Flow, seconds: float) -> dict[str, Any]:
    print(f"{flow.areas} ingest, {flow.gateways} gateways of {flow.detectors}", file=sys.stderr)
    with running(flow) as where:
        return drive(flow, where, seconds)


if __name__ == "__main__":
    main()
