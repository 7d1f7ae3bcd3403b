"""What of a walk test is a test; everything odd is smoke."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.engine.model import Condition
from central.engine.policy import policy_for
from central.engine.walk_test import LASTS, REAL_AFTER, counts_until
from central.engine.window import LONGEST, Window, WindowKind, holds

T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
WALK = Window(7, WindowKind.WALK_TEST, T0, T0 + LASTS, "年检", "wu")
WORK = Window(8, WindowKind.MAINTENANCE, T0, T0 + timedelta(hours=2), "清洗", "wu")


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def test_smoke_with_the_number_is_a_test_for_three_minutes_and_never_beyond_the_end() -> None:
    """Counted from when it was seen."""
    assert counts_until([WALK], "7", at(5), at(5)) == at(8)
    assert counts_until([WORK, WALK], "7", at(5), at(6)) == at(8)
    assert counts_until([WALK], "7", at(29), at(29)) == at(30)
    assert counts_until([WALK], "7", at(9), at(5)) == at(8), "a clock that is ahead gains nothing"


@pytest.mark.parametrize(
    ("windows", "named", "seen", "now"),
    [
        ([WALK], None, 5, 5),
        ([WALK], "8", 5, 5),
        ([WORK], "8", 5, 5),
        ([], "7", 5, 5),
        ([WALK], "7", 5, 8),
        ([WALK], "7", 1, 20),
        ([WALK], "7", 30, 30),
        ([WALK], "7", -1, -1),
        ([Window(7, WindowKind.WALK_TEST, T0, T0 + timedelta(days=1), "年检", "wu")], "7", 31, 31),
    ],
)
def test_whatever_is_odd_is_smoke(windows: list[Window], named: str | None, seen: float, now: float) -> None:
    """No number, another's, another kind, told late, over, not begun, longer than half an hour."""
    assert counts_until(windows, named, at(seen), at(now)) is None


@given(
    st.integers(-90, 90),
    st.integers(1, 90),
    st.integers(-90, 90),
    st.integers(-90, 90),
    st.sampled_from("78"),
)
def test_no_test_outlasts_three_minutes_its_window_or_half_an_hour(
    begins: int, lasts: int, seen: int, now: int, named: str
) -> None:
    """Whatever the clocks say."""
    window = Window(7, WindowKind.WALK_TEST, at(begins), at(begins + lasts), "年检", "wu")
    until = counts_until([window], named, at(seen), at(now))
    if until is not None:
        assert named == "7"
        assert at(now) < until <= min(at(now) + REAL_AFTER, window.ends, window.begins + LASTS)
        assert until <= at(seen) + REAL_AFTER


def test_it_keeps_no_message_back() -> None:
    """A fault of a detector that is tried out is told as ever; and it lasts no longer than the rule."""
    policy = policy_for(Condition.FAULT)
    assert holds(policy, Condition.FAULT, [WALK], T0) is policy
    assert LONGEST[WindowKind.WALK_TEST] == LASTS
