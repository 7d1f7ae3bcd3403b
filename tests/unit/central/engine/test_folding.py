"""Folding filters messages and nothing else, and never those of smoke, heat or a test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.engine import folding
from central.engine.decide import Observed, Seen, observe
from central.engine.effects import DueKind, Notify, Open, Schedule
from central.engine.model import Condition, Severity
from central.engine.policy import SEVERITY, policy_for

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize("condition", [one for one in Condition if SEVERITY[one] is Severity.LIFE])
def test_smoke_and_heat_are_none_of_what_may_be_folded(condition: Condition) -> None:
    """Nor is a test, which somebody stands under and waits for."""
    assert condition not in folding.UP_AND_DOWN
    assert Condition.TEST not in folding.UP_AND_DOWN
    assert folding.after_return(condition, NOW, NOW) is None


@pytest.mark.parametrize("condition", sorted(folding.UP_AND_DOWN))
def test_what_is_folded_opens_as_it_would_have_and_tells_nobody(condition: Condition) -> None:
    """Untold without an end while its parent stands; with a moment it is told then, from the first step."""
    opened = observe(None, Observed(Seen.PRESENT, SEVERITY[condition], NOW), policy_for(condition), NOW)
    assert any(isinstance(effect, Notify) for effect in opened.effects)
    folded = folding.fold(opened, folding.Fold(parent=7))
    assert (folded.reason, folded.what, folded.effects) == (opened.reason, opened.what, opened.effects[:1])
    assert isinstance(folded.effects[0], Open)
    later = folding.fold(opened, folding.Fold(until=NOW + folding.GATHER))
    assert later.effects[1:] == (Schedule(DueKind.STEP, NOW + folding.GATHER, 0),)


@given(seconds=st.floats(-1000, 1000))
def test_what_comes_while_a_gateway_settles_is_told_at_the_end_of_that_time(seconds: float) -> None:
    """Never later than two minutes after the return, and never before something else ended."""
    now = NOW + timedelta(seconds=seconds)
    how = folding.after_return(Condition.NO_RESPONSE, NOW, now)
    if now < NOW + folding.SETTLE:
        assert how == folding.Fold(until=NOW + folding.SETTLE)
    else:
        assert how is None
    assert folding.after_return(Condition.NO_RESPONSE, None, now) is None


@given(silent=st.integers(0, 3000), gateways=st.integers(0, 10_000))
def test_more_than_a_fifth_and_at_least_five_are_one_incident(silent: int, gateways: int) -> None:
    """However many there are, as many need to be counted as decide it."""
    silent = min(silent, gateways)
    wide = folding.area_wide(silent, gateways)
    assert wide is (silent >= 5 and silent > 0.2 * gateways)
    assert folding.area_wide(silent, min(gateways, folding.to_count(silent))) is wide


def test_the_fourth_time_in_half_an_hour_is_one_too_many() -> None:
    """Three that ended, and the one that begins."""
    assert [folding.unstable(ended) for ended in range(5)] == [False, False, False, True, True]
