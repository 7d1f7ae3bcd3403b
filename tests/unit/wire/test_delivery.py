"""The delivery rules one by one."""

from __future__ import annotations

import time

from wire.codec import event_digest
from wire.delivery import Outcome, Range, Sender, take_events, take_readings
from wire.messages import Ack, Ask, Clock, Event, EventBatch, EventKind, Lane, ReadingBatch

S, T, E, F = "a" * 32, "b" * 32, "c" * 32, "d" * 32


def event(seq, at_ms=1):
    return Event(seq, EventKind.CANARY, at_ms, 1)


def batch(first, last, oldest=1, at_ms=1):
    return EventBatch(S, first, oldest, E, E, Clock(1, 1), [event(n, at_ms) for n in range(first, last + 1)])


def readings(first, last, oldest=1):
    rows = last - first + 1
    return ReadingBatch(S, first, oldest, E, Clock(1, 1), [1] * rows, ["d"] * rows)


def stored(*seqs):
    return {seq: event_digest(event(seq)) for seq in seqs}


def ack(through, echo, epoch=E, stream=S, lane=Lane.EVENTS, ask=()):
    return Ack(stream, lane, through, epoch, 0, echo, list(ask))


def sender(highest=0, acked=0, window=3, lane=Lane.EVENTS, epoch=None):
    return Sender(S, lane, highest=highest, acked=acked, window=window, epoch=epoch)


def send(box, now=0.0, rows=None):
    """Send everything that may go, `rows` a batch; returns what went, stamped 1, 2, 3..."""
    went = []
    while offered := box.next_range(now):
        last = offered.last if rows is None else min(offered.last, offered.first + rows - 1)
        send.stamp += 1
        box.sent(Range(offered.first, last, offered.urgent), now, send.stamp)
        went.append((offered.first, last, send.stamp))
    return went


send.stamp = 0


# The centre's end


def test_a_batch_in_order_moves_the_cursor():
    """The common day."""
    taken = take_events(0, {}, batch(1, 3))
    assert ([e.seq for e in taken.new], taken.cursor, taken.gap, taken.conflicts, taken.asks) == (
        [1, 2, 3], 3, None, (), (),
    )  # fmt: skip


def test_a_repeat_is_answered_and_stores_nothing():
    """Equal content under an equal name is the same event."""
    taken = take_events(3, stored(1, 2, 3), batch(1, 3))
    assert (taken.new, taken.cursor, taken.asks) == ((), 3, ())


def test_an_overlapping_batch_is_cut():
    """Only what is new is new."""
    taken = take_events(3, stored(2, 3), batch(2, 5))
    assert ([e.seq for e in taken.new], taken.cursor) == ([4, 5], 5)


def test_a_batch_ahead_is_stored_and_the_cursor_waits_for_the_rest():
    """A fire is judged at once; later the cursor jumps over it."""
    taken = take_events(2, {}, batch(9, 9))
    assert ([e.seq for e in taken.new], taken.cursor, taken.gap) == ([9], 2, None)
    assert take_events(2, stored(9), batch(3, 8)).cursor == 9


def test_what_the_edge_no_longer_holds_is_a_gap_and_a_snapshot_is_wanted():
    """Between the cursor and the oldest row nothing can come any more."""
    taken = take_events(2, {}, batch(10, 11, oldest=10))
    assert (taken.gap, taken.cursor, taken.asks) == ((3, 9), 11, (Ask.SNAPSHOT,))
    partly = take_events(2, stored(3, 6, 9), batch(10, 11, oldest=10))
    assert (partly.gap, partly.cursor) == ((4, 8), 11)
    whole = take_events(2, stored(3, 4), batch(5, 5, oldest=5))
    assert (whole.gap, whole.cursor, whole.asks) == (None, 5, ())


def test_an_enormous_gap_costs_nothing():
    """A number from a mad gateway is not counted up to."""
    began = time.perf_counter()
    assert take_events(0, {}, batch(2**52, 2**52, oldest=2**52)).gap == (1, 2**52 - 1)
    assert time.perf_counter() - began < 0.1


def test_a_repeat_with_other_content_is_a_conflict_and_a_new_stream_is_wanted():
    """Never a duplicate: a clone or a file set back."""
    taken = take_events(3, stored(1, 2, 3), batch(2, 4, at_ms=99))
    assert ([e.seq for e in taken.conflicts], [e.seq for e in taken.new]) == ([2, 3], [4])
    assert taken.asks == (Ask.NEW_STREAM,)


def test_a_row_given_up_for_lost_is_welcome_when_it_comes_after_all():
    """Below the cursor and not stored is new."""
    assert [e.seq for e in take_events(9, {}, batch(4, 5)).new] == [4, 5]


