"""Years of detectors and of gateways' clocks, made up: what each really did, and what the centre has of it.

Law of this file: the truth is made first, without noise; readings are the truth with noise, in the steps of
the model, told hourly; roll-ups are made of those readings only. A seed gives the same year every time.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from central.trends import Bucket, ClockSample, Hour, Limits, Metric

START = date(2026, 3, 1)
HOURS = 24
YEAR = 365


@dataclass(frozen=True)
class Model:
    """How a detector model tells its values."""

    name: str
    resolution: dict[Metric, float]
    limits: Limits
    lithium: bool
    """A 3 V cell with a plateau; else a 9 V block that falls all its life."""


MODELS = (
    Model(
        "fine",
        {Metric.SMOKE: 0.01, Metric.TEMPERATURE: 0.1, Metric.BATTERY: 0.001, Metric.CONTAMINATION: 0.1},
        Limits(6.7, 80.0, 2.4),
        lithium=True,
    ),
    Model(
        "middle",
        {Metric.SMOKE: 0.05, Metric.TEMPERATURE: 0.5, Metric.BATTERY: 0.018368, Metric.CONTAMINATION: 1.0},
        Limits(6.7, None, 7.5),
        lithium=False,
    ),
    Model(
        "coarse",
        {Metric.SMOKE: 0.1, Metric.TEMPERATURE: 1.0, Metric.BATTERY: 0.1, Metric.CONTAMINATION: 5.0},
        Limits(3.4, 90.0, 2.4),
        lithium=True,
    ),
)


@dataclass
class Life:
    """What really happens to one detector, day by day. A fault is written into a healthy one."""

    model: Model
    days: int
    contamination: list[float]
    battery: list[float]
    """At 20 degrees."""
    warmth: list[float]
    per_degree: float
    cooking: list[float]
    """How near the evening's cooking comes, as a share of the alarm threshold."""
    smoke_noise: float
    away: frozenset[int]
    silent: frozenset[int]
    """Days without any reading."""
    frozen: dict[Metric, int] = field(default_factory=dict)
    """From this day on the metric stands still."""


@dataclass
class Rolled:
    """What the centre has of it: lists in order of time, without the silent days."""

    model: Model
    days: dict[Metric, list[Bucket]]
    hours: list[Hour]


def limit_of(model: Model, metric: Metric) -> float:
    """The limit that the rules use for it."""
    if metric is Metric.BATTERY:
        assert model.limits.low_battery is not None
        return model.limits.low_battery
    return 80.0 if model.limits.contaminated is None else model.limits.contaminated


def healthy(seed: int, model: Model, days: int = YEAR) -> Life:
    """A detector that needs nobody: no limit is reached in these days, nor in the 150 days after."""
    rng = random.Random(f"life {seed} {model.name}")
    warmth = _warmth(rng, days)
    away = _stretches(rng, days, most=2, longest=14)
    silent = _stretches(rng, days, most=3, longest=7)
    if rng.random() < 0.1:
        silent |= _stretches(rng, days, most=1, longest=40)
    return Life(
        model=model,
        days=days,
        contamination=_dust(rng, limit_of(model, Metric.CONTAMINATION), days),
        battery=_battery(rng, model, days),
        warmth=warmth,
        per_degree=rng.uniform(0.0005, 0.003) * (1 if model.lithium else 3),
        cooking=_cooking(rng, days, away, near=rng.choice((0.0, 0.02, 0.05, 0.1, 0.15))),
        smoke_noise=rng.uniform(0.02, 0.06),
        away=away,
        silent=silent,
    )


def rolled(life: Life, seed: int) -> Rolled:
    """The readings of that life, rolled up."""
    rng = random.Random(f"readings {seed} {life.model.name}")
    model = life.model
    found: dict[Metric, list[Bucket]] = {metric: [] for metric in model.resolution}
    hours: list[Hour] = []
    base, alarm_at = rng.uniform(0.06, 0.2), model.limits.smoke_alarm or 6.7
    damp = weather = 0.0
    stopped: dict[Metric, float] = {}
    for number in range(life.days):
        day = START + timedelta(days=number)
        damp = 0.8 * damp + rng.gauss(0, 0.5)
        weather = 0.7 * weather + rng.gauss(0, 0.02)
        told = HOURS if rng.random() > 0.03 else rng.randint(0, 6)
        if number in life.silent or told == 0:
            continue
        warm, swing = life.warmth[number], 1.0 if number in life.away else 2.0
        values: dict[Metric, list[float]] = {metric: [] for metric in model.resolution}
        evening, peak = rng.choice((17, 18, 18, 19)), life.cooking[number] * alarm_at
        for hour in range(told):
            degrees = warm + swing * math.cos((hour - 15) / 12 * math.pi) + rng.gauss(0, 0.1)
            smoke = base + weather + rng.gauss(0, life.smoke_noise)
            if hour == evening and peak > 0:
                smoke += peak
            values[Metric.TEMPERATURE].append(degrees)
            values[Metric.SMOKE].append(max(0.0, smoke))
            values[Metric.BATTERY].append(
                life.battery[number]
                + life.per_degree * (degrees - 20)
                + rng.gauss(0, 0.003 if model.lithium else 0.01)
            )
            values[Metric.CONTAMINATION].append(
                max(0.0, life.contamination[number] + damp + rng.gauss(0, 0.3))
            )
        for metric, raw in values.items():
            step = model.resolution[metric]
            shown = [round(value / step) * step for value in raw]
            if number >= life.frozen.get(metric, life.days):
                shown = [stopped.setdefault(metric, shown[0])] * told
            found[metric].append(Bucket(day, min(shown), max(shown), sum(shown) / told, told))
            if metric is Metric.SMOKE:
                hours += [Hour(day, hour, value, value, value, 1) for hour, value in enumerate(shown)]
    return Rolled(model, found, hours)


