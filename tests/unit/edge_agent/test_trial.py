"""Which version runs after an update."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.trial import MOST_STARTS, TRIAL_S, Choice, Memory, Wanted, choose, newest

OLD, NEW = "0.1.0", "0.2.0"
BOTH = {OLD, NEW}
UPDATE = Wanted(NEW, OLD, "a1")


def _choose(memory: Memory, proven: str | None = None) -> Choice:
    choice = choose(UPDATE, memory, proven, BOTH)
    assert choice is not None
    return choice


def test_what_was_just_asked_for_is_started_on_trial() -> None:
    """The start itself is counted before it is made."""
    assert _choose(Memory("an older one", 9, 9.0, "long ago")) == Choice(NEW, Memory("a1", 1), on_trial=True)


def test_a_version_that_crashes_is_left_after_three_starts() -> None:
    """It never runs far enough to decide anything itself; the reason is told once, in both languages."""
    memory, started = Memory(), []
    notes = []
    for _ in range(MOST_STARTS + 3):
        choice = _choose(memory)
        started.append(choice.version)
        notes.append(choice.note)
        memory = choice.memory
    assert started == [NEW] * MOST_STARTS + [OLD] * 3
    (told,) = [note for note in notes if note]
    assert "退回 0.1.0" in told
    assert "went back to 0.1.0: started 3 times" in told


def test_a_version_that_nobody_acknowledges_is_left_after_ten_minutes_of_running() -> None:
    """Counted over restarts; what it ran before is not forgotten."""
    memory = _choose(Memory()).memory.after(TRIAL_S - 1)
    again = _choose(memory)
    assert (again.version, again.memory.left_s) == (NEW, 1)
    late = _choose(again.memory.after(1))
    assert late.version == OLD
    assert late.note is not None
    assert "10 min" in late.note


def test_an_acknowledged_version_stays_whatever_happens_later() -> None:
    """Crashes of a proven version are no reason to go back by itself."""
    assert _choose(Memory("a1", 99, 9999.0), proven="a1") == Choice(NEW, Memory("a1", 99, 9999.0))


def test_the_proof_of_another_attempt_proves_nothing() -> None:
    """The same version may have been proven, replaced and brought again."""
    assert _choose(Memory(), proven="a0").on_trial


def test_without_a_way_back_there_is_no_trial() -> None:
    """First installation, or the old version's folder is gone: something must watch."""
    for wanted, there in ((Wanted(NEW), BOTH), (UPDATE, {NEW})):
        assert choose(wanted, Memory(), None, there) == Choice(NEW, Memory())


def test_a_lost_version_or_a_lost_order_still_starts_something() -> None:
    """A card that lost a file must not leave the homes unwatched."""
    for wanted, there, runs in (
        (UPDATE, {OLD}, OLD),
        (None, BOTH, NEW),
        (Wanted("9.9", "8.8", "x"), BOTH, NEW),
        (None, {"0.9.1", "0.10.0"}, "0.10.0"),
    ):
        choice = choose(wanted, Memory(), None, there)
        assert choice is not None
        assert choice.version == runs
    assert choose(UPDATE, Memory(), None, set()) is None


def test_versions_are_ordered_by_their_numbers() -> None:
    """0.10 follows 0.9."""
    assert newest(["0.9.0", "0.10.0", "0.2.11"]) == "0.10.0"
    assert newest([]) is None


@settings(max_examples=200)
@given(st.lists(st.floats(0, 400), max_size=12), st.integers(0, 12))
def test_no_story_keeps_an_unproven_version_for_long(runs: list[float], proven_at: int) -> None:
    """Whatever it runs between crashes: unproven it ends for good, proven it stays for good."""
    memory, proven, seen = Memory(), None, []
    for turn, ran_s in enumerate(runs):
        choice = _choose(memory, proven)
        seen.append(choice.version)
        # The watcher ends it when its time is over.
        memory = choice.memory.after(min(ran_s, choice.memory.left_s)) if choice.on_trial else choice.memory
        if turn == proven_at and choice.on_trial:
            proven = "a1"
    assert memory.starts <= MOST_STARTS
    assert memory.spent_s <= TRIAL_S
    assert seen == sorted(seen, reverse=True)  # never again from the old one to the new one
    if proven is not None:
        assert set(seen) == {NEW}
