"""What holds of all rules whatever the roll-ups are."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.trends import Bucket, DetectorHistory, Finding, Hour, Limits, Metric, Peer, Rule, judge_detector
from central.trends.picture import MOST_POINTS
from tests.harness.trend_made import LIVELY, by_day, day, history
from tests.harness.trend_years import MODELS, START, healthy, rolled

TODAY = 100
ANY_NUMBER = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.sampled_from((0.0, 65535.0, -1.0, 1e300, math.nan))
)
ANY_BUCKET = st.builds(
    Bucket, st.integers(-9, 130).map(day), ANY_NUMBER, ANY_NUMBER, ANY_NUMBER, st.integers(-5, 100)
)
SANE = st.floats(0, 500)
SANE_BUCKET = st.builds(
    lambda n, values, count: Bucket(day(n), min(values), max(values), sum(values) / 3, count),
    st.integers(0, 130),
    st.tuples(SANE, SANE, SANE),
    st.integers(0, 100),
)
BUCKETS = st.lists(st.one_of(ANY_BUCKET, SANE_BUCKET), max_size=150)
HOURS = st.lists(
    st.builds(
        Hour,
        st.integers(70, 130).map(day),
        st.integers(-3, 30),
        ANY_NUMBER,
        ANY_NUMBER,
        ANY_NUMBER,
        st.just(2),
    ),
    max_size=60,
)
LIMIT = st.one_of(st.none(), ANY_NUMBER)
PEERS = st.lists(st.builds(Peer, st.integers(-2, 12), st.integers(-2, 12)), max_size=30)
ANYTHING = st.builds(
    DetectorHistory,
    st.just("d-1"),
    st.fixed_dictionaries({metric: BUCKETS for metric in Metric if metric is not Metric.CLOCK}),
    HOURS,
    st.builds(Limits, LIMIT, LIMIT, LIMIT),
    st.dictionaries(st.sampled_from(Metric), ANY_NUMBER),
    st.dictionaries(st.sampled_from(Metric), PEERS),
    st.one_of(st.none(), st.integers(0, 120).map(day)),
)


@cache
def open_findings() -> dict[Rule, Finding]:
    """One of each rule, opened on day 100 less something."""
    found: dict[Rule, Finding] = {}
    dust = by_day({n: 20.0 + max(0, n - 40) for n in range(90)}, 0.5)
    volts = by_day({n: 2.95 - 0.009 * max(0, n - 40) for n in range(90)}, 0.001)
    still = by_day({n: 0.2 + n % 5 / 100 for n in range(70)}, 0.06) + by_day(
        dict.fromkeys(range(70, 90), 0.2)
    )
    found |= judge_detector(
        history({Metric.CONTAMINATION: dust, Metric.BATTERY: volts, Metric.SMOKE: still}), {}, day(90)
    )
    peaks = [Bucket(day(n), 0.1, 4.5, 0.2, 24) for n in range(76, 90)]
    hours = [Hour(day(n), 18, 0.1, 4.5, 1.0, 2) for n in range(76, 90)]
    found |= judge_detector(history({Metric.SMOKE: peaks}, hours), {}, day(90))
    assert set(found) == set(Rule) - {Rule.CLOCK_DRIFT}
    return found


@given(ANYTHING, st.booleans())
@settings(max_examples=300, deadline=None)
def test_nothing_in_the_roll_ups_makes_a_rule_fail(made: DetectorHistory, with_open: bool) -> None:
    """Each finding can be stored, drawn and passed in again, whatever was read."""
    before = open_findings() if with_open else {}
    found = judge_detector(made, before, day(TODAY))
    for rule, finding in found.items():
        assert finding.rule is rule
        assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding
        drawn = json.dumps(finding.picture.as_json(), allow_nan=False)
        assert len(finding.picture.points) <= MOST_POINTS
        assert len(drawn) < 10_000
        assert finding.text.zh
        assert finding.text.en
    assert judge_detector(made, found, day(TODAY)).keys() <= found.keys()


@given(ANYTHING, st.booleans())
@settings(max_examples=100, deadline=None)
def test_judging_the_same_day_again_changes_nothing(made: DetectorHistory, with_open: bool) -> None:
    """A job that runs twice tells nobody twice."""
    found = judge_detector(made, open_findings() if with_open else {}, day(TODAY))
    still_open = {rule: one for rule, one in found.items() if one.open}
    again = judge_detector(made, still_open, day(TODAY))
    assert {rule: again[rule] for rule in still_open} == still_open


@given(st.lists(ANY_BUCKET.filter(lambda b: not 0 <= b.low <= b.mean <= b.high <= 1000), max_size=100))
@settings(deadline=None)
def test_garbage_alone_raises_nothing(buckets: list[Bucket]) -> None:
    """NaN, infinities, impossible values and impossible counts are no evidence."""
    made = history(
        {metric: buckets for metric in Metric if metric is not Metric.CLOCK}, limits=Limits(1, 1, 1)
    )
    assert judge_detector(made, {}, day(TODAY)) == {}


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from((math.nan, math.inf, -5.0, 1e9))), max_size=50))
@settings(deadline=None)
def test_garbage_between_good_days_is_as_if_it_were_not_there(bad: list[tuple[int, float]]) -> None:
    """Neither does it raise anything nor does it hide anything."""
    good = by_day({n: 20.0 + max(0, n - 40) for n in range(0, 100, 1)}, 0.5)
    mixed = good + [Bucket(day(n), value, value, value, 30) for n, value in bad]
    plain = judge_detector(history({Metric.CONTAMINATION: good}), {}, day(TODAY))
    assert plain
    assert judge_detector(history({Metric.CONTAMINATION: mixed}), {}, day(TODAY)) == plain


@given(st.sets(st.integers(0, 364)), st.sampled_from(range(6)), st.integers(30, 365))
@settings(max_examples=60, deadline=None)
def test_no_gap_makes_a_healthy_detector_sick(gone: set[int], seed: int, today: int) -> None:
    """Whatever days are missing: a gap is not a value."""
    made = _healthy(seed)
    lost = {START.toordinal() + n for n in gone}
    days = {
        metric: [b for b in buckets if b.day.toordinal() not in lost] for metric, buckets in made.days.items()
    }
    assert judge_detector(replace(made, days=days), {}, day(today)) == {}


@given(st.floats(-15, 15).map(lambda shift: round(shift, 1)))
def test_dust_counted_from_another_zero_gives_the_same_dates(shift: float) -> None:
    """Only the way to the limit matters."""
    values = {n: 20.0 + max(0, n - 40) + n % 3 for n in range(90)}
    plain = judge_detector(history({Metric.CONTAMINATION: by_day(values, 0.5)}), {}, day(90))
    moved = by_day({n: value + shift for n, value in values.items()}, 0.5)
    other = judge_detector(
        history({Metric.CONTAMINATION: moved}, limits=Limits(contaminated=80.0 + shift)), {}, day(90)
    )
    a, b = plain[Rule.CONTAMINATION], other[Rule.CONTAMINATION]
    assert a.reach is not None
    assert b.reach is not None
    assert abs((a.reach.expected - b.reach.expected).days) <= 1
    assert a.began == b.began


@given(st.floats(0.3, 20))
def test_a_battery_of_more_cells_gives_the_same_dates(scale: float) -> None:
    """All its thresholds are shares of the model's limit."""
    values = {n: 2.95 - 0.009 * max(0, n - 40) + n % 3 / 1000 for n in range(85)}
    dates = []
    for factor in (1.0, scale):
        buckets = by_day({n: factor * value for n, value in values.items()}, 0.002 * factor)
        made = history({Metric.BATTERY: buckets}, limits=Limits(low_battery=2.4 * factor))
        found = judge_detector(replace(made, resolution={Metric.BATTERY: 0.001 * factor}), {}, day(85))
        assert found[Rule.BATTERY].reach is not None
        dates.append(found[Rule.BATTERY].reach.expected)  # type: ignore[union-attr]
    assert abs((dates[0] - dates[1]).days) <= 1


