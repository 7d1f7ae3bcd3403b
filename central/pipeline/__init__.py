"""Observations, acts and time become alarms and deliveries: each call is one part of one transaction.

Law of this room: state, log, due rows and deliveries of one cause commit together or not at all.
"""

from central.pipeline.duties import judge_policies, look_ahead
from central.pipeline.events import Came, take_events
from central.pipeline.folding import settle
from central.pipeline.people import act, colleagues
from central.pipeline.readings import Arrival, take_readings
from central.pipeline.status import Beat, take_beats
from central.pipeline.trends import judge_trends
from central.pipeline.unreadable import Envelope, envelope, take_unreadable_events, take_unreadable_readings
from central.pipeline.verifying import verify
from central.pipeline.walk_test import run_held
from central.pipeline.watch import DUE_AT_ONCE, run_due, sweep

__all__ = [
    "DUE_AT_ONCE",
    "Arrival",
    "Beat",
    "Came",
    "Envelope",
    "act",
    "colleagues",
    "envelope",
    "judge_policies",
    "judge_trends",
    "look_ahead",
    "run_due",
    "run_held",
    "settle",
    "sweep",
    "take_beats",
    "take_events",
    "take_readings",
    "take_unreadable_events",
    "take_unreadable_readings",
    "verify",
]
