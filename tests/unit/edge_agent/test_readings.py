"""The reading buffer: bounded, counted, honest about what gave way."""

from __future__ import annotations

import pytest

from edge_agent.clock import Clock as AgentClock
from edge_agent.lanes import ReadingLane, Stamps
from edge_agent.observation import Sample
from edge_agent.readings import ReadingBuffer, Readings
from edge_agent.spool import Spool
from wire.codec import decode, encode
from wire.delivery import take_readings
from wire.messages import Ack, Clock, Lane
from wire.topics import Channel

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


class Far:
    """The centre's end of the readings lane: rows by stream, gaps, cursors."""

    def __init__(self):
        self.rows: dict[str, list[int]] = {}
        self.cursors: dict[str, int] = {}
        self.gaps: list[tuple[str, tuple[int, int]]] = []

    def take(self, batch):
        taken = take_readings(self.cursors.get(batch.stream, 0), batch)
        if taken.gap is not None:
            self.gaps.append((batch.stream, taken.gap))
        self.rows.setdefault(batch.stream, []).extend(batch.t[taken.skip :])
        self.cursors[batch.stream] = taken.cursor
        return Ack(batch.stream, Lane.READINGS, taken.cursor, "e" * 32, 1, batch.clock.mono_ms)


class Gateway:
    """Readings on a real folder, with the lane that sends them; `minute` is its clock."""

    def __init__(self, folder, stream, *, first=1, room=10**9):
        self.minute = 0
        self.clock = AgentClock(
            wall_ms=lambda: self.minute * 60_000, mono_s=lambda: self.minute * 60.0, boot="b" * 32
        )
        self.room = room
        self.spool = Spool(folder)
        self.readings = Readings(
            ReadingBuffer(stream, "b" * 32, first=first),
            self.spool,
            lambda: self.room,
            self.clock.wall_ms,
        )
        self.lane = ReadingLane(self.readings, self.clock, Stamps(self.clock))

    async def live(self, minutes, detectors=10):
        for _ in range(minutes):
            self.minute += 1
            for number in range(detectors):
                self.readings.add(Sample(f"d-{number}", smoke=0.5), self.minute * 60_000 + number)
            await self.readings.tend()

    async def drain(self, far, answers=10**9):
        while answers and (parcel := await self.lane.next()) is not None:
            answers -= 1
            await self.lane.on_ack(far.take(decode(Channel.READINGS, parcel.payload)))


A, B, C = "a" * 32, "c" * 32, "d" * 32


async def test_while_the_centre_answers_nothing_reaches_the_disk(tmp_path):
    """A card wears out with every write; what is acknowledged need not be kept."""
    far, gateway = Far(), Gateway(tmp_path / "readings", A)
    for _ in range(60):
        await gateway.live(1)
        await gateway.drain(far)
    assert not (tmp_path / "readings").exists()
    assert len(far.rows[A]) == 600


async def test_an_outage_over_two_restarts_is_drained_oldest_first_and_exactly(tmp_path):
    """Three starts, three streams; the drain is cut off and resumed; each row once, in order, no gap."""
    first = Gateway(tmp_path, A)
    await first.live(100)
    await first.readings.spool_all()
    second = Gateway(tmp_path, B)
    await second.live(50)
    await second.readings.spool_all()
    far = Far()
    cut = Gateway(tmp_path, C)
    await cut.drain(far, answers=3)
    assert list(far.rows) == [A]
    third = Gateway(tmp_path, C)
    await third.live(30)
    await third.drain(far)
    assert list(far.rows) == [A, B, C]
    assert [len(far.rows[stream]) for stream in (A, B, C)] == [1000, 500, 300]
    for rows in far.rows.values():
        assert rows == sorted(set(rows))
    assert (far.gaps, third.readings.depth, list(tmp_path.glob("*.z"))) == ([], 0, [])


async def test_over_the_limit_the_oldest_go_and_the_centre_sees_the_gap(tmp_path):
    """Two segments' room: the rest is counted and is a gap at the start of the stream."""
    far, gateway = Far(), Gateway(tmp_path, A, room=8192)
    await gateway.live(100)
    assert gateway.spool.bytes <= 8192 + 4096
    await gateway.drain(far)
    assert far.gaps == [(A, (1, gateway.readings.dropped))]
    assert len(far.rows[A]) + gateway.readings.dropped == 1000


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
async def test_a_damaged_segment_is_a_gap_and_nothing_else(tmp_path, cut):
    """A card that lost a file's end: the other files are sent, the missing rows are on record as missing."""
    before = Gateway(tmp_path, A)
    await before.live(60)
    await before.readings.spool_all()
    files = sorted(tmp_path.glob("*.z"))
    assert len(files) > 3
    files[1].write_bytes(files[1].read_bytes()[:cut])
    far, after = Far(), Gateway(tmp_path, B)
    for _ in range(5):
        after.minute += 1
        await after.drain(far)
    ((stream, (low, high)),) = far.gaps
    assert stream == A
    assert len(far.rows[A]) == 600 - (high - low + 1)
    assert not files[1].exists()


async def test_rows_that_a_power_cut_took_are_a_gap_of_the_next_stream(tmp_path):
    """After an end without goodbye number 1 never comes."""
    far, gateway = Far(), Gateway(tmp_path, A, first=2)
    await gateway.live(1)
    await gateway.drain(far)
    assert far.gaps == [(A, (1, 1))]
    assert len(far.rows[A]) == 10


async def test_a_disk_that_refuses_leaves_readings_in_memory(tmp_path):
    """They are tried again, and nothing else suffers."""
    gateway = Gateway(tmp_path / "readings", A)
    (tmp_path / "readings").write_text("a file where the folder should be")
    await gateway.live(30)
    assert gateway.readings.depth == 300
    (tmp_path / "readings").unlink()
    await gateway.live(1)
    assert len(gateway.spool.segments) == 1
    far = Far()
    await gateway.drain(far)
    assert len(far.rows[A]) == 310


async def test_a_half_written_file_is_gone_at_the_next_start(tmp_path):
    """What a power cut left of a file that was being written."""
    (tmp_path / "7.part").write_bytes(b"half")
    assert Spool(tmp_path).segments == []
    assert list(tmp_path.iterdir()) == []