@given(st.floats(0.4, 3.0), st.floats(1.01, 2.0))
@settings(max_examples=40, deadline=None)
def test_steeper_is_never_expected_later(per_day: float, times: float) -> None:
    """On any day on which both are findings, and what is steeper is one when the other is."""
    for today in range(55, 100, 5):
        dates = []
        for slope in (per_day, per_day * times):
            values = {n: 20.0 + slope * max(0, n - 40) for n in range(today)}
            made = history({Metric.CONTAMINATION: by_day(values, 0.5)})
            dates.append(judge_detector(made, {}, day(today)).get(Rule.CONTAMINATION))
        if dates[0] is not None and dates[0].reach is not None:
            assert dates[1] is not None
            assert dates[1].reach is None or dates[1].reach.expected <= dates[0].reach.expected


@pytest.mark.parametrize("rule", [rule for rule in Rule if rule is not Rule.CLOCK_DRIFT])
def test_without_any_data_an_open_finding_stays_as_it_was(rule: Rule) -> None:
    """Ten days of silence are no news."""
    finding = open_findings()[rule]
    assert judge_detector(history({}), {rule: finding}, day(TODAY)) == {rule: finding}


@cache
def _healthy(seed: int) -> DetectorHistory:
    model = MODELS[seed % 3]
    made = rolled(healthy(seed, model), seed)
    return DetectorHistory("d-1", made.days, made.hours, model.limits, model.resolution, LIVELY)
