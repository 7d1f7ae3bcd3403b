"""Dust that climbs towards the limit."""

from __future__ import annotations

from dataclasses import replace

from central.engine.model import Condition
from central.engine.policy import SEVERITY
from central.trends import End, Finding, Limits, Metric, Rule, Urgency
from tests.harness.trend_made import LIMITS, by_day, day, history, lived

CLIMB = {n: 20.0 + max(0, n - 40) for n in range(100)}
"""Flat at 20 %, from day 40 on one per cent a day: 80 % on day 100."""


def known(values: dict[int, float]):
    def made(number: int):
        seen = {n: value for n, value in values.items() if n < number}
        return history({Metric.CONTAMINATION: by_day(seen, 0.5)})

    return made


def dust(values: dict[int, float], first: int, last: int) -> list[Finding | None]:
    return [found.get(Rule.CONTAMINATION) for found in lived(known(values), range(first, last))]


def opened(values: dict[int, float], last: int) -> Finding:
    found = next(one for one in dust(values, 41, last) if one is not None)
    assert found.open
    return found


def test_a_climb_is_found_weeks_before_with_its_date_and_its_words() -> None:
    """That is what the rule is for: a visit can be planned."""
    found = opened(CLIMB, 100)
    assert found.since <= day(70)
    assert found.reach is not None
    assert abs((found.reach.expected - day(100)).days) <= 5
    assert found.reach.earliest <= found.reach.expected
    assert found.reach.latest is None or found.reach.expected <= found.reach.latest
    assert found.urgency is Urgency.PLAN
    assert found.severity is SEVERITY[Condition.TREND]
    for text in found.text:
        assert "80" in text
        assert found.reach.expected.isoformat() in text


def test_it_becomes_urgent_and_stays_one_finding() -> None:
    """Day by day one finding, from planned to soon to now; it does not flap."""
    findings = [
        one for one in dust(CLIMB | {n: n - 20.0 for n in range(100, 110)}, 41, 110) if one is not None
    ]
    assert len({one.since for one in findings}) == 1
    assert all(one.open for one in findings)
    order = [Urgency.PLAN, Urgency.SOON, Urgency.NOW]
    assert [one for one in order if one in {f.urgency for f in findings}] == order
    assert [order.index(f.urgency) for f in findings] == sorted(order.index(f.urgency) for f in findings)
    assert findings[-1].reach is None
    assert "已达到" in findings[-1].text.zh
    assert "is reached" in findings[-1].text.en


def test_it_ends_when_the_detector_was_cleaned() -> None:
    """Said with the day, and a cleaned detector starts anew without another finding."""
    cleaned = {n: value if n < 80 else 5.0 for n, value in CLIMB.items()}
    findings = dust(cleaned, 41, 100)
    ended = next(one for one in findings if one is not None and not one.open)
    assert ended.ended is not None
    assert ended.ended.why is End.CLEANED
    assert ended.ended.on == day(80)
    after = findings[findings.index(ended) + 1 :]
    assert after
    assert after == [None] * len(after)


def test_a_detector_cleaned_while_it_was_silent_is_known_as_cleaned() -> None:
    """The gap hides the moment, not the fact."""
    cleaned = {n: value if n < 75 else 5.0 for n, value in CLIMB.items() if not 75 <= n < 85}
    ended = next(one for one in dust(cleaned, 41, 95) if one is not None and not one.open)
    assert ended.ended is not None
    assert ended.ended.why is End.CLEANED


def test_a_step_up_is_no_trend() -> None:
    """Builders' dust is there at once; where it stands it stays."""
    assert not any(dust({n: 20.0 if n < 50 else 60.0 for n in range(100)}, 41, 100))


def test_a_week_of_damp_air_is_no_trend() -> None:
    """It comes and it goes."""
    damp = {n: 45.0 + (max(0, 5 - abs(n - 60)) if 50 < n < 70 else 0) for n in range(100)}
    assert not any(dust(damp, 41, 100))


def test_what_stops_climbing_is_over_after_two_weeks_not_at_once() -> None:
    """One calm week is not an end; without hysteresis it would flap."""
    stopped = {n: min(value, 55.0) for n, value in CLIMB.items()} | dict.fromkeys(range(100, 140), 55.0)
    findings = [one for one in dust(stopped, 41, 140) if one is not None]
    ended = findings[-1]
    assert ended.ended is not None
    assert ended.ended.why is End.SLOWED
    assert ended.ended.on >= day(75 + 14)
    assert len({one.since for one in findings}) == 1


def test_what_goes_back_bit_by_bit_is_over_for_that_reason() -> None:
    """Nobody cleaned it: say so."""
    turned = {n: value if n < 75 else 54.0 - 2 * (n - 75) for n, value in CLIMB.items()}
    ended = next(one for one in dust(turned, 41, 100) if one is not None and not one.open)
    assert ended.ended is not None
    assert ended.ended.why is End.RECEDED


def test_a_gap_changes_nothing_and_a_long_silence_ends_it() -> None:
    """Silence is no news; after three months nobody can say anything any more."""
    findings = dust({n: value for n, value in CLIMB.items() if n < 80}, 41, 185)
    held = [one for one in findings[79 - 41 : 165 - 41] if one is not None and one.open]
    assert len(held) == 86
    assert {one.level for one in held[5:]} == {held[5].level}
    ended = next(one for one in findings if one is not None and not one.open)
    assert ended.ended is not None
    assert ended.ended.why is End.NO_DATA


def test_another_detector_in_its_place_ends_it() -> None:
    """Its dust went with it."""
    found = opened(CLIMB, 100)
    fresh = replace(known(CLIMB)(90), fitted_on=day(85))
    after = lived(lambda _: fresh, [90], {Rule.CONTAMINATION: found})[0][Rule.CONTAMINATION]
    assert after.ended is not None
    assert (after.ended.why, after.ended.on) == (End.DETECTOR_REPLACED, day(85))


def test_too_little_history_says_nothing() -> None:
    """A week of any climb is not enough, nor are every third day's readings."""
    assert not any(dust({n: 20.0 + 4 * n for n in range(7)}, 1, 8))
    assert not any(dust({n: value for n, value in CLIMB.items() if n % 3 == 0}, 41, 100))


def test_the_models_own_limit_counts() -> None:
    """The same dust is nearer to a lower limit."""
    low = {
        n: history({Metric.CONTAMINATION: by_day({d: v for d, v in CLIMB.items() if d < n}, 0.5)})
        for n in range(41, 80)
    }
    near = {n: replace(one, limits=Limits(contaminated=60.0)) for n, one in low.items()}
    first = {
        name: next(found for found in lived(made.__getitem__, range(41, 80)) if found)[Rule.CONTAMINATION]
        for name, made in (("far", low), ("near", near))
    }
    assert first["near"].since < first["far"].since
    assert first["near"].limit == 60.0
    assert first["far"].limit == LIMITS.contaminated


def test_the_picture_shows_days_as_they_were_and_the_line_to_the_limit() -> None:
    """What is drawn is what was measured; a hole stays a hole."""
    holed = {n: value for n, value in CLIMB.items() if n != 50}
    picture = opened(holed, 100).picture
    shown = [point[0] for point in picture.points]
    assert day(50).isoformat() not in shown
    assert picture.points[0] == (day(0).isoformat(), 19.5, 20.0, 20.5)
    (_, start), (last_day, level), (end_day, end) = picture.line
    assert start < level < end == 80.0
    assert last_day == shown[-1] < end_day
