"""The bucket of wrong tries: pure, bounded, forgiving."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from central.pages.guesses import Guesses


def test_a_burst_is_let_through_then_it_must_wait():
    """Three at once, then one each second; another address is not touched."""
    guesses = Guesses(burst=3, every_s=1.0)
    assert [guesses.wrong("a", 0.0) for _ in range(5)] == [False, False, False, True, True]
    assert guesses.wrong("b", 0.0) is False
    assert guesses.wrong("a", 1.0) is False
    assert guesses.wrong("a", 1.5) is True


@given(st.lists(st.tuples(st.text(max_size=3), st.floats(0, 1e6)), max_size=200))
def test_it_never_holds_more_addresses_than_it_may(tries: list[tuple[str, float]]):
    """Also when the clock goes back."""
    guesses = Guesses(burst=2, every_s=1.0, addresses=10)
    for address, now in tries:
        guesses.wrong(address, now)
    assert len(guesses) <= 10
