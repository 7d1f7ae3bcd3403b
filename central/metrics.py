"""What is counted, for all rooms of the centre.

Law of this file: the only place that knows prometheus_client.

Whoever does the work counts it here, after the commit where there is one. Labels come from code, never
from a peer.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REGISTRY = CollectorRegistry()

EVENTS_STORED = Counter("smokewatch_events_stored", "Events committed", registry=_REGISTRY)
EVENTS_REPEATED = Counter("smokewatch_events_repeated", "Events that were there already", registry=_REGISTRY)
EVENTS_FAILED = Counter("smokewatch_events_failed", "Events stored raw: judging raised", registry=_REGISTRY)
READINGS_STORED = Counter("smokewatch_readings_stored", "Readings committed", registry=_REGISTRY)
READINGS_UNKNOWN = Counter(
    "smokewatch_readings_unknown",
    "Readings of detectors that are not registered, kept out",
    registry=_REGISTRY,
)
READINGS_ABSURD = Counter(
    "smokewatch_readings_absurd", "Values that no sensor can mean, kept out", registry=_REGISTRY
)
DROPPED = Counter(
    "smokewatch_ingest_dropped", "Messages dropped at a full queue: sent again", ["lane"], registry=_REGISTRY
)
QUARANTINED = Counter("smokewatch_quarantined", "Payloads put aside", ["reason"], registry=_REGISTRY)
ACKS = Counter("smokewatch_acks", "Acknowledgements sent after commit", ["lane"], registry=_REGISTRY)
OPEN_ALARMS = Gauge("smokewatch_alarms_open", "Alarms not closed", ["severity"], registry=_REGISTRY)
DELIVERIES = Counter(
    "smokewatch_delivery_attempts", "Tries to hand a message over", ["channel", "outcome"], registry=_REGISTRY
)
DELIVERY_S = Histogram(
    "smokewatch_delivery_seconds",
    "From planned to accepted by the provider",
    ["channel"],
    buckets=(0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
    registry=_REGISTRY,
)
UNREACHABLE = Counter(
    "smokewatch_unreachable", "Messages given up on a person's last channel", ["purpose"], registry=_REGISTRY
)
RECEIPTS = Counter(
    "smokewatch_receipts",
    "What providers told of messages, by what it led to",
    ["channel", "outcome"],
    registry=_REGISTRY,
)
DELIVERIES_WAITING = Gauge("smokewatch_deliveries_waiting", "Messages due and not sent", registry=_REGISTRY)
DELIVERIES_OVERDUE = Gauge(
    "smokewatch_deliveries_overdue", "Messages due for more than 30 s with nobody at them", registry=_REGISTRY
)
OLDEST_DELIVERY_S = Gauge(
    "smokewatch_delivery_oldest_seconds", "Age of the oldest message due", registry=_REGISTRY
)
FORWARDED = Counter(
    "smokewatch_forwarded",
    "How exchanges with a fire-brigade centre ended",
    ["centre", "outcome"],
    registry=_REGISTRY,
)
TRANSMITTED = Counter(
    "smokewatch_transmitter_packets",
    "Packets of existing transmitters, by answer",
    ["gateway", "outcome"],
    registry=_REGISTRY,
)
FORWARD_CONNECTED = Gauge(
    "smokewatch_forward_connected",
    "1 while there is a line to the fire-brigade centre",
    ["centre"],
    registry=_REGISTRY,
)
FORWARD_WAITING = Gauge(
    "smokewatch_forward_waiting", "News that the centre has not confirmed", ["centre"], registry=_REGISTRY
)
FORWARD_OLDEST_S = Gauge(
    "smokewatch_forward_oldest_seconds", "Age of the oldest of them", ["centre"], registry=_REGISTRY
)
BROKER_CONNECTED = Gauge("smokewatch_broker_connected", "1 while ingest hears the broker", registry=_REGISTRY)
LOOP_AGE_S = Gauge("smokewatch_loop_age_seconds", "Since the loop last turned", ["loop"], registry=_REGISTRY)
JOB_AGE_S = Gauge(
    "smokewatch_job_success_age_seconds", "Since the periodic job last succeeded", ["job"], registry=_REGISTRY
)
LOOP_FAILURES = Counter(
    "smokewatch_loop_failures",
    "Loops that ended with an error and were started again",
    ["loop"],
    registry=_REGISTRY,
)


def exposition() -> bytes:
    """All figures in the Prometheus text format, `CONTENT_TYPE`."""
    return generate_latest(_REGISTRY)
