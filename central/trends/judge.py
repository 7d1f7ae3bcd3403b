"""All rules over one detector, or over one gateway's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date

from central.trends import battery, clock, contamination, noise, stuck
from central.trends.model import ClockSample, DetectorHistory, Finding, Rule
from central.trends.thresholds import Thresholds

_Judge = Callable[[DetectorHistory, Finding | None, date, Thresholds], Finding | None]
_RULES: Mapping[Rule, _Judge] = {
    Rule.CONTAMINATION: contamination.judge,
    Rule.BATTERY: battery.judge,
    Rule.UNUSUAL_NOISE: noise.judge,
    Rule.SENSOR_STUCK: stuck.judge,
}
DEFAULTS = Thresholds()


def judge_detector(
    history: DetectorHistory, before: Mapping[Rule, Finding], today: date, thresholds: Thresholds = DEFAULTS
) -> dict[Rule, Finding]:
    """The findings that hold or end today, by rule. Never raises for any values in the roll-ups."""
    found = {rule: judge(history, before.get(rule), today, thresholds) for rule, judge in _RULES.items()}
    return {rule: finding for rule, finding in found.items() if finding is not None}


def judge_gateway(
    samples: Iterable[ClockSample], before: Finding | None, today: date, thresholds: Thresholds = DEFAULTS
) -> Finding | None:
    """What the offsets of a gateway's clock say today."""
    return clock.judge(samples, before, today, thresholds)
