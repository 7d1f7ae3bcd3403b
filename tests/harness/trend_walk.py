"""A made-up life judged day by day, as the centre would do it.

Law of this file: a judgement sees only what was known that morning, and the findings of the day before.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from central.trends import (
    Bucket,
    ClockSample,
    DetectorHistory,
    Finding,
    Metric,
    Peer,
    Rule,
    Thresholds,
    judge_detector,
    judge_gateway,
    peer,
)
from tests.harness.trend_years import START, Rolled

DEFAULTS = Thresholds()
STUCK = (Metric.SMOKE, Metric.TEMPERATURE)


@dataclass(frozen=True)
class Morning:
    """What one day's judgement said."""

    number: int
    """Days since the start; the newest data are of the day before."""
    today: date
    findings: dict[Rule, Finding]
    cpu_s: float

    def opened(self) -> list[Finding]:
        """The findings that are new today."""
        return [one for one in self.findings.values() if one.open and one.since == self.today]


Peers = Mapping[int, Mapping[Metric, Peer]]
"""By the number of the morning."""


def seen_by_others(rolled: Rolled, days: int, every: int = 1) -> Peers:
    """What a detector shows to others of its model, for each morning."""
    found = {}
    for number in range(1, days + 1, every):
        today = START + timedelta(days=number)
        found[number] = {
            metric: peer(
                _until(rolled, metric, today, DEFAULTS.stuck.days),
                metric,
                today,
                DEFAULTS,
                rolled.model.resolution[metric],
            )
            for metric in STUCK
        }
    return found


def mornings(
    rolled: Rolled, days: int, others: Sequence[Peers], every: int = 1, thresholds: Thresholds = DEFAULTS
) -> Iterator[Morning]:
    """A judgement `every` so many days, each with the one before."""
    before: dict[Rule, Finding] = {}
    hour_days = [hour.day for hour in rolled.hours]
    for number in range(1, days + 1, every):
        today = START + timedelta(days=number)
        first = bisect_left(hour_days, today - timedelta(days=thresholds.noise.quiet_days))
        history = DetectorHistory(
            detector="d-1",
            days={metric: _until(rolled, metric, today, thresholds.history_days) for metric in rolled.days},
            smoke_hours=rolled.hours[first : bisect_left(hour_days, today)],
            limits=rolled.model.limits,
            resolution=rolled.model.resolution,
            peers={metric: [one[number][metric] for one in others] for metric in STUCK},
        )
        started = time.process_time()
        before = judge_detector(history, before, today, thresholds)
        yield Morning(number, today, before, time.process_time() - started)


def clock_mornings(
    samples: Sequence[ClockSample], days: int, thresholds: Thresholds = DEFAULTS
) -> Iterator[Morning]:
    """The same for a gateway's clock."""
    before: Finding | None = None
    times = [sample.at for sample in samples]
    for number in range(1, days + 1):
        today = START + timedelta(days=number)
        now = datetime(today.year, today.month, today.day, tzinfo=UTC)
        known = samples[bisect_left(times, now - timedelta(days=31)) : bisect_left(times, now)]
        started = time.process_time()
        before = judge_gateway(known, before, today, thresholds)
        spent = time.process_time() - started
        yield Morning(number, today, {} if before is None else {before.rule: before}, spent)


def _until(rolled: Rolled, metric: Metric, today: date, days: int) -> list[Bucket]:
    buckets = rolled.days[metric]
    end = bisect_left(buckets, today, key=lambda bucket: bucket.day)
    first = bisect_left(buckets, today - timedelta(days=days), hi=end, key=lambda bucket: bucket.day)
    return buckets[first:end]
