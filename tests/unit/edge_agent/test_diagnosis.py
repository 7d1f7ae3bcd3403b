"""What is wrong with a line, from how its answers are spoilt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.diagnosis import CALM_S, Diagnosis


def _laps(seen: Diagnosis, bad: set[int], units: int = 8, laps: int = 10, start: float = 0.0) -> float:
    """Laps of two seconds over units 1 to `units`; those in `bad` are spoilt in each. When they end."""
    for lap in range(laps):
        for unit in range(1, units + 1):
            (seen.spoilt if unit in bad else seen.good)(unit, start + 2.0 * lap)
    return start + 2.0 * laps


def test_a_healthy_line_has_no_hint() -> None:
    """Good answers, and now and then a spoilt one, are nobody's fault."""
    seen = Diagnosis()
    now = _laps(seen, set(), laps=25)
    seen.spoilt(3, now)
    assert seen.hint(now) is None


def test_one_spoilt_unit_among_good_ones_is_two_devices() -> None:
    """Two that answer at once collide; the others are fine."""
    seen = Diagnosis()
    hint = seen.hint(_laps(seen, {5}))
    assert hint is not None
    assert "two devices at one address? unit 5" in hint


def test_spoilt_answers_from_everywhere_are_the_lines_fault() -> None:
    """All of them, or the far half behind a missing termination; nothing but garbage is named."""
    for bad, words in (
        (set(range(1, 9)), "nothing but garbage"),
        ({5, 6, 7, 8}, "most units"),
    ):
        seen = Diagnosis()
        hint = seen.hint(_laps(seen, bad))
        assert hint is not None
        assert "A/B swapped, termination or baud?" in hint
        assert words in hint


def test_a_single_device_cannot_be_told_from_its_line() -> None:
    """With nobody to compare, the line is named."""
    seen = Diagnosis()
    assert "A/B" in (seen.hint(_laps(seen, {1}, units=1)) or "")


def test_identities_in_turn_are_two_devices_and_one_change_is_none() -> None:
    """A replaced detector changes once; two at one address keep changing."""
    seen = Diagnosis()
    seen.identity(4, 7, 0.0)
    seen.identity(4, 8, 10.0)
    assert seen.hint(10.0) is None
    for at, identity in ((20.0, 7), (30.0, 8)):
        seen.identity(4, identity, at)
    assert "two devices at one address? unit 4" in (seen.hint(30.0) or "")


def test_requests_of_others_are_another_master() -> None:
    """One may be noise; three are somebody."""
    seen = Diagnosis()
    for at in (1.0, 2.0):
        seen.foreign(at)
    assert seen.hint(2.0) is None
    seen.foreign(3.0)
    assert "another master" in (seen.hint(3.0) or "")


def test_a_hint_stands_until_it_has_been_calm() -> None:
    """It neither flaps nor stays for ever."""
    seen = Diagnosis()
    now = _laps(seen, {5})
    assert seen.hint(now)
    ended = _laps(seen, set(), laps=100, start=now)
    assert seen.hint(ended)
    assert seen.hint(ended + CALM_S + 130.0) is None


def test_another_line_starts_afresh() -> None:
    """What was seen before it was opened does not count."""
    seen = Diagnosis()
    now = _laps(seen, {5})
    seen.reopened()
    assert seen.hint(now) is None


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from(("good", "spoilt", "foreign")), st.floats(0.0, 90.0)),
        max_size=80,
    )
)
def test_good_answers_alone_never_make_a_hint(history: list[tuple[int, str, float]]) -> None:
    """Any mixture at any pace: no exception, and no hint without anything spoilt or foreign."""
    seen, now = Diagnosis(), 0.0
    for unit, kind, after in history:
        now += after
        if kind == "foreign":
            seen.foreign(now)
        else:
            (seen.good if kind == "good" else seen.spoilt)(unit, now)
        hint = seen.hint(now)
        assert hint is None or {kind for _, kind, _ in history} & {"spoilt", "foreign"}
