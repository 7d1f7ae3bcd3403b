"""The simulated detector: smoke that rises and decays, and what it judges of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.conditions import Condition
from simulator import detector
from simulator.detector import ALARM_AT, Air, State, Traits

T = 1_795_000_000.0
SEEDS = st.integers(0, 2**32 - 1)


def fresh(**traits: object) -> State:
    return detector.new(Traits(seed=7, born=T, **traits), T)  # type: ignore[arg-type]


def run(state: State, start: float, seconds: float, step: float = 1.0) -> State:
    for n in range(int(seconds / step) + 1):
        state = detector.advance(state, start + n * step)
    return state


def test_clean_air_shows_nothing() -> None:
    """A new detector asserts nothing and measures almost nothing."""
    state = run(fresh(), T, 60)
    assert detector.conditions(state, T + 60) == frozenset()
    smoke = detector.senses(state, T + 60).smoke
    assert smoke is not None
    assert 0 <= smoke < 0.3


@given(SEEDS)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_fire_alarms_after_some_ten_seconds(seed: int) -> None:
    """Not at once, and for every detector within 20 s; an early warning comes before."""
    state = detector.ignite(detector.new(Traits(seed=seed), T), T)
    assert not detector.advance(state, T + 5).smoke
    warned = [t for t in range(30) if Condition.PRE_ALARM in detector.conditions(state, T + t)]
    assert warned
    state = run(state, T, 20)
    assert state.smoke
    assert state.smoke_since is not None
    assert min(warned) <= state.smoke_since - T < 20
    assert detector.conditions(state, T + 20) >= {Condition.SMOKE}


def test_smoke_decays_and_clears_below_the_threshold_only() -> None:
    """Hysteresis: the alarm outlives the threshold and ends in minutes."""
    state = run(detector.ignite(fresh(), T), T, 60)
    state = detector.extinguish(state, T + 60)
    held = False
    for t in range(60, 400):
        state = detector.advance(state, T + t)
        level = detector._level(state, T + t)
        held = held or (state.smoke and level < ALARM_AT)
    assert held
    assert not state.smoke
    assert state.smoke_since is None


def test_a_latched_alarm_waits_for_the_reset_and_returns_while_it_burns() -> None:
    """As on a panel's loop."""
    burning = run(detector.ignite(fresh(latch=True), T), T, 60)
    assert detector.reset(burning, T + 60).smoke
    out = run(detector.extinguish(burning, T + 60), T + 60, 600)
    assert out.smoke
    assert not detector.reset(out, T + 700).smoke


def test_a_long_fire_raises_the_heat_alarm() -> None:
    """And heat ends only when it is clearly colder again."""
    state = run(detector.ignite(fresh(), T), T, 600)
    assert Condition.HEAT in detector.conditions(state, T + 600)
    state = run(detector.extinguish(state, T + 600), T + 600, 1200, step=5)
    assert Condition.HEAT not in detector.conditions(state, T + 1800)


@given(SEEDS)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_cooking_comes_near_and_rarely_alarms(seed: int) -> None:
    """Steam and fat reach half of the threshold and end by themselves."""
    state = detector.cook(detector.new(Traits(seed=seed), T), T)
    levels = [detector._level(state, T + t) for t in range(0, 480, 5)]
    assert ALARM_AT / 2 < max(levels) < ALARM_AT
    assert run(state, T, 1500, step=5).air is Air.CLEAR


def test_a_flip_is_there_at_once_and_gone_at_once() -> None:
    """For tests: exactly the smoke condition, whatever the latch; the time is kept."""
    on = detector.flip(fresh(latch=True), T + 1, on=True)
    assert detector.conditions(on, T + 1) == {Condition.SMOKE}
    assert on.smoke_since == T + 1
    assert run(on, T + 1, 5000, step=100).smoke
    off = detector.flip(on, T + 2, on=False)
    assert detector.conditions(detector.advance(off, T + 2), T + 2) == frozenset()


def test_the_test_button_and_mute_end_by_themselves() -> None:
    """Ten seconds, ten minutes; a reset ends both."""
    state = detector.mute(detector.press_test(fresh(), T), T)
    assert detector.conditions(state, T + 9) == {Condition.TEST, Condition.MUTED}
    assert detector.conditions(state, T + 11) == {Condition.MUTED}
    assert detector.conditions(state, T + 601) == frozenset()
    assert detector.conditions(detector.reset(state, T + 1), T + 1) == frozenset()


def test_a_removed_head_senses_nothing_and_judges_again_when_refitted() -> None:
    """No value and no smoke while it is off; the fire is still there afterwards."""
    state = detector.remove(run(detector.ignite(fresh(), T), T, 30), T + 30)
    state = detector.advance(state, T + 40)
    assert detector.conditions(state, T + 40) == {Condition.REMOVED}
    assert detector.senses(state, T + 40).smoke is None
    assert detector.refit(state, T + 60).smoke


def test_dust_grows_and_the_battery_drains() -> None:
    """Over years, both to their conditions."""
    state, years = fresh(), 365 * 86_400
    now, later = detector.senses(state, T), detector.senses(state, T + 10 * years)
    assert later.contamination > now.contamination
    assert later.battery < now.battery
    assert {Condition.CONTAMINATED, Condition.LOW_BATTERY} <= detector.conditions(state, T + 10 * years)


@given(SEEDS, st.floats(0, 86_400))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_the_same_seed_and_time_give_the_same_values(seed: int, t: float) -> None:
    """Determinism, believable rooms, noise within its bounds."""
    one, two = (detector.senses(detector.new(Traits(seed=seed), T), T + t) for _ in range(2))
    assert one == two
    assert one.temperature is not None
    assert 15 < one.temperature < 30
    assert -1 <= detector.noise(seed, t) <= 1


def test_the_afternoon_is_warmer_than_the_night() -> None:
    """15 o'clock against 3 o'clock in China."""
    day = T - T % 86_400
    night, noon = (detector.senses(fresh(), day + hour * 3600).temperature for hour in (19, 31))
    assert night is not None
    assert noon is not None
    assert noon - night == pytest.approx(5, abs=0.5)


def test_looking_often_or_seldom_gives_the_same_air() -> None:
    """Curves are closed forms."""
    fire = detector.ignite(fresh(), T)
    assert detector.senses(run(fire, T, 90, step=0.5), T + 90) == detector.senses(fire, T + 90)


def test_only_what_may_change_by_itself_is_restless() -> None:
    """So that a quiet street costs nothing."""
    assert not detector.restless(fresh())
    assert detector.restless(detector.ignite(fresh(), T))
    assert detector.restless(detector.extinguish(detector.flip(fresh(), T, on=True), T))
