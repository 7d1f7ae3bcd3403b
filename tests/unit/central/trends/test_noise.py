"""A kitchen that nears the threshold every evening."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from central.trends import DetectorHistory, End, Finding, Hour, Limits, Metric, Rule, Urgency, judge_detector
from tests.harness.trend_made import by_day, day, history, lived

EVENING = 18


def made(number: int, peaks: dict[int, tuple[int, float]], silent: Iterable[int] = ()) -> DetectorHistory:
    """What is known on that morning; `peaks` gives hour and height by day, alarm is at 6."""
    days, hours, gone = [], [], set(silent)
    for n in range(max(0, number - 21), number):
        if n in gone:
            continue
        hour, height = peaks.get(n, (EVENING, 0.5))
        days.append(by_day({n: 0.2}, 0.1)[0]._replace(high=height))
        hours += [Hour(day(n), h, 0.1, height if h == hour else 0.3, 0.2, 2) for h in range(24)]
    return history({Metric.SMOKE: days}, hours)


def noise(
    peaks: dict[int, tuple[int, float]], first: int, last: int, silent: Iterable[int] = ()
) -> list[Finding | None]:
    judged = lived(lambda number: made(number, peaks, silent), range(first, last))
    return [found.get(Rule.UNUSUAL_NOISE) for found in judged]


def evenings(days: Iterable[int], height: float = 4.5, hour: int = EVENING) -> dict[int, tuple[int, float]]:
    return dict.fromkeys(days, (hour, height))


def test_ten_of_fourteen_evenings_are_a_habit() -> None:
    """Nine are not; the words say how often, when and how near."""
    assert noise(evenings(range(5, 14)), 14, 15) == [None]
    found = noise(evenings(range(4, 14)), 14, 15)[0]
    assert found is not None
    assert found.picture.hours is not None
    assert found.picture.hours[0] <= EVENING < found.picture.hours[1]
    assert found.urgency is Urgency.PLAN
    for text in found.text:
        assert "10" in text
        assert "14" in text
        assert "75" in text


def test_peaks_at_all_hours_are_no_habit() -> None:
    """The rule is about what returns at the same hours."""
    assert not any(noise({n: (n * 7 % 24, 4.5) for n in range(30)}, 14, 30))


def test_low_peaks_are_no_finding_however_often() -> None:
    """Everybody cooks."""
    assert not any(noise(evenings(range(30), 3.5), 14, 30))


def test_peaks_across_the_threshold_are_more_urgent() -> None:
    """It alarms already."""
    found = noise(evenings(range(14), 6.5), 14, 15)[0]
    assert found is not None
    assert found.urgency is Urgency.SOON


def test_a_weeks_absence_does_not_end_it_and_three_quiet_weeks_do() -> None:
    """On holiday nobody cooks: one finding before and after."""
    holiday = evenings(n for n in range(60) if not 20 <= n < 27)
    findings = [one for one in noise(holiday, 14, 60) if one is not None]
    assert all(one.open for one in findings)
    assert len({one.since for one in findings}) == 1
    quiet = noise(evenings(range(20)), 14, 60)
    ended = next(one for one in quiet if one is not None and not one.open)
    assert ended.ended is not None
    assert ended.ended.why is End.QUIETED
    assert quiet[-1] is None


def test_a_gap_is_neither_a_peak_nor_a_quiet_day() -> None:
    """Silence opens nothing and ends nothing for three months."""
    assert not any(noise(evenings(range(0, 60, 2)), 14, 60, silent=range(1, 60, 2)))
    findings = noise(evenings(range(14)), 14, 100, silent=range(14, 100))
    assert all(one is not None and one.open for one in findings)


def test_a_long_silence_is_told_as_such() -> None:
    """Nobody can say any more."""
    ended = noise(evenings(range(14)), 14, 110, silent=range(14, 110))
    last = next(one for one in ended if one is not None and not one.open)
    assert last.ended is not None
    assert last.ended.why is End.NO_DATA


@pytest.mark.parametrize("more", [0, 3, 7, 10, 12])
def test_more_evidence_never_loses_it(more: int) -> None:
    """Another evening with a peak can only speak for it."""
    base = noise(evenings([n for n in range(14) if n not in (0, 3, 7, 10, 12)] + [more]), 14, 15)[0]
    full = noise(evenings(range(14)), 14, 15)[0]
    assert base is not None
    assert full is not None


def test_without_the_models_threshold_nothing_is_said() -> None:
    """Near is near to something."""
    blind = history({Metric.SMOKE: by_day([4.5] * 14)}, limits=Limits())
    assert Rule.UNUSUAL_NOISE not in judge_detector(blind, {}, day(14))
