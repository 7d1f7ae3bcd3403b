"""Reads the JSON object that `smokewatch-sim demo --once --json` prints, and says what is wrong with it."""

from __future__ import annotations

import json
import sys

_AT_LEAST_ONE = ("detectors", "delivered", "acknowledged", "closed", "events_recorded")
_NONE = ("duplicates", "lost")


def faults(report: dict[str, float]) -> list[str]:
    """What the demo promised and did not do."""
    found = [f"{key} is {report.get(key)!r}, not at least 1" for key in _AT_LEAST_ONE if not report.get(key)]
    found += [f"{key} is {report.get(key)!r}, not 0" for key in _NONE if report.get(key) != 0]
    if report.get("events_recorded") != report.get("events_stored"):
        found.append("events_recorded and events_stored differ")
    if not 0 < report.get("alarm_latency_s", 0) < 30:
        found.append(f"alarm_latency_s is {report.get('alarm_latency_s')!r}")
    return found


if __name__ == "__main__":
    wrong = faults(json.load(sys.stdin))
    print("\n".join(wrong) or "the demo kept what it promises")
    sys.exit(1 if wrong else 0)
