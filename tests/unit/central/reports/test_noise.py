"""False alarms and noisy detectors."""

from dataclasses import replace

from central.reports.noise import by_detector, causes_of, false_of, judged
from tests.harness.month_made import fire, gathered


def test_the_rate_is_of_what_people_have_judged() -> None:
    """An open alarm is neither; a test and a maintenance are judged and not false."""
    fires = [
        fire(0),  # open
        replace(fire(1), part="d", disposition="real_fire"),
        replace(fire(2), part="d", disposition="test", cause=None),
        replace(fire(3), part="d", disposition="false_alarm", cause="steam"),
    ]
    fires[0] = replace(fires[0], part="d")
    (one,) = by_detector(fires)
    assert (one.fires, one.judged, one.false, one.false_ratio) == (4, 3, 1, 1 / 3)
    assert one.causes == {"steam": 1}
    assert by_detector([fires[0]])[0].false_ratio is None


def test_the_noisiest_comes_first_returns_counted() -> None:
    """By fires and returns, then by false ones, then by name; in all no fire is lost."""
    found = by_detector(gathered().fires)
    assert [one.rounds for one in found] == sorted((one.rounds for one in found), reverse=True)
    assert sum(one.fires for one in found) == 60
    ties = [(-one.rounds, -one.false, one.detector) for one in found]
    assert ties == sorted(ties)


def test_causes_are_of_false_alarms_only_and_unsaid_is_one() -> None:
    """The most frequent first."""
    fires = gathered().fires
    causes = causes_of(fires)
    assert sum(causes.values()) == len(false_of(fires)) <= len(judged(fires))
    assert list(causes.values()) == sorted(causes.values(), reverse=True)
    assert "unsaid" in causes