def test_readings_are_cut_answered_ahead_and_gapped():
    """The same rules, by the cursor alone; ahead is not stored."""
    assert take_readings(0, readings(1, 4)) == take_readings(0, readings(1, 4, 1))
    assert (take_readings(2, readings(1, 4)).skip, take_readings(2, readings(1, 4)).cursor) == (2, 4)
    assert (take_readings(9, readings(1, 4)).skip, take_readings(9, readings(1, 4)).cursor) == (4, 9)
    ahead = take_readings(2, readings(5, 6))
    assert (ahead.ahead, ahead.skip, ahead.cursor, ahead.gap) == (True, 2, 2, None)
    gap = take_readings(2, readings(5, 6, oldest=5))
    assert (gap.ahead, gap.skip, gap.cursor, gap.gap) == (False, 0, 6, (3, 4))
    both = take_readings(2, readings(8, 9, oldest=5))
    assert (both.ahead, both.cursor, both.gap) == (True, 4, (3, 4))


# The edge's end


def test_rows_are_forgotten_only_by_an_answer_to_their_own_batch():
    """A cursor that counts a twin's rows, an answer of unknown origin, another stream: nothing."""
    box = sender(highest=10)
    (_, _, first), (_, _, second) = send(box, rows=5)
    for nothing in (
        ack(10, None),
        ack(10, 999),
        ack(10, first, stream=T),
        ack(10, first, lane=Lane.READINGS),
    ):
        assert box.on_ack(nothing, 0.1).forget_through is None
    assert box.on_ack(ack(10, first), 0.1) == Outcome(forget_through=5, answered=True, stored=Range(1, 5))
    assert box.on_ack(ack(10, first), 0.1).forget_through is None
    assert box.on_ack(ack(10, second), 0.1).forget_through == 10
    assert (box.acked, box.depth, box.next_range(99.0)) == (10, 0, None)


def test_the_window_holds_and_an_answer_opens_it():
    """Three batches under way, no fourth; after an answer one more."""
    box = sender(highest=100)
    went = send(box, rows=5)
    assert [rows[:2] for rows in went] == [(1, 5), (6, 10), (11, 15)]
    box.on_ack(ack(5, went[0][2]), 0.1)
    assert [rows[:2] for rows in send(box, rows=5)] == [(16, 20)]


def test_a_lost_batch_goes_again_at_once_and_only_once_a_round_trip():
    """The answer to a later batch proves the loss; further answers of the same trip change nothing."""
    box = sender(highest=15)
    (_, _, _), (_, _, second), (_, _, third) = send(box, rows=5)
    box.on_ack(ack(0, second), 0.1)
    assert [rows[:2] for rows in send(box, now=0.1, rows=5)] == [(1, 5)]
    box.on_ack(ack(0, third), 0.2)
    again = send(box, now=0.2, rows=5)
    assert again == []
    assert box.on_ack(ack(15, send.stamp), 0.3).forget_through == 15


def test_silence_makes_it_ask_again_with_little_and_more_and_more_patiently():
    """Mobile data is not burnt on a centre that is down; the first answer opens everything again."""
    box = sender(highest=5000)
    send(box)
    assert box.next_range(2.9) is None
    (probe,) = send(box, now=3.0)
    assert probe[:2] == (1, 20)
    assert box.next_range(8.9) is None
    (probe,) = send(box, now=9.0)
    assert (box.retry_s, box.on_ack(ack(20, probe[2]), 9.1).forget_through) == (12.0, 20)
    assert len(send(box, now=9.1)) == 3
    assert box.retry_s == 3.0


def test_a_fresh_fire_goes_before_everything_even_with_a_full_window_and_a_silent_centre():
    """Never behind a backlog, never behind a retry."""
    box = sender(highest=100_000)
    send(box)
    box.recorded(100_001, urgent=True)
    assert box.next_range(0.0) == (100_001, 100_001, True)
    send(box)
    send(box, now=50.0)
    box.recorded(100_002)
    box.recorded(100_003, urgent=True)
    assert box.next_range(50.0) == (100_003, 100_003, True)


def test_an_unanswered_fire_goes_again_every_five_seconds_however_long_the_silence():
    """The rest may be patient; what went with it under way does not hold it up."""
    box = sender(highest=5000)
    for now in (0.0, 3.0, 9.0, 21.0):
        send(box, now)
    box.recorded(5001, urgent=True)
    assert [rows[:2] for rows in send(box, 22.0)] == [(5001, 5001)]
    assert box.next_range(26.9) is None
    assert [rows[:2] for rows in send(box, 27.0)] == [(5001, 5001)]
    assert [rows[:2] for rows in send(box, 32.0)] == [(5001, 5001)]


