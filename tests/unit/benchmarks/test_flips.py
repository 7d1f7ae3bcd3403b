"""Fires during an outage: when they are laid, and which count as lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.flips import WRITE_S, Count, Flip, by_thirds, count, kill_moments, plan

NAMES = [f"d-{unit:03}" for unit in range(1, 33)]


def _flips(*names: str) -> list[Flip]:
    return [Flip(name, float(place), place + 5.0) for place, name in enumerate(names)]


@given(st.floats(0.5, 20), st.floats(0.5, 20), st.floats(0.01, 100), st.integers(0, 2**32), st.integers(0, 2))
def test_whoever_watches_again_in_time_can_see_every_flip(
    restart_s: float, hold_s: float, spare_s: float, seed: int, kills: int
) -> None:
    """No kill falls into a flip or just behind one, and who was killed has `restart_s` before the next."""
    outage_s = 3 * (restart_s + hold_s + WRITE_S + spare_s)
    flips = plan(NAMES, outage_s, restart_s, hold_s, seed)
    for flip in flips:
        assert flip.ends_s - flip.begins_s == pytest.approx(hold_s)
        assert 0 <= flip.begins_s < flip.ends_s < outage_s
        for moment in kill_moments(outage_s, kills):
            assert flip.ends_s + WRITE_S <= moment + 1e-6 or moment + restart_s <= flip.begins_s + 1e-6


@given(st.integers(0, 2**32))
def test_flips_lie_before_between_and_after_the_kills(seed: int) -> None:
    """Each third of the outage has the same number of them, and no detector flips twice."""
    flips = plan(NAMES, 60, 8, 5, seed)
    thirds = by_thirds(flips, 60)
    assert [len(third) for third in thirds] == [10, 10, 10]
    first, second = kill_moments(60, 2)
    assert max(flip.ends_s for flip in thirds[0]) < first < min(flip.begins_s for flip in thirds[1])
    assert max(flip.ends_s for flip in thirds[1]) < second < min(flip.begins_s for flip in thirds[2])
    assert len({flip.detector for flip in flips}) == 30


def test_everybody_gets_the_same_flips() -> None:
    """Two programs are compared by the same fires, whatever their kills; another seed gives others."""
    assert plan(NAMES, 60, 8, 5, 0) == plan(NAMES, 60, 8, 5, 0) != plan(NAMES, 60, 8, 5, 1)


def test_an_outage_too_short_for_the_flips_is_refused() -> None:
    """Otherwise a program would lose what nobody could have seen."""
    with pytest.raises(ValueError, match="takes more than 45 s"):
        plan(NAMES, 45, 8, 5, 0)


def test_kills_divide_the_outage_evenly() -> None:
    """One kill is the first of two."""
    assert [kill_moments(60, kills) for kills in range(3)] == [(), (20,), (20, 40)]
    with pytest.raises(ValueError, match="at most two"):
        kill_moments(60, 3)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"a": [False, True, False], "b": [True, False]}, Count(2, 0, 0)),
        ({"a": [True, False]}, Count(2, 1, 0)),
        ({"a": [True, False], "b": []}, Count(2, 1, 0)),
        ({"a": [True, False], "b": [False, False]}, Count(2, 1, 0)),
        ({"a": [True, False], "b": [False, True]}, Count(2, 0, 1)),
        ({"a": [True, True, False, False], "b": [True, False, True]}, Count(2, 0, 1)),
        ({"c": [True, False]}, Count(2, 2, 0)),
        ({}, Count(2, 2, 0)),
    ],
)
def test_what_was_never_told_is_lost(told: dict[str, list[bool]], found: Count) -> None:
    """Repeats count once; a beginning without an end is its own loss; who did not flip does not count."""
    assert count(_flips("a", "b"), told) == found


@given(st.sets(st.sampled_from(NAMES)))
def test_the_lost_are_those_of_whom_nothing_came(gone: set[str]) -> None:
    """As many as are missing, no more and no less."""
    told = {name: [True, False] for name in NAMES if name not in gone}
    assert count(_flips(*NAMES), told) == Count(len(NAMES), len(gone), 0)
