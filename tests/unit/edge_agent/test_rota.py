"""Turns on a bus."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.rota import LONGEST_WAIT_S, Rota, Standing


def _lap(rota: Rota, dead: set[int], now: float) -> tuple[list[int], int]:
    """Play one lap as the poller does; who answered, and how many probes timed out."""
    answered, spent = [], 0
    for unit in rota.begin_lap():
        if unit in dead:
            rota.missed(unit, now)
        else:
            rota.answered(unit)
            answered.append(unit)
    while (unit := rota.next_probe(now, spent > 0)) is not None:
        if unit in dead:
            rota.missed(unit, now)
            spent += 1
        else:
            rota.answered(unit)
            answered.append(unit)
    return answered, spent


@settings(max_examples=60)
@given(st.lists(st.sets(st.integers(1, 12), max_size=12), min_size=1, max_size=40))
def test_the_silent_cost_at_most_one_timeout_a_lap(history: list[set[int]]) -> None:
    """Whoever dies and comes back, in any order: each unit that answered last is asked in every lap."""
    rota = Rota(range(1, 13))
    for lap, dead in enumerate(history):
        living = {unit for unit in range(1, 13) if rota.standing(unit) is Standing.ANSWERING}
        answered, spent = _lap(rota, dead, lap * 2.0)
        assert spent <= 1
        assert living - dead <= set(answered)


@settings(max_examples=30)
@given(st.sets(st.integers(1, 12), min_size=1, max_size=12), st.integers(1, 60))
def test_everyone_comes_back_in_time(dead: set[int], laps: int) -> None:
    """When all answer again, all are asked within the longest wait, and in the lap of the first answer."""
    rota = Rota(range(1, 13))
    for lap in range(laps):
        _lap(rota, dead, lap * 2.0)
    for lap in range(laps, laps + int(LONGEST_WAIT_S)):
        answered, _ = _lap(rota, set(), lap * 2.0)
        if set(answered) & dead:
            break
    assert set(answered) == set(range(1, 13))


def test_a_line_that_comes_back_is_whole_but_for_the_long_dead() -> None:
    """Three were dead long before the line fell; when it returns they do not stand before the others."""
    rota = Rota(range(1, 33))
    for lap in range(40):
        _lap(rota, {1, 2, 3}, lap * 2.0)
    for lap in range(40, 100):
        _lap(rota, set(range(1, 33)), lap * 2.0)
    laps = []
    for lap in range(100, 110):
        laps.append(set(_lap(rota, {1, 2, 3}, lap * 2.0)[0]))
        if laps[-1]:
            break
    assert laps[-1] == set(range(4, 33))


def test_a_silent_unit_is_asked_ever_more_rarely_but_for_ever() -> None:
    """Waits double up to a minute; none is longer, with a lap of 2 s on top."""
    rota = Rota([1, 2])
    tried = []
    for lap in range(600):
        before = rota.tries(2)
        _lap(rota, {2}, lap * 2.0)
        if rota.tries(2) != before:
            tried.append(lap * 2.0)
    waits = [after - before for before, after in itertools.pairwise(tried)]
    assert waits == sorted(waits)
    assert 50 <= waits[-1] <= LONGEST_WAIT_S + 2
    assert rota.standing(2) is Standing.SILENT


def test_poll_now_asks_even_a_silent_one_first() -> None:
    """A person who has just repaired it wants to know now."""
    rota = Rota([1, 2, 3])
    for lap in range(50):
        _lap(rota, {3}, lap * 2.0)
    rota.ask_first(3)
    rota.ask_first(99)
    assert rota.begin_lap() == [3, 1, 2]


def test_units_that_stay_keep_their_standing() -> None:
    """A new configuration does not make a dead one cost a timeout again, and a new one is asked at once."""
    rota = Rota([1, 2])
    _lap(rota, {2}, 0.0)
    rota.keep([2, 7])
    assert rota.standing(2) is Standing.SUSPECT
    assert rota.begin_lap() == [7]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 45), st.booleans()), max_size=80))
def test_urgent_turns_are_extra_turns_and_few(orders: list[tuple[int, bool]]) -> None:
    """Whatever burns: everyone keeps its place in the lap, and at most a twentieth more turns are taken."""
    rota = Rota(range(1, 41))
    for unit, urgent in orders:
        rota.hurry(unit, urgent=urgent)
        lap = rota.begin_lap()
        assert lap[-38:] == list(range(3, 41))
        assert {1, 2} <= set(lap)
        assert len(lap) <= 42


def test_what_burns_is_asked_first_and_all_that_burn_in_turn() -> None:
    """The latest goes first; with more than there are extra turns each has one in its time."""
    rota = Rota(range(1, 41))
    for unit in (10, 20, 30):
        rota.hurry(unit, urgent=True)
    assert rota.begin_lap()[:2] == [30, 20]
    assert {unit for _ in range(3) for unit in rota.begin_lap()[:2]} == {10, 20, 30}
    rota.hurry(10, urgent=False)
    rota.keep(range(1, 30))
    assert rota.begin_lap()[:2] == [20, 1]


def test_an_urgent_one_that_missed_is_tried_before_the_others() -> None:
    """Smoke that falls silent is the first to be looked for; it does not keep the others from their try."""
    rota = Rota(range(1, 9))
    rota.hurry(7, urgent=True)
    _lap(rota, set(range(2, 9)), 0.0)
    tried = []
    for lap in range(1, 16):
        rota.begin_lap()
        unit = rota.next_probe(lap, spent=False)
        assert unit is not None
        rota.missed(unit, lap)
        tried.append(unit)
    assert tried[0] == 7
    assert set(tried) == set(range(2, 9))


def test_a_living_one_that_is_asked_for_keeps_its_place() -> None:
    """A person's wish gives it a turn more, so that its next one is not two laps away."""
    rota = Rota([1, 2, 3])
    rota.ask_first(2)
    assert rota.begin_lap() == [2, 1, 2, 3]
    rota.ask_first(1)
    assert rota.begin_lap() == [1, 2, 3]
