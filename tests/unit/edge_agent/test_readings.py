"""The reading buffer: bounded, counted, honest about what gave way."""

from __future__ import annotations

from edge_agent.observation import Sample
from edge_agent.readings import ReadingBuffer
from wire.codec import encode
from wire.messages import Clock

CLOCK = Clock(1, 1)


def filled(count, capacity=100):
    buffer = ReadingBuffer("a" * 32, "b" * 32, capacity)
    for number in range(count):
        buffer.add(Sample("d-1", smoke=None if number % 2 else 0.1 * number), number)
    return buffer


def test_rows_come_as_columns_with_their_numbers():
    """An empty column stands for one without values."""
    batch = filled(5).batch(2, 9, CLOCK, 16_000)
    assert (batch.first_seq, batch.oldest_seq, batch.t) == (2, 1, [1, 2, 3, 4])
    assert (batch.smoke, batch.temperature) == ([None, 0.2, None, 0.4], [])


def test_the_oldest_gives_way_and_is_counted():
    """`oldest_seq` moves on, so that the centre records a gap."""
    buffer = filled(130)
    assert (buffer.depth, buffer.dropped, buffer.oldest_seq, buffer.highest_seq) == (100, 30, 31, 130)
    assert buffer.batch(30, 40, CLOCK, 16_000) is None
    assert buffer.batch(31, 31, CLOCK, 16_000).oldest_seq == 31


def test_forgotten_rows_are_gone_and_numbers_go_on():
    """Also after everything is forgotten, and for a wild acknowledgement."""
    buffer = filled(10)
    buffer.forget(4)
    assert (buffer.oldest_seq, buffer.depth) == (5, 6)
    buffer.forget(99)
    assert (buffer.depth, buffer.highest_seq, buffer.add(Sample("d-1"), 1)) == (0, 10, 11)


def test_a_batch_keeps_its_bytes():
    """The longest rows fit the promise."""
    buffer = ReadingBuffer("a" * 32, "b" * 32, 1000)
    for _ in range(1000):
        buffer.add(Sample("d" * 32, 12.345678, -23.456789, 3.4567891, 99.123456, 65535), 1_795_000_000_000)
    batch = buffer.batch(1, 1000, CLOCK, 16_000)
    assert 100 < len(batch.t) < 200
    assert len(encode(batch)) <= 16_000
