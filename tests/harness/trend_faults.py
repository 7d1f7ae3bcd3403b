"""Faults written into healthy lives, and what is known of each: when it began, when its limit is reached.

Law of this file: the truth only; whether a rule finds it is judged in `trend_walk`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from central.trends import Metric, Rule
from tests.harness.trend_years import Life, Model, crossing, healthy, limit_of

DAYS = 420


@dataclass(frozen=True)
class Fault:
    """One made-up fault. `limit_on` is the first day on which the noiseless value has reached the limit."""

    rule: Rule
    kind: str
    life: Life
    began: int
    limit_on: int | None


def dirty(seed: int, model: Model, days_to_limit: int, *, rough: bool = True) -> Fault:
    """Dust comes so fast that the limit is reached in so many days; day by day it comes unevenly."""
    life = healthy(seed, model, DAYS)
    rng, limit, began = _rng("dust", seed), limit_of(model, Metric.CONTAMINATION), 60 + seed % 60
    level = min(life.contamination[began], 0.4 * limit)
    per_day = (limit - level) / days_to_limit
    life.contamination[:began] = [min(value, level) for value in life.contamination[:began]]
    for number in range(began, DAYS):
        level += per_day * (rng.gammavariate(2.0, 0.5) if rough else 1.0)
        life.contamination[number] = level
    on = crossing(life.contamination, lambda value: value >= limit)
    kind = f"{days_to_limit} days to the limit"
    return Fault(Rule.CONTAMINATION, kind, life, began, on)


def empty(seed: int, model: Model, knee_days: int, bend: float) -> Fault:
    """The battery leaves its plateau and reaches the limit in so many days; `bend` 1 is a straight line."""
    life = healthy(seed, model, DAYS)
    limit, began = limit_of(model, Metric.BATTERY), 60 + seed % 60
    plateau = life.battery[0] if model.lithium else max(life.battery[0], limit * 1.1)
    for number in range(DAYS):
        drop = max(0.0, (number - began) / knee_days) ** bend * (plateau - limit)
        life.battery[number] = max(0.5 * limit, plateau - drop)
    on = crossing(
        [volt + life.per_degree * (life.warmth[n] - 20) for n, volt in enumerate(life.battery)],
        lambda value: value <= limit,
    )
    return Fault(Rule.BATTERY, f"{knee_days} days from the knee, bend {bend:g}", life, began, on)


def smoky(seed: int, model: Model, share_of_days: float) -> Fault:
    """From one day on somebody fries every evening."""
    life = healthy(seed, model, DAYS)
    rng, began = _rng("kitchen", seed), 60 + seed % 60
    for number in range(began, DAYS):
        near = number not in life.away and rng.random() < share_of_days
        life.cooking[number] = rng.uniform(0.65, 1.1) if near else rng.uniform(0, 0.4)
    return Fault(Rule.UNUSUAL_NOISE, f"on {share_of_days:.0%} of days", life, began, None)


def dead(seed: int, model: Model, metric: Metric) -> Fault:
    """From one day on the value stands where it stood."""
    life = healthy(seed, model, DAYS)
    began = 60 + seed % 60
    life.frozen[metric] = began
    return Fault(Rule.SENSOR_STUCK, metric.value, life, began, None)


def _rng(what: str, seed: int) -> random.Random:
    return random.Random(f"{what} {seed}")
