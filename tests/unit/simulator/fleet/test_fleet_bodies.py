"""Payloads that are put together from parts say what the codec would say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.fleet.bodies import Bodies, Chunk, head, rows_of_a_message
from wire.codec import decode
from wire.messages import Clock, ReadingBatch
from wire.topics import Channel

STREAM, BOOT = "a" * 32, "b" * 32


@given(
    detectors=st.integers(1, 300),
    most=st.integers(1, 300),
    chunk=st.integers(0, 10_000),
    first=st.integers(1, 2**40),
    at_ms=st.integers(1_700_000_000_000, 2_000_000_000_000),
    offset_ms=st.none() | st.integers(-(2**40), 2**40),
)
def test_a_whole_message_is_the_codecs_message_of_the_same_rows(
    detectors, most, chunk, first, at_ms, offset_ms
):
    """The cheap way and the contract's own way agree in every row and every field."""
    bodies = Bodies(detectors, most, seed=7)
    ids = [f"fleet-00001-{i:03d}" for i in range(detectors)]
    clock, this = Clock(5, 6, offset_ms, synchronised=True), Chunk(chunk, chunk + 3, at_ms)
    cheap = decode(
        Channel.READINGS, bodies.whole(head(STREAM, BOOT), clock, first, 1, this, bodies.names(ids, chunk))
    )
    plain = decode(Channel.READINGS, bodies.part(STREAM, BOOT, clock, first, 1, this, ids, 0, bodies.rows))
    assert cheap == plain
    assert isinstance(cheap, ReadingBatch)
    assert cheap.t == list(range(at_ms, at_ms + bodies.rows))
    assert cheap.detector == [ids[(chunk * bodies.rows + i) % detectors] for i in range(bodies.rows)]


@given(detectors=st.integers(1, 300), most=st.integers(1, 300))
def test_a_message_holds_whole_laps_and_never_more_rows_than_allowed(detectors, most):
    """Then every message of a gateway names the same detectors, and the names are encoded once."""
    rows = rows_of_a_message(detectors, most)
    assert 1 <= rows <= most
    assert rows % detectors == 0 or detectors > most
    assert Bodies(detectors, most, 1).aligned == (rows % detectors == 0)


def test_values_are_what_a_quiet_home_shows_and_differ_between_seeds_only():
    """Nothing that the centre would take for absurd, and the same run again with the same seed."""
    ids = ["d"]
    one, same, other = (
        Bodies(1, 64, seed).part(STREAM, BOOT, Clock(5, 6), 1, 1, Chunk(0, 3, 0), ids, 0, 64)
        for seed in (1, 1, 2)
    )
    assert one == same != other
    batch = decode(Channel.READINGS, one)
    assert isinstance(batch, ReadingBatch)
    assert all(0 <= value < 1 for value in batch.smoke if value is not None)
    assert all(10 < value < 30 for value in batch.temperature if value is not None)
    assert all(2.5 < value < 3.5 for value in batch.battery if value is not None)
