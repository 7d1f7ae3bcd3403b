"""The auditor's conclusions: nothing wrong is left untold, nothing well is told, nothing is proved unseen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from central.findings import (
    RIPE_S,
    START_S,
    UNANSWERED_S,
    WELL_S,
    Finding,
    Seen,
    Shout,
    Standing,
    conclude,
    find,
    words,
)

AGAIN_S = 300.0
BAD = {"deliveries": Finding("坏", "bad")}
WORSE = {**BAD, "database": Finding("更坏", "worse")}


def test_each_trouble_has_a_name_of_its_own_and_words_in_both_languages() -> None:
    """What is overdue, who is silent, where nobody hears; a whole look that shows nothing finds nothing."""
    seen = Seen(deliveries=2, steps=1, oldest_s=40, late={"worker": 90.0}, deaf={"street": 300.0})
    found = find(seen)
    assert list(found) == ["deliveries", "steps", "late:worker", "deaf:street"]
    assert all(one.zh and one.en for one in found.values())
    assert "5 min" in found["deaf:street"].of("en")
    assert find(Seen()) == {}


def test_a_database_that_is_restarted_is_no_finding_and_one_that_stays_away_is_the_only_one() -> None:
    """What the last look showed is not known any more."""
    assert find(Seen(unanswered_s=UNANSWERED_S - 1, deliveries=3)) == {}
    assert list(find(Seen(unanswered_s=UNANSWERED_S, deliveries=3))) == ["database"]


def test_trouble_is_told_when_ripe_again_while_it_lasts_at_once_when_worse_and_when_it_is_over() -> None:
    """One story from the first look to the last."""
    standing, told = Standing(), []
    for now in range(0, 1000, 5):
        found = {} if now < 100 or now >= 800 else WORSE if now >= 500 else BAD
        standing, shout = conclude(standing, found, looked=True, now=float(now), again_s=AGAIN_S)
        if shout is not None:
            told.append((now, shout.episode, shout.number, len(shout.findings)))
    assert told == [
        (100 + RIPE_S, 1, 1, 1),
        (100 + RIPE_S + AGAIN_S, 1, 2, 1),
        (500 + RIPE_S, 1, 3, 2),
        (800 + WELL_S, 1, 4, 0),
    ]


def test_an_auditor_that_starts_with_the_others_gives_them_time_to_start() -> None:
    """As after a power cut, when every row is old."""
    standing, told = Standing(), []
    for now in range(0, 100, 5):
        standing, shout = conclude(standing, BAD, looked=True, now=float(now), again_s=AGAIN_S)
        if shout is not None:
            told.append(now)
    assert told == [START_S]


def test_what_was_wrong_in_one_look_is_not_told() -> None:
    """Whoever has just come back gets a moment."""
    standing, shout = conclude(Standing(), BAD, looked=True, now=0.0, again_s=AGAIN_S)
    assert shout is None
    standing, shout = conclude(standing, {}, looked=True, now=5.0, again_s=AGAIN_S)
    assert (shout, dict(standing.since)) == (None, {})


@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(("a", "b", "c"))), st.booleans(), st.floats(1, 120, allow_nan=False)
        ),
        max_size=60,
    )
)
def test_no_trouble_that_stays_goes_untold_and_nothing_is_over_that_was_not_seen_to_be(
    looks: list[tuple[set[str], bool, float]],
) -> None:
    """What has been there for `RIPE_S` has been told; "over" needs a minute of whole looks."""
    now, standing, first = 0.0, Standing(), None
    since: dict[str, float] = {}
    unwell_at, under_way = 0.0, False
    for names, whole, step in looks:
        now += step
        first = now if first is None else first
        found = {name: Finding(name, name) for name in names if whole}
        since = {name: since.get(name, now) for name in found}
        if found or not whole:
            unwell_at = now
        standing, shout = conclude(standing, found, looked=whole, now=now, again_s=AGAIN_S)
        if shout is not None:
            assert bool(shout.findings) or (under_way and now - unwell_at >= WELL_S)
            under_way = bool(shout.findings)
        for name, at in since.items():
            assert now - at < RIPE_S or now - first < START_S or name in standing.told


def test_a_shout_says_what_to_do_in_the_language_of_who_is_called() -> None:
    """And that it is over, in other words than that it fails."""
    wrong, over = Shout(1, 1, (BAD["deliveries"],)), Shout(1, 2, ())
    assert words(wrong, "zh")[1][0] == "坏"
    assert words(wrong, "en")[1][0] == "bad"
    assert "119" not in words(wrong, "zh")[0]
    assert words(over, "zh")[0] != words(wrong, "zh")[0]
    assert words(over, "en")[0] != words(wrong, "en")[0]
