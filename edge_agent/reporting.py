"""Which looks at a detector become readings: report by exception.

Law of this file: pure; a reading holds only what this look measured. A value is worth a message when it moved
by more than its deadband, when it went missing or came back, or when it was not told for `report_s`; never
more often than `report_min_s`.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from device_profiles.schema import Role
from edge_agent.decode import Snapshot
from edge_agent.observation import Sample
from edge_agent.tracked import DetectorState, TrackPolicy

NEVER = (None, -math.inf)
"""What was told of a column, and when, before it was told of."""


def report(
    state: DetectorState, seen: Snapshot, now: float, policy: TrackPolicy
) -> tuple[DetectorState, Sample | None]:
    """A reading, when a column moved by more than its deadband or has not been told for `report_s`."""
    values = seen.values
    status = None if seen.raw_status is None else float(seen.raw_status)
    if status is not None or Role.STATUS in state.reported:
        values = {**values, Role.STATUS: status}
    for role, value in values.items():
        last, at = state.reported.get(role, NEVER)
        age = now - at
        if age >= policy.report_s:
            if value is not None or last is not None:
                break
        elif age >= policy.report_min_s and value != last and _moved(role, value, last, policy):
            break
    else:
        return state, None
    reported = {**state.reported, **{role: (value, now) for role, value in values.items()}}
    return replace(state, reported=reported), Sample(
        state.detector,
        smoke=values.get(Role.SMOKE),
        temperature=values.get(Role.TEMPERATURE),
        battery=values.get(Role.BATTERY),
        contamination=values.get(Role.CONTAMINATION),
        status=seen.raw_status,
    )


def _moved(role: Role, value: float | None, last: float | None, policy: TrackPolicy) -> bool:
    """Whether two different values are worth telling apart."""
    if role is Role.STATUS or value is None or last is None:
        return True
    return abs(value - last) >= max(policy.deadband.get(role, 0.0), abs(last) * policy.deadband_ratio)
