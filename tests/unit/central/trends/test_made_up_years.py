"""The rules over made-up years: no false findings, and faults are found in time.

A short version, with fixed seeds, of `python -m benchmarks.trends`; its rates are in
docs/reference/trends.md.
"""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.trends import Found, Spent, cohorts, faults, healthy_gateways, lost_clocks, one_life, shares
from central.trends import Rule
from tests.harness.trend_faults import DAYS
from tests.harness.trend_walk import mornings
from tests.harness.trend_years import MODELS, YEAR, Model, healthy, rolled

YEARS = 17
"""Of each of the three models: 51 detector-years in all."""
EVERY = 3
"""Healthy ones are judged every third day, to save time."""


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_healthy_detectors_raise_nothing_for_years(model: Model) -> None:
    """Cooking, winter, damp weeks, cleaning, new batteries, outages: not one finding."""
    false = [
        (seed, morning.number, finding.text.en)
        for seed, others in cohorts(model, YEARS, 0, YEAR, EVERY)
        for morning in mornings(rolled(healthy(seed, model), seed), YEAR, others, EVERY)
        for finding in morning.opened()
    ]
    assert false == []


def test_clocks_that_a_time_server_sets_raise_nothing_for_years() -> None:
    """Set hourly or daily, with days without a server and boxes that booted in 1970."""
    wrong: Counter[str] = Counter()
    healthy_gateways(4, Spent(), wrong)
    assert wrong == Counter()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_faults_are_found_in_time(model: Model) -> None:
    """Each kind at each speed once; the fastest dust or battery may be found a little late once."""
    others = [one for _, shown in cohorts(model, 8, 10_000, DAYS) for one in shown[:1]] * 8
    found: dict[tuple[str, str, str], Found] = {}
    wrong: Counter[str] = Counter()
    for fault in faults(3, model):
        kind = found.setdefault((fault.rule.value, fault.kind, model.name), Found(fault.rule))
        one_life(fault, 3, others, kind, wrong)
    assert wrong == Counter()
    assert [key for key, kind in found.items() if not kind.leads] == []
    late = [name for (_, name, _), kind in found.items() if not kind.in_time]
    assert len(late) <= 1
    assert all(name.startswith("30 days") for name in late)


def test_lost_time_servers_are_found_before_the_clock_is_wrong() -> None:
    """From 30 to 400 ppm, slow and fast; where the gateway is silent just then it may be too late."""
    found = lost_clocks(3)
    assert all(len(kind.leads) == kind.lives for kind in found.values())
    assert shares(found)[Rule.CLOCK_DRIFT] >= 0.9
