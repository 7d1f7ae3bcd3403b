"""The outbox at its limits: repeats are folded, alarms never, and the centre learns of the gap."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent import outbox as module
from edge_agent.config import OutboxSettings
from edge_agent.folding import fold
from edge_agent.observation import Observation, Stamp
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from wire.delivery import take_events
from wire.messages import Clock, Condition, Event, EventBatch, EventKind

BOOT = "b" * 32
SMOKE = Observation(EventKind.ASSERT, Condition.SMOKE, "d-1")
TEST_OVER = Observation(EventKind.CLEAR, Condition.TEST, "d-1")


def stamp(mono_ms=1000):
    return Stamp(at_ms=1_800_000_000_000, mono_ms=mono_ms, boot=BOOT, synchronised=True)


def flap(number, detector="d-1"):
    kind = EventKind.ASSERT if number % 2 == 0 else EventKind.CLEAR
    return Observation(kind, Condition.FAULT, detector, text="x" * 200)


def all_of(box):
    events = []
    seq = box.oldest_seq
    while seq <= box.highest_seq:
        events += box.batch(seq, box.highest_seq, 1_000_000).events
        seq = events[-1].seq + 1
    return events


def test_a_flapping_detector_cannot_fill_the_disk(tmp_path):
    """Its repeats become one note with their number; smoke and the end of a test stay, every one."""
    box = Outbox.open(tmp_path / "outbox.db", "m-1", limits=OutboxSettings(400_000, 0))
    told = 0
    for number in range(300):
        box.append([flap(told + i) for i in range(20)], stamp(number * 10))
        told += 20
        box.append([SMOKE, TEST_OVER], stamp(number * 10 + 5))
    assert (tmp_path / "outbox.db").stat().st_size <= 400_000
    held = all_of(box)
    kinds = Counter((event.kind, event.condition) for event in held)
    assert kinds[EventKind.ASSERT, Condition.SMOKE] == kinds[EventKind.CLEAR, Condition.TEST] == 300
    notes = [e for e in held if e.kind is EventKind.NOTE]
    faults = kinds[EventKind.ASSERT, Condition.FAULT] + kinds[EventKind.CLEAR, Condition.FAULT]
    assert sum(round(note.value) for note in notes) + faults == told
    last = [e for e in held if e.condition is Condition.FAULT and e.kind is not EventKind.NOTE][-1]
    assert last.kind is EventKind.CLEAR, "what holds now is still told"
    assert [e.seq for e in held] == list(range(box.oldest_seq, box.highest_seq + 1))
    monos = [e.mono_ms for e in held]
    assert monos == sorted(monos), "the order is that of seeing"
    box.close()
    again = Outbox.open(tmp_path / "outbox.db", "m-1", limits=OutboxSettings(400_000, 0))
    assert all_of(again) == held
    again.close()


def test_what_was_folded_is_a_gap_to_the_centre(tmp_path):
    """The new stream begins above as many numbers as events went: the centre records them and asks anew."""
    box = Outbox.open(tmp_path / "outbox.db", "m-1", limits=OutboxSettings(100_000, 0))
    old = box.stream
    for number in range(30):
        box.append([flap(i) for i in range(20)], stamp(number))
    assert box.stream != old
    rows = box.batch(box.oldest_seq, box.highest_seq, 1_000_000)
    sent = EventBatch(
        stream=box.stream,
        first_seq=rows.events[0].seq,
        oldest_seq=rows.oldest_seq,
        boot=BOOT,
        sent_boot=BOOT,
        clock=Clock(1, 1),
        events=rows.events,
    )
    taken = take_events(0, {}, sent)
    assert taken.gap == (1, box.oldest_seq - 1)
    assert taken.cursor == box.highest_seq
    box.close()


def test_full_of_alarms_only_alarms_still_come(tmp_path):
    """Nothing of it can be folded: a fault is refused in words, a smoke is written."""
    box = Outbox.open(tmp_path / "outbox.db", "m-1", limits=OutboxSettings(100_000, 0))
    while box.used_bytes < 100_000 * (1 - module.ALARMS_OWN):
        box.append([SMOKE] * 20, stamp())
    with pytest.raises(StorageError, match="full of alarms"):
        box.append([flap(0)], stamp())
    held = box.highest_seq
    assert box.append([SMOKE], stamp()) == [held + 1]
    assert box.trouble is None
    box.forget(held)
    assert box.append([flap(0)], stamp()) == [held + 2]
    box.close()


_CONDITIONS = [Condition.FAULT, Condition.LOW_BATTERY, None]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(_CONDITIONS), st.sampled_from(["d-1", "d-2"]), st.booleans())))
def test_folding_keeps_count_ends_and_state(told):
    """First and last of each condition stay, every event is there or counted once, also folded twice."""
    rows = []
    for row, (condition, detector, on) in enumerate(told, 1):
        kind = (EventKind.ASSERT if on else EventKind.CLEAR) if condition else EventKind.CANARY
        rows.append((row, Event(row, kind, 0, row, condition=condition, detector=detector)))
    for _ in range(2):
        gone, notes = fold(rows)
        assert not set(gone) & set(notes)
        after = [(row, notes.get(row, event)) for row, event in rows if row not in set(gone)]
        count = sum(round(event.value) if event.kind is EventKind.NOTE else 1 for _, event in after)
        assert count == len(told)
        for key in {(c, d) for c, d, _ in told}:
            of_key = [e for _, e in rows if (e.condition, e.detector) == key]
            left = [e for _, e in after if (e.condition, e.detector) == key]
            assert (left[0], left[-1]) == (of_key[0], of_key[-1])
            assert len(left) <= 3
        rows = after
