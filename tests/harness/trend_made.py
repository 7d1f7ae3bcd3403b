"""Roll-ups by hand for tests of the trend rules: a value a day, nothing by chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

from central.trends import Bucket, DetectorHistory, Finding, Hour, Limits, Metric, Peer, Rule, judge_detector

START = date(2026, 3, 1)
LIMITS = Limits(smoke_alarm=6.0, contaminated=80.0, low_battery=2.4)
LIVELY = {metric: [Peer(10, 10)] * 6 for metric in (Metric.SMOKE, Metric.TEMPERATURE)}


def day(number: int) -> date:
    """The day so many days after the start."""
    return START + timedelta(days=number)


def by_day(values: Mapping[int, float] | Sequence[float], half_range: float = 0.0) -> list[Bucket]:
    """A bucket for each day that has a value; low and high lie `half_range` from it."""
    pairs = values.items() if isinstance(values, Mapping) else enumerate(values)
    return [Bucket(day(n), value - half_range, value + half_range, value, 24) for n, value in pairs]


def history(
    days: Mapping[Metric, Sequence[Bucket]],
    hours: Sequence[Hour] = (),
    limits: Limits = LIMITS,
    peers: Mapping[Metric, Sequence[Peer]] = LIVELY,
    fitted_on: date | None = None,
) -> DetectorHistory:
    """A detector with these roll-ups."""
    return DetectorHistory("d-1", days, hours, limits, {}, peers, fitted_on)


def lived(
    made: Callable[[int], DetectorHistory],
    mornings: Sequence[int],
    before: Mapping[Rule, Finding] | None = None,
) -> list[dict[Rule, Finding]]:
    """The judgements of these mornings, each with the one before; `made(n)` is what is known on morning n."""
    found: list[dict[Rule, Finding]] = []
    known: Mapping[Rule, Finding] = before or {}
    for number in mornings:
        known = judge_detector(made(number), known, day(number))
        found.append(dict(known))
    return found
