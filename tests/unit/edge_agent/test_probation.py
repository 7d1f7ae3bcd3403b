"""Whether a pushed configuration may stay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.probation import (
    PROBATION_S,
    Probation,
    Refused,
    Standing,
    Trial,
    Verdict,
    decode_standing,
    encode_standing,
    trial_of,
)
from wire.codec import seal_config

GOOD = seal_config("e" * 32, 3, [])
WRONG = seal_config("e" * 32, 4, [], 60.0)


def test_it_is_kept_once_every_bus_has_answered_under_it() -> None:
    """Each at its own time; an answer from before the push counts for nothing."""
    probation = Probation(Trial(("a", "b"), GOOD), since=100.0)
    assert probation.look({"a": 99.0, "b": 100.0}, 101.0) is Verdict.WAIT
    assert probation.look({"a": 102.0, "b": None}, 103.0) is Verdict.WAIT
    assert probation.trial.buses == ("b",)
    assert probation.look({"b": 219.0}, 219.5) is Verdict.KEEP


def test_it_is_given_up_after_two_minutes_and_not_before() -> None:
    """One bus that stays silent is enough."""
    probation = Probation(Trial(("a", "b"), GOOD), since=100.0)
    assert probation.look({"a": 101.0}, 100.0 + PROBATION_S - 0.1) is Verdict.WAIT
    assert probation.look({"a": 101.0}, 100.0 + PROBATION_S) is Verdict.REVERT


def test_a_second_push_within_the_two_minutes_still_goes_back_to_the_last_proved_one() -> None:
    """What the first one silenced is not forgotten by the second."""
    first = trial_of(None, GOOD, ["a", "b"], ["a", "b"])
    assert first == Trial(("a", "b"), GOOD)
    assert trial_of(first, WRONG, ["b"], ["a", "b", "c"]) == Trial(("a", "b"), GOOD)


def test_there_is_nothing_to_prove_for_a_silent_line_or_one_that_is_taken_away() -> None:
    """Only a bus that answered before and is watched after."""
    assert trial_of(None, GOOD, ["a"], ["b"]) is None
    assert trial_of(None, None, [], ["a"]) is None
    assert trial_of(None, None, ["a"], ["a"]) == Trial(("a",), None)


def test_what_stands_outlives_a_restart() -> None:
    """To bytes and back; only the very same push stays refused."""
    refused = Refused(WRONG.epoch, WRONG.version, WRONG.hash, "版本 4: why")
    standing = Standing(Trial(("a",), GOOD), refused)
    assert decode_standing(encode_standing(standing)) == standing
    assert refused.is_(WRONG)
    assert not refused.is_(seal_config("e" * 32, 5, [], 60.0))
    assert not refused.is_(seal_config("f" * 32, 4, [], 60.0))


@given(st.binary(max_size=80))
def test_a_damaged_standing_is_none(kept: bytes) -> None:
    """Whatever the disk holds, the agent starts."""
    assert decode_standing(kept) == Standing()
    whole = encode_standing(Standing(Trial(("a",), GOOD)))
    for size in range(len(whole)):
        assert decode_standing(whole[:size]) == Standing()
