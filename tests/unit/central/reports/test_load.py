"""ISA-18.2: rates, floods, chattering."""

from datetime import timedelta

from central.reports.load import load
from central.reports.model import Call
from tests.harness.month_made import BEGIN, END, s


def calls(*spans: tuple[float, int], source: str = "x") -> list[Call]:
    """So many calls, a second apart, so many minutes after the beginning."""
    return [
        Call(BEGIN + timedelta(minutes=minutes) + s(number), f"{source}{number}")
        for minutes, count in spans
        for number in range(count)
    ]


def test_a_flood_lasts_until_fewer_than_five_come_in_ten_minutes() -> None:
    """11 begin it, 7 keep it up, 4 do not; 10 begin none."""
    found = load(calls((0, 11), (10, 7), (20, 4), (60, 10)), BEGIN, BEGIN + timedelta(hours=2), 0)
    (flood,) = found.floods
    assert (flood.begin, flood.end, flood.alarms) == (BEGIN, BEGIN + timedelta(minutes=20), 18)
    assert found.flood_ratio == 1 / 6
    assert (found.busiest_ten_minutes, found.busiest_hour, found.hours_over_30) == (11, 22, 0)


def test_a_flood_goes_on_to_the_end_at_most_and_two_are_two() -> None:
    """Quiet in between parts them."""
    end = BEGIN + timedelta(minutes=75)
    found = load(calls((0, 12), (70, 30)), BEGIN, end, 0)
    assert [(one.begin, one.end) for one in found.floods] == [
        (BEGIN, BEGIN + timedelta(minutes=10)),
        (BEGIN + timedelta(minutes=70), end),
    ]


def test_three_times_within_a_minute_is_chattering() -> None:
    """Three in 61 s are not; each source for itself."""
    fast = [Call(BEGIN + s(30 * n), "fast") for n in range(3)]
    slow = [Call(BEGIN + s(30.5 * n), "slow") for n in range(3)]
    found = load([*slow, *fast], BEGIN, END, 2)
    assert [(one.source, one.calls) for one in found.chattering] == [("fast", 3)]
    assert (found.calls, found.standing) == (6, 2)


def test_what_lies_outside_does_not_count_and_nothing_is_divided_by_nothing() -> None:
    """The end is exclusive; a period without time has no rate."""
    edge = [Call(BEGIN - s(1), "x"), Call(BEGIN, "x"), Call(END, "x")]
    found = load(edge, BEGIN, END, 0)
    assert found.calls == 1
    assert found.per_hour == 1 / (31 * 24)
    empty = load([], BEGIN, BEGIN, 0)
    assert (empty.per_hour, empty.flood_ratio, empty.top_ten_ratio, empty.floods) == (None, None, None, ())


def test_the_share_of_the_ten_busiest_is_of_all_calls() -> None:
    """Ten of twenty sources make half of it when all are alike."""
    found = load(calls((0, 20)), BEGIN, END, 0)
    assert found.top_ten_ratio == 0.5
