"""The line that single wild days cannot turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.trends.fit import MOST, Point, fitted, spread, thinned

VALUES = st.lists(st.floats(-1e3, 1e3).map(lambda value: round(value, 3)), min_size=3, max_size=60)


def points(values: list[float]) -> list[Point]:
    return [Point(float(x), y) for x, y in enumerate(values)]


def test_a_straight_line_is_found_exactly() -> None:
    """Without noise the slope, the level at the end and the bounds are the line's own."""
    line = fitted(points([3 + 0.5 * x for x in range(20)]))
    assert line is not None
    assert line == pytest.approx((0.5, 0.5, 0.5, 12.5, 0.0))


def test_a_quarter_of_wild_days_does_not_turn_it() -> None:
    """That is why it is not least squares."""
    values = [0.5 * x for x in range(20)]
    for wild in (2, 7, 11, 16, 18):
        values[wild] = 1e6
    line = fitted(points(values))
    assert line is not None
    assert line.slope == pytest.approx(0.5, abs=0.2)


def test_too_few_times_have_no_line() -> None:
    """Two points, or many at one time, say nothing about a trend."""
    assert fitted(points([1.0, 2.0])) is None
    assert fitted([Point(1.0, float(y)) for y in range(9)]) is None


@given(VALUES)
def test_the_slope_lies_within_its_bounds(values: list[float]) -> None:
    """Whatever the points are."""
    line = fitted(points(values))
    assert line is not None
    assert line.low <= line.slope <= line.high
    assert line.scatter >= 0


@given(VALUES, st.floats(0.01, 100), st.floats(-1e3, 1e3))
def test_another_unit_gives_the_same_line_in_that_unit(
    values: list[float], scale: float, shift: float
) -> None:
    """Volts or millivolts, counted from anywhere."""
    plain, other = fitted(points(values)), fitted(points([scale * value + shift for value in values]))
    assert plain is not None
    assert other is not None
    assert other.slope == pytest.approx(scale * plain.slope, rel=1e-6, abs=1e-6)
    assert other.level == pytest.approx(scale * plain.level + shift, rel=1e-6, abs=1e-4)


@given(VALUES)
def test_turned_upside_down_it_falls_as_it_rose(values: list[float]) -> None:
    """Batteries and dust are judged by the same arithmetic."""
    plain, turned = fitted(points(values)), fitted(points([-value for value in values]))
    assert plain is not None
    assert turned is not None
    assert turned.slope == pytest.approx(-plain.slope, abs=1e-9)
    assert (turned.low, turned.high) == pytest.approx((-plain.high, -plain.low), abs=1e-9)


@given(st.integers(1, 400))
def test_thinning_keeps_the_bounds_of_work_and_every_point(count: int) -> None:
    """However long the history, the work is bounded, and no day is dropped from it."""
    made = points([float(x) for x in range(count)])
    thin = thinned(made, MOST)
    assert len(thin) <= MOST
    assert fitted(made) is None or fitted(made).slope == pytest.approx(1.0)  # type: ignore[union-attr]
    assert thin[-1].x >= made[-1].x - count / MOST


def test_a_wild_value_does_not_raise_the_spread() -> None:
    """Thresholds in multiples of the scatter stay where they are."""
    assert spread([1.0, 2.0, 3.0, 4.0, 1e9]) == pytest.approx(1.4826)