def clock(seed: int, days: int, *, lost_on: int | None = None, ppm: float = 0.0) -> list[ClockSample]:
    """A gateway's offsets, hourly. Until `lost_on` a time server sets it; from then on it runs by itself."""
    rng = random.Random(f"clock {seed}")
    own_ppm = rng.uniform(-60, 60)
    set_daily = rng.random() < 0.3
    unheard = _stretches(rng, days, most=3, longest=2)
    silent = _stretches(rng, days, most=3, longest=5)
    start = datetime(START.year, START.month, START.day, tzinfo=UTC)
    off, samples = 0.0, []
    for number in range(days):
        lost = lost_on is not None and number >= lost_on
        for hour in range(HOURS):
            if lost:
                off += ppm * 1e-6 * 3600
            elif number in unheard or (set_daily and hour != 3):
                off += own_ppm * 1e-6 * 3600
            else:
                off = 0.0
            if number in silent or rng.random() < 0.05:
                continue
            wild = -3e8 if rng.random() < 0.0005 else 0.0
            way = rng.gauss(0, 0.05) + rng.expovariate(8)
            samples.append(ClockSample(start + timedelta(days=number, hours=hour), off + wild + way))
    return samples


def _warmth(rng: random.Random, days: int) -> list[float]:
    """A room without much heating in Wuhan: 8 to 30 degrees over the year, cold snaps, heat waves."""
    usual, swing, weather, found = rng.uniform(16, 21), rng.uniform(5, 10), 0.0, []
    for number in range(days):
        weather = 0.8 * weather + rng.gauss(0, 1.5)
        if rng.random() < 0.015:
            weather -= rng.uniform(3, 8)
        season = math.cos((START + timedelta(days=number - 200)).timetuple().tm_yday / YEAR * 2 * math.pi)
        found.append(usual + swing * season + weather)
    return found


def _dust(rng: random.Random, limit: float, days: int) -> list[float]:
    """Grows slowly and unevenly; humid weeks come and go; sometimes cleaned, sometimes builders are in."""
    level = rng.choice((rng.uniform(2, 25), rng.uniform(2, 25), rng.uniform(20, 0.6 * limit)))
    per_day = rng.uniform(0.005, 0.05)
    season = rng.uniform(0, 2.0)
    cleaned = rng.randrange(days) if rng.random() < 0.1 else -1
    built = rng.randrange(days) if rng.random() < 0.05 else -1
    found = []
    for number in range(days):
        level += per_day * rng.gammavariate(0.5, 2.0)
        if number == cleaned:
            level = min(level, rng.uniform(2, 8))
        if number == built:
            level += rng.uniform(8, 20)
        level = min(level, 0.75 * limit)
        found.append(level + season * math.sin(2 * math.pi * number / YEAR))
    for _ in range(rng.randint(0, 3)):
        first, length, height = rng.randrange(days), rng.randint(8, 40), rng.uniform(1.5, 6.0)
        for number in range(first, min(days, first + length)):
            found[number] += height * math.sin(math.pi * (number - first) / length)
    return found


def _battery(rng: random.Random, model: Model, days: int) -> list[float]:
    limit = limit_of(model, Metric.BATTERY)
    replaced = rng.randrange(days) if rng.random() < 0.08 else -1
    if model.lithium:
        volts, per_day = rng.uniform(2.8, 3.05), rng.uniform(0.00003, 0.0002)
        fresh = rng.uniform(3.0, 3.1)
    else:
        per_day = rng.uniform(0.0015, 0.003)
        volts = rng.uniform(limit + per_day * (days + 150), max(9.4, limit + per_day * (days + 151)))
        fresh = 9.4
    found = []
    for number in range(days):
        volts = fresh if number == replaced and fresh > volts else volts - per_day
        found.append(volts)
    return found


def _cooking(rng: random.Random, days: int, away: frozenset[int], near: float) -> list[float]:
    found = []
    for number in range(days):
        if number in away or rng.random() < 0.3:
            found.append(0.0)
        elif rng.random() < near:
            found.append(rng.uniform(0.6, 1.05))
        else:
            found.append(min(0.58, rng.lognormvariate(-2.0, 0.6)))
    return found


def _stretches(rng: random.Random, days: int, most: int, longest: int) -> frozenset[int]:
    found: set[int] = set()
    for _ in range(rng.randint(0, most)):
        first = rng.randrange(days)
        found |= set(range(first, min(days, first + rng.randint(1, longest))))
    return frozenset(found)


def crossing(values: Sequence[float], reached: Callable[[float], bool]) -> int | None:
    """The first day on which the truth has reached it."""
    return next((number for number, value in enumerate(values) if reached(value)), None)