def test_the_answer_to_a_fire_says_nothing_of_the_backlog_sent_before_it():
    """The centre takes a fire first: its answer overtakes others, and nothing is sent twice for that."""
    box = sender(highest=100)
    backlog = send(box, rows=10)
    box.recorded(101, urgent=True)
    (fire,) = send(box)
    box.on_ack(ack(0, fire[2]), 0.1)
    assert send(box) == []
    for first, last, stamp in backlog:
        assert box.on_ack(ack(last, stamp), 0.2).forget_through == last, first


def test_a_fire_in_quiet_times_is_not_sent_twice():
    """What went as urgent does not go again as backlog."""
    box = sender()
    box.recorded(1, urgent=True)
    box.recorded(2)
    assert [rows[:2] for rows in send(box)] == [(1, 1), (2, 2)]


def test_old_fires_of_an_outage_go_newest_first():
    """Told after a restart from the file."""
    box = sender(highest=50)
    for seq in (3, 20, 21, 40):
        box.recorded(seq, urgent=True)
    assert [rows[:2] for rows in send(box)] == [(40, 40), (20, 21), (3, 3)]


def test_an_answer_beyond_all_ever_written_means_the_file_went_back():
    """New stream; what this very answer confirms may still be forgotten."""
    box = sender(highest=10, epoch=E)
    ((_, _, stamp),) = send(box)
    assert box.on_ack(ack(500, stamp), 0.1) == Outcome(
        forget_through=10, new_stream=True, answered=True, stored=Range(1, 10)
    )
    assert sender(highest=10).on_ack(ack(500, None), 0.1).new_stream


def test_a_conflict_forgets_nothing_and_asks_for_a_new_stream():
    """The centre quarantined rows of this batch under a name that is another's."""
    box = sender(highest=10)
    ((_, _, stamp),) = send(box)
    assert box.on_ack(ack(10, stamp, ask=[Ask.NEW_STREAM]), 0.1) == Outcome(new_stream=True, answered=True)
    assert box.acked == 0


def test_another_epoch_wants_a_snapshot_and_everything_unforgotten_again():
    """The database was restored: what it had answered and we still hold does not count."""
    box = sender(highest=10)
    box.recorded(11, urgent=True)
    went = send(box, rows=5)
    assert not box.on_ack(ack(0, went[0][2], epoch=E), 0.1).epoch_changed
    assert box.on_epoch(F)
    assert not box.on_epoch(F)
    assert [rows[:2] for rows in send(box, rows=11)] == [(1, 11)]
    assert box.on_ack(ack(11, went[1][2], epoch=F), 0.2) == Outcome()
    changed = box.on_ack(ack(11, send.stamp, epoch=E), 0.2)
    assert (changed.epoch_changed, changed.snapshot, changed.forget_through) == (True, True, 11)


def test_an_unreadable_envelope_is_sent_again_one_by_one():
    """Whatever stream the answer names: the centre could not read it."""
    assert sender(highest=3).on_ack(ack(0, None, stream=T, ask=[Ask.ONE_BY_ONE]), 0.1).one_by_one


def test_reconnecting_sends_at_once_what_was_under_way_and_a_late_answer_still_counts():
    """The line may have swallowed it, or not."""
    box = sender(highest=5)
    ((_, _, stamp),) = send(box)
    box.reconnected()
    assert box.next_range(0.1) == (1, 5, False)
    assert box.on_ack(ack(5, stamp), 0.2).forget_through == 5
    assert box.next_range(0.3) is None


def test_readings_that_came_ahead_go_again_in_order():
    """The centre did not store them."""
    box = sender(highest=15, lane=Lane.READINGS)
    (_, _, _), (_, _, second), (_, _, third) = send(box, rows=5)
    box.on_ack(ack(0, second, lane=Lane.READINGS), 0.1)
    box.on_ack(ack(0, third, lane=Lane.READINGS), 0.1)
    assert [rows[:2] for rows in send(box, now=0.1, rows=5)] == [(1, 5), (6, 10), (11, 15)]
    assert box.on_ack(ack(15, send.stamp, lane=Lane.READINGS), 0.2).forget_through == 15


def test_evicted_readings_are_not_sent():
    """The buffer overflowed under our hands."""
    box = sender(highest=10, lane=Lane.READINGS)
    send(box, rows=5)
    box.evicted(12)
    box.recorded(20)
    box.reconnected()
    assert box.next_range(0.1) == (13, 20, False)


def test_a_backlog_of_a_million_costs_no_more_than_a_small_one():
    """Steps of the sender do not look at the backlog."""
    box = sender(highest=1_000_000, window=8)
    began = time.perf_counter()
    now = 0.0
    while box.depth:
        for first, last, stamp in send(box, now):
            box.on_ack(ack(last, stamp), now)
            assert first <= last
        now += 0.01
    assert time.perf_counter() - began < 1.0
