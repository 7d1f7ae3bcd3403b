"""Sent until confirmed: three times more with the same bytes, and a fire before everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gb26875.exchange import FIRES_AT_ONCE, RETRANSMISSIONS, Exchange, Failed, Resend


def test_silence_brings_three_retransmissions_ten_seconds_apart_and_then_the_end() -> None:
    """The bytes are the same each time, and so is the serial in them."""
    exchange = Exchange()
    exchange.begin(7, b"seven", 100.0, urgent=True)
    assert exchange.next_due() == 110.0
    assert exchange.tick(109.9) == []
    for at in (110.0, 120.0, 130.0):
        assert exchange.tick(at) == [Resend(b"seven")]
    assert exchange.tick(140.0) == [Failed(7, denied=False)]
    assert exchange.next_due() is None
    assert not exchange.confirm(7)


def test_a_denial_brings_the_next_one_at_once() -> None:
    """It counts like silence."""
    exchange = Exchange()
    exchange.begin(1, b"one", 0.0, urgent=False)
    assert [exchange.deny(1, 1.0) for _ in range(4)] == [Resend(b"one")] * 3 + [Failed(1, denied=True)]
    assert exchange.deny(1, 1.0) is None


def test_a_confirmation_ends_it_once() -> None:
    """A second one, or a stranger's, means nothing."""
    exchange = Exchange()
    exchange.begin(1, b"one", 0.0, urgent=False)
    assert not exchange.confirm(2)
    assert exchange.confirm(1)
    assert not exchange.confirm(1)
    assert exchange.tick(1000.0) == []


def test_a_fire_does_not_wait_for_what_is_under_way_and_silences_it() -> None:
    """Only when the fire is over is the other packet sent again; then at once."""
    exchange = Exchange()
    exchange.begin(1, b"fault", 0.0, urgent=False)
    assert not exchange.has_room(urgent=False)
    exchange.begin(2, b"fire", 5.0, urgent=True)
    assert exchange.next_due() == 15.0
    assert exchange.tick(14.0) == []
    assert exchange.tick(15.0) == [Resend(b"fire")]
    assert exchange.confirm(2)
    assert exchange.tick(16.0) == [Resend(b"fault")]


def test_fires_go_a_few_at_once_and_nothing_else_goes_beside_them() -> None:
    """One that is not confirmed does not hold up the next."""
    exchange = Exchange()
    for serial in range(FIRES_AT_ONCE):
        exchange.begin(serial, b"fire", 0.0, urgent=True)
    assert not exchange.has_room(urgent=True)
    assert not exchange.has_room(urgent=False)
    with pytest.raises(ValueError, match="cannot be sent"):
        exchange.begin(99, b"fire", 0.0, urgent=True)
    exchange.confirm(0)
    with pytest.raises(ValueError, match="cannot be sent"):
        exchange.begin(1, b"the serial is in use", 0.0, urgent=True)


@given(
    st.lists(
        st.tuples(st.sampled_from("bcdt"), st.integers(0, 5), st.booleans(), st.floats(0, 30)), max_size=80
    )
)
def test_whatever_happens_nothing_is_written_more_than_four_times(
    happens: list[tuple[str, int, bool, float]],
) -> None:
    """And each exchange ends by a confirmation or by failing, not twice."""
    exchange, now = Exchange(), 0.0
    written: dict[int, int] = {}
    for what, serial, urgent, later in happens:
        now += later
        done: list[Resend | Failed] = []
        if what == "b" and serial not in written and exchange.has_room(urgent=urgent):
            exchange.begin(serial, bytes([serial]), now, urgent=urgent)
            written[serial] = 1
        elif what == "c":
            assert exchange.confirm(serial) == (serial in written)
            written.pop(serial, None)
        elif what == "d":
            answer = exchange.deny(serial, now)
            assert (answer is None) == (serial not in written)
            done = [] if answer is None else [answer]
        else:
            done = exchange.tick(now)
        for one in done:
            if isinstance(one, Resend):
                written[one.packet[0]] += 1
            else:
                del written[one.serial]
    assert all(count <= 1 + RETRANSMISSIONS for count in written.values())
