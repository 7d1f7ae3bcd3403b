"""Spans by place: nearest rank, and nothing that never happened."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.reports.times import by_place, percentile
from tests.harness.month_made import fire, gathered


@pytest.mark.parametrize(
    ("values", "median", "p90"),
    [
        ([], None, None),
        ([7.0], 7.0, 7.0),
        ([1.0, 2.0], 1.0, 2.0),
        ([float(n) for n in range(10, 0, -1)], 5.0, 9.0),
        ([float(n) for n in range(1, 12)], 6.0, 10.0),
    ],
)
def test_percentiles_are_those_of_percentile_disc(
    values: list[float], median: float | None, p90: float | None
) -> None:
    """Always a value that was there."""
    assert (percentile(values, 0.5), percentile(values, 0.9)) == (median, p90)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_least_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    """By its definition, whatever the values."""
    found = percentile(values, share)
    assert found is not None
    assert sum(one <= found for one in values) >= share * len(values)
    below = [one for one in values if one < found]
    assert not below or len(below) < share * len(values)


def test_every_fire_counts_in_its_grid_its_community_and_its_street() -> None:
    """One without a place among those whose place is not known."""
    made = gathered(61)
    found = by_place(made.fires, made.names)
    assert [(one.level, one.id, one.fires) for one in found] == [
        ("area", "danshuichi", 61),
        ("community", "tangjiadun", 15),
        ("community", "xinhua", 31),
        ("community", None, 15),
        ("grid", "tj-1", 15),
        ("grid", "xh-1", 16),
        ("grid", "xh-2", 15),
        ("grid", None, 15),
    ]
    assert found[0].name == "丹水池街道"


def test_a_step_that_never_came_is_no_span_and_no_span_is_negative() -> None:
    """Open fires do not count as closed; a clock that was set back makes nothing negative."""
    one = replace(fire(1), set_out_at=None)
    back = replace(fire(5), notified_at=fire(5).opened_at - timedelta(hours=1))
    (street, *_) = by_place([one, back], {})
    assert (street.set_out.n, street.closed.n) == (1, 2)
    assert street.notified.median_s == 0.0
    assert street.name == "danshuichi"
