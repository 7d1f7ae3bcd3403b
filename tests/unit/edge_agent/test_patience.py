"""How long a unit is waited for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.patience import FLOOR_S, MARGIN, MEMORY, Patience

TIMES = st.floats(0.0, 0.5)


@given(st.lists(st.one_of(TIMES, st.none()), max_size=60), st.floats(0.02, 5.0))
def test_the_wait_stays_within_its_bounds(history: list[float | None], ceiling_s: float) -> None:
    """Whatever a unit did: never longer than its profile allows, never below the floor or the profile."""
    patience = Patience()
    for took_s in history:
        if took_s is None:
            patience.missed(7)
        else:
            patience.answered(7, took_s)
        assert min(FLOOR_S, ceiling_s) <= patience.wait_s(7, ceiling_s) <= ceiling_s
    assert patience.wait_s(8, ceiling_s) == ceiling_s


@given(st.lists(TIMES, min_size=1, max_size=MEMORY // 2))
def test_a_wait_covers_every_recent_answer(history: list[float]) -> None:
    """An answer that came once within the last hundred comes in time again, with room to spare."""
    patience = Patience()
    for took_s in history:
        patience.answered(1, took_s)
    assert patience.wait_s(1, 5.0) >= max(history) * MARGIN * 0.6


@given(st.floats(0.0, 0.05), st.floats(0.0, 0.3), st.integers(1, 300))
def test_a_device_that_becomes_slower_misses_at_most_once(
    before_s: float, after_s: float, polls: int
) -> None:
    """After one miss it gets all that its profile allows, answers, and is waited for as long as it takes."""
    patience, ceiling_s, misses = Patience(), 0.3, 0
    for _ in range(polls):
        patience.answered(1, before_s)
    for _ in range(20):
        if after_s <= patience.wait_s(1, ceiling_s):
            patience.answered(1, after_s)
        else:
            patience.missed(1)
            misses += 1
    assert misses <= 1


def test_a_quick_device_is_given_up_quickly_and_a_spike_is_forgotten() -> None:
    """30 ms devices are waited for a tenth of a second; one slow answer counts for some hundred polls."""
    patience = Patience()
    patience.answered(1, 0.03)
    assert patience.wait_s(1, 0.5) == FLOOR_S
    patience.answered(1, 0.2)
    assert patience.wait_s(1, 0.5) == 0.4
    for _ in range(5 * MEMORY):
        patience.answered(1, 0.03)
    assert patience.wait_s(1, 0.5) == FLOOR_S


def test_another_line_is_learned_anew() -> None:
    """A serial server in between may be slower than the adapter was."""
    patience = Patience()
    patience.answered(1, 0.03)
    patience.forget()
    assert patience.wait_s(1, 0.5) == 0.5
