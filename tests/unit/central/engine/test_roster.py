"""Who has a duty at a moment: shifts, leave, substitutes, and that nobody is lost by them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from central.engine.policy import CHINA
from central.engine.roster import Holder, Leave, Shift, loop_of, on_duty, uncovered

MONDAY = date(2026, 3, 2)
ALL = frozenset(range(1, 8))
NIGHTS = Shift(MONDAY, None, frozenset({1, 2, 3, 4, 5}), time(20), time(8))
LI, WANG, ZHOU = "li", "wang", "zhou"
EVERYBODY = {LI, WANG, ZHOU}


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of March 2026 in China; the second is a Monday."""
    return datetime(2026, 3, day, hour, minute, tzinfo=CHINA)


def away(worker: str, substitute: str | None = None) -> Leave:
    return Leave(worker, at(1, 0), at(30, 0), substitute)


def test_a_shift_lasts_over_midnight_and_rests_at_the_weekend() -> None:
    """Friday's night ends on Saturday; Monday's first begins at its hour and ends at its hour."""
    assert [NIGHTS.covers(at(2, 19, 59)), NIGHTS.covers(at(2, 20)), NIGHTS.covers(at(3, 7, 59))] == [
        False,
        True,
        True,
    ]
    assert not NIGHTS.covers(at(3, 8))
    assert NIGHTS.covers(at(7, 7))  # Saturday morning
    assert not NIGHTS.covers(at(7, 21))
    assert not NIGHTS.covers(at(1, 21))  # before its first day
    day = Shift(MONDAY, MONDAY, ALL, time(9), time(9))
    assert day.covers(at(3, 8, 59))
    assert not day.covers(at(3, 9))


def test_the_roster_goes_before_those_who_always_have_the_duty_and_the_grid_before_the_area() -> None:
    """And where no shift covers the hour, they have it."""
    holders = [
        Holder(LI),
        Holder(WANG, NIGHTS),
        Holder(ZHOU, Shift(MONDAY, None, ALL, time(0), time(0), of_grid=False)),
    ]
    assert on_duty(holders, [], EVERYBODY, at(2, 21)) == [WANG]
    assert on_duty(holders, [], EVERYBODY, at(2, 12)) == [ZHOU]
    assert on_duty(holders[:2], [], EVERYBODY, at(2, 12)) == [LI]


def test_a_roster_of_somebody_who_cannot_be_reached_leaves_nobody_untold() -> None:
    """No contact, or not active: the others are told."""
    assert on_duty([Holder(LI), Holder(WANG, NIGHTS)], [], {LI}, at(2, 21)) == [LI]


def test_who_is_on_leave_is_replaced_or_passed_over_and_told_when_there_is_no_other() -> None:
    """Substitute; another holder; the one on leave rather than nobody."""
    now = at(2, 12)
    assert on_duty([Holder(LI)], [away(LI, WANG)], EVERYBODY, now) == [WANG]
    assert on_duty([Holder(LI), Holder(ZHOU)], [away(LI)], EVERYBODY, now) == [ZHOU]
    assert on_duty([Holder(LI)], [away(LI)], EVERYBODY, now) == [LI]
    assert on_duty([Holder(LI)], [away(LI, WANG), away(WANG)], EVERYBODY, now) == [LI]
    assert on_duty([Holder(LI)], [away(LI, WANG)], {LI}, now) == [LI]
    assert on_duty([Holder(LI)], [away(LI, WANG)], {WANG}, now) == [WANG]  # cannot be reached, and is away
    night = at(2, 21)
    assert on_duty([Holder(LI), Holder(WANG, NIGHTS)], [away(WANG)], EVERYBODY, night) == [LI]


