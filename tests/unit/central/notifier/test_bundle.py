"""Which messages go out as one."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from central.notifier.bundle import bundles, key_of
from central.notifier.plan import Planned

PLANS = st.lists(
    st.builds(
        Planned,
        key=st.uuids().map(str),
        alarm=st.integers(1, 9),
        purpose=st.sampled_from(["alarm", "disposition", "cleared", "closed", "offer", "owner", "raised"]),
        round=st.just(1),
        step=st.integers(0, 3),
        worker=st.sampled_from(["w-1", "w-2"]),
        rank=st.just(0),
        channel=st.just("bot"),
        address=st.sampled_from(["a", "b"]),
        urgent=st.booleans(),
    ),
    max_size=40,
)


@given(PLANS, st.integers(1, 7))
def test_nothing_is_left_out_and_nobody_reads_what_is_for_another(waiting: list[Planned], most: int) -> None:
    """Each message once; one person, address and purpose in each; never more than the channel can name."""
    groups = bundles(waiting, lambda one: one, most)
    assert Counter(one.key for group in groups for one in group) == Counter(one.key for one in waiting)
    for group in groups:
        assert 1 <= len(group) <= most
        assert len({(one.worker, one.address, one.purpose) for one in group}) == 1
        assert [waiting.index(one) for one in group] == sorted(waiting.index(one) for one in group)
    purposes = [group[0].purpose == "alarm" for group in groups]
    assert purposes == sorted(purposes, reverse=True), "alarms go before news"


@given(PLANS.filter(bool))
def test_the_key_is_that_of_what_is_in_it_whatever_its_order(waiting: list[Planned]) -> None:
    """A retry of the same has the same key; with one more in it, another."""
    first, *rest = waiting
    assert key_of([first]) == first.key
    assert key_of([first, *rest]) == key_of([first, *rest[::-1]])
    if rest:
        assert key_of(waiting) != key_of(waiting[:-1])
