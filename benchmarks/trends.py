"""How often the trend rules cry wolf, what they find and how early, and what they cost.

    python -m benchmarks.trends --json [--years 1000] [--lives 12]

Made-up years (`tests/harness/trend_years.py`): healthy detectors and gateways are judged day by day, and
every finding about one of them is a false one; faults are written into further ones, and found or not. Every
key is explained in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from central.trends import ClockSample, Metric, Rule, Urgency
from tests.harness.trend_faults import DAYS, Fault, dead, dirty, empty, smoky
from tests.harness.trend_walk import Morning, Peers, clock_mornings, mornings, seen_by_others
from tests.harness.trend_years import MODELS, START, YEAR, Model, clock, healthy, rolled

COHORT = 25
IN_TIME = {Rule.CONTAMINATION: 14, Rule.BATTERY: 7, Rule.CLOCK_DRIFT: 0}
"""So many days before the limit is in time; 0: before it."""
WITHIN = {Rule.UNUSUAL_NOISE: 28, Rule.SENSOR_STUCK: 21}
"""So many days after it began is in time, where there is no limit."""
PPM = (-400, -200, -100, -60, -30, 30, 60, 100, 200, 400)
CLOCK_LIMIT_S = 60.0


@dataclass
class Spent:
    """Processor time of judgements."""

    cpu_s: float = 0.0
    judgements: int = 0

    def add(self, morning: Morning) -> None:
        """One more."""
        self.cpu_s += morning.cpu_s
        self.judgements += 1

    def us(self) -> float:
        """Microseconds a judgement."""
        return round(1e6 * self.cpu_s / max(1, self.judgements), 1)


@dataclass
class Found:
    """What became of the faults of one kind."""

    rule: Rule
    lives: int = 0
    leads: list[float] = field(default_factory=list)
    """Days before the limit, or after the beginning where there is none; of those found."""
    in_time: int = 0
    off: list[float] = field(default_factory=list)
    """Expected date less the true one, days, when it was opened."""
    inside: int = 0
    """How often the true date lay in the interval."""
    reopened: int = 0

    def told(self) -> dict[str, Any]:
        """As printed."""
        off = sorted(abs(days) for days in self.off)
        figures: dict[str, Any] = {
            "lives": self.lives,
            "found": len(self.leads),
            "in_time": self.in_time,
            "reopened": self.reopened,
        }
        if self.leads:
            name = "days_after_begin" if self.rule in WITHIN else "lead_days"
            figures |= {
                f"{name}_median": round(median(self.leads), 1),
                f"{name}_min": round(min(self.leads), 1),
            }
            figures[f"{name}_max"] = round(max(self.leads), 1)
        if off:
            figures["date_off_days_median"] = round(median(off), 1)
            figures["date_off_days_p90"] = round(off[math.ceil(0.9 * len(off)) - 1], 1)
            figures["date_in_interval"] = round(self.inside / len(off), 3)
        return figures


def cohorts(
    model: Model, size: int, first_seed: int, days: int, every: int = 1
) -> Iterator[tuple[int, list[Peers]]]:
    """The seed of each healthy detector and what it sees of the others of its cohort."""
    seeds = range(first_seed, first_seed + size)
    for start in range(0, size, COHORT):
        group = seeds[start : start + COHORT]
        shown = [seen_by_others(rolled(healthy(seed, model, days), seed), days, every) for seed in group]
        for place, seed in enumerate(group):
            yield seed, [one for other, one in enumerate(shown) if other != place]


def healthy_years(years: int, spent: Spent, wrong: Counter[str], where: list[str]) -> int:
    """Judge that many healthy years, spread over the models; how many there were. `where` it was wrong."""
    done = 0
    for number, model in enumerate(MODELS):
        size = years // len(MODELS) + (number < years % len(MODELS))
        for seed, others in cohorts(model, size, 0, YEAR):
            for morning in mornings(rolled(healthy(seed, model), seed), YEAR, others):
                spent.add(morning)
                for finding in morning.opened():
                    wrong[finding.rule.value] += 1
                    where.append(f"{model.name} {seed}, day {morning.number}: {finding.text.en}")
            done += 1
            print(f"\r  healthy {done}/{years}, false {wrong.total()}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return done


def healthy_gateways(years: int, spent: Spent, wrong: Counter[str]) -> None:
    """The same for clocks that a time server sets."""
    for seed in range(years):
        for morning in clock_mornings(clock(seed, YEAR), YEAR):
            spent.add(morning)
            wrong.update(finding.rule.value for finding in morning.opened())


def faults(seed: int, model: Model) -> Iterable[Fault]:
    """One life of each kind."""
    yield from (dirty(seed, model, days) for days in (30, 45, 60, 120, 240))
    yield from (empty(seed, model, knee, bend) for knee in (30, 60, 120) for bend in (1, 2, 3))
    yield from (smoky(seed, model, share) for share in (0.8, 0.9))
    yield from (dead(seed, model, metric) for metric in (Metric.SMOKE, Metric.TEMPERATURE))


def faulty_lives(lives: int, wrong: Counter[str]) -> dict[tuple[str, str, str], Found]:
    """Judge that many lives of each kind and model."""
    found: dict[tuple[str, str, str], Found] = {}
    for model in MODELS:
        others = [one for _, shown in cohorts(model, COHORT, 10_000, DAYS) for one in shown[:1]]
        for seed in range(lives):
            for fault in faults(seed, model):
                kind = found.setdefault((fault.rule.value, fault.kind, model.name), Found(fault.rule))
                one_life(fault, seed, others, kind, wrong)
            print(f"\r  faults on {model.name}: {seed + 1}/{lives}", end="", file=sys.stderr)
        print(file=sys.stderr)
    return found


def one_life(fault: Fault, seed: int, others: Sequence[Peers], kind: Found, wrong: Counter[str]) -> None:
    """Walk until a week after the limit (or six after the beginning) and write down what was said."""
    end = min(DAYS, fault.began + 42 if fault.limit_on is None else fault.limit_on + 7)
    opened: list[Morning] = []
    for morning in mornings(rolled(fault.life, seed), end, others):
        for finding in morning.opened():
            if finding.rule is fault.rule and morning.number > fault.began:
                opened.append(morning)
            else:
                wrong[finding.rule.value] += 1
    kind.lives += 1
    if not opened:
        return
    kind.reopened += len(opened) - 1
    first = opened[0]
    if fault.limit_on is None:
        after = first.number - fault.began
        kind.leads.append(after)
        kind.in_time += after <= WITHIN[fault.rule]
        return
    lead = fault.limit_on - first.number
    kind.leads.append(lead)
    kind.in_time += lead >= IN_TIME[fault.rule]
    date_off(kind, first, fault.rule, fault.limit_on)


def date_off(kind: Found, morning: Morning, rule: Rule, limit_on: float) -> None:
    """How far off the date was that stood in the finding when it was opened."""
    reach = morning.findings[rule].reach
    if reach is None:
        return
    day = math.floor(limit_on)
    kind.off.append((reach.expected - START).days - day)
    early = (reach.earliest - START).days <= day
    kind.inside += early and (reach.latest is None or day <= (reach.latest - START).days)


def lost_clocks(lives: int) -> dict[tuple[str, str, str], Found]:
    """Gateways that lose their time server."""
    found: dict[tuple[str, str, str], Found] = {}
    for ppm in PPM:
        kind = found.setdefault((Rule.CLOCK_DRIFT.value, f"{abs(ppm)} ppm", "any"), Found(Rule.CLOCK_DRIFT))
        for seed in range(lives):
            lost = 60 + seed % 60
            limit_on = lost + CLOCK_LIMIT_S / (abs(ppm) * 0.0864)
            samples: Sequence[ClockSample] = clock(seed, 200, lost_on=lost, ppm=ppm)
            kind.lives += 1
            opened = [
                morning
                for morning in clock_mornings(samples, math.ceil(limit_on) + 5)
                if morning.number > lost and morning.opened()
            ]
            if opened:
                first = opened[0]
                kind.leads.append(limit_on - first.number)
                said = first.findings[Rule.CLOCK_DRIFT].urgency is not Urgency.NOW
                kind.in_time += limit_on > first.number and said
                kind.reopened += len(opened) - 1
                date_off(kind, first, Rule.CLOCK_DRIFT, limit_on)
    return found


def shares(found: dict[tuple[str, str, str], Found]) -> dict[str, float]:
    """In time, by rule."""
    lives: Counter[str] = Counter()
    in_time: Counter[str] = Counter()
    for (rule, _, _), kind in found.items():
        lives[rule] += kind.lives
        in_time[rule] += kind.in_time
    return {rule: round(in_time[rule] / count, 4) for rule, count in lives.items() if count}


def run(years: int, lives: int) -> dict[str, Any]:
    """Everything, as one object."""
    detectors, gateways = Spent(), Spent()
    wrong: Counter[str] = Counter()
    wrong_on_faulty: Counter[str] = Counter()
    where: list[str] = []
    done = healthy_years(years, detectors, wrong, where)
    gateway_years = years // 4
    healthy_gateways(gateway_years, gateways, wrong)
    found = faulty_lives(lives, wrong_on_faulty) | lost_clocks(lives * 3)
    kinds: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for (rule, kind, model), told in found.items():
        kinds[rule][kind][model] = told.told()
    of_detectors = sum(count for rule, count in wrong.items() if rule != Rule.CLOCK_DRIFT)
    return {
        "name": "trends",
        "false_per_1000_years": {
            rule.value: round(
                1000 * wrong[rule.value] / max(1, gateway_years if rule is Rule.CLOCK_DRIFT else done), 2
            )
            for rule in Rule
        },
        "false_per_100_detector_years": round(100 * of_detectors / max(1, done), 3),
        "false_findings": where[:20],
        "false_on_faulty_lives": dict(wrong_on_faulty),
        "in_time_share": shares(found),
        "kinds": kinds,
        "cpu_us_per_detector_day": detectors.us(),
        "cpu_us_per_gateway_day": gateways.us(),
        "settings": {
            "healthy_detector_years": done,
            "healthy_gateway_years": gateway_years,
            "lives_per_kind_and_model": lives,
            "models": [model.name for model in MODELS],
            "in_time_days_before_limit": {rule.value: days for rule, days in IN_TIME.items()},
            "in_time_days_after_begin": {rule.value: days for rule, days in WITHIN.items()},
            "cores": os.cpu_count(),
        },
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--years", type=int, default=1000, help="healthy detector-years")
    parser.add_argument("--lives", type=int, default=12, help="faulty lives of each kind on each model")
    given = parser.parse_args()
    result = run(given.years, given.lives)
    print(json.dumps(result, ensure_ascii=False, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