def test_uncovered_hours_are_those_without_anybody_of_the_roster() -> None:
    """From eight to eight in the daytime; leave covers nothing; a duty nobody has is no matter of hours."""
    holders = [Holder(LI), Holder(WANG, NIGHTS)]
    assert uncovered(holders, [], EVERYBODY, at(3, 6), at(4, 6)) == [(at(3, 8), at(3, 20))]
    leave = Leave(WANG, at(3, 22), at(3, 23))
    assert uncovered(holders, [leave], EVERYBODY, at(3, 20), at(4, 8)) == [(at(3, 22), at(3, 23))]
    assert uncovered([Holder(LI)], [away(LI)], EVERYBODY, at(3, 0), at(4, 0)) == [(at(3, 0), at(4, 0))]
    assert uncovered([Holder(LI)], [], EVERYBODY, at(3, 0), at(4, 0)) == []
    assert uncovered([], [], EVERYBODY, at(3, 0), at(4, 0)) == []
    assert uncovered([Holder(LI)], [], set(), at(3, 0), at(4, 0)) == []


def test_two_who_would_stand_in_for_each_other_are_found() -> None:
    """At the same time only."""
    mine = away(LI, WANG)
    assert loop_of(mine, [away(WANG, LI)]) is not None
    assert loop_of(mine, [away(WANG, ZHOU), away(WANG)]) is None
    assert loop_of(mine, [Leave(WANG, at(30, 0), at(31, 0), LI)]) is None


WORKERS = st.sampled_from(["a", "b", "c", "d"])
CLOCKS = st.builds(time, st.integers(0, 23), st.sampled_from([0, 30]))
DAYS = st.dates(date(2026, 2, 25), date(2026, 3, 8))
SHIFTS = st.builds(
    lambda first, last, days, begins, ends, grid: Shift(first, last, days, begins, ends, of_grid=grid),
    DAYS,
    st.none() | DAYS,
    st.frozensets(st.integers(1, 7), min_size=1),
    CLOCKS,
    CLOCKS,
    st.booleans(),
)
HOLDERS = st.lists(st.builds(Holder, WORKERS, st.none() | SHIFTS), max_size=6)
MOMENTS = st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 6), timezones=st.just(UTC))
LEAVES = st.lists(
    st.builds(
        lambda worker, begins, hours, other: Leave(worker, begins, begins + timedelta(hours=hours), other),
        WORKERS,
        MOMENTS,
        st.integers(1, 72),
        st.none() | WORKERS,
    ),
    max_size=4,
)
REACHABLE = st.frozensets(WORKERS)


@given(HOLDERS, LEAVES, REACHABLE, MOMENTS)
def test_nobody_is_told_only_where_nobody_can_be(
    holders: list[Holder], leaves: list[Leave], reachable: frozenset[str], now: datetime
) -> None:
    """Whatever rosters and leave say: each once, only those who can be reached, and never nobody in vain."""
    told = on_duty(holders, leaves, reachable, now)
    assert len(set(told)) == len(told)
    assert set(told) <= reachable
    always = {one.worker for one in holders if one.shift is None}
    on_shift = {one.worker for one in holders if one.shift is not None and one.shift.covers(now)}
    if (always | on_shift) & reachable:
        assert told
    gone = {leave.worker for leave in leaves if leave.lasts(now)}
    if set(told) & gone:  # better told on leave than nobody: nobody else was there
        assert not ((always | on_shift) & reachable) - gone


@given(st.lists(st.builds(Holder, WORKERS, SHIFTS), min_size=1, max_size=4), LEAVES, REACHABLE, MOMENTS)
def test_uncovered_hours_agree_with_a_look_at_every_quarter(
    holders: list[Holder], leaves: list[Leave], reachable: frozenset[str], since: datetime
) -> None:
    """Against the plain way: ask at each quarter of an hour who is there."""
    since = since.replace(minute=0, second=0, microsecond=0)
    leaves = [
        Leave(
            one.worker,
            one.begins.replace(minute=0, second=0, microsecond=0),
            one.ends.replace(minute=0, second=0, microsecond=0),
            one.substitute,
        )
        for one in leaves
    ]
    found = uncovered(holders, leaves, reachable, since, since + timedelta(hours=48))
    for quarter in range(48 * 4):
        moment = since + quarter * timedelta(minutes=15)
        on = [one for one in holders if one.shift is not None and one.shift.covers(moment)]
        gone = {leave.worker for leave in leaves if leave.lasts(moment)}
        there = on_duty([Holder(one.worker) for one in on], leaves, reachable, moment)
        covered = bool(set(there) - gone)
        assert covered is not any(begin <= moment < end for begin, end in found)
