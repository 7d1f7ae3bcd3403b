"""Which way to the broker is next, how fast a backlog goes, which heartbeats are brief."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edge_agent.beat import WHOLE_EVERY_S, Beat
from edge_agent.pace import Pace
from edge_agent.ways import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    LONGEST_UNHEARD_S,
    PREFER_AGAIN_S,
    UNHEARD_S,
    Ways,
    burning_pause,
)
from wire.messages import BusStatus, Clock, Status


def _fail(ways: Ways, now: float) -> float:
    ways.began(now)
    return ways.ended(now, 0.0, worked=False, jitter=1.0)


def test_every_way_is_tried_in_turn_and_only_a_whole_round_makes_it_patient() -> None:
    """Another untried way is never waited long for."""
    ways = Ways(3)
    pauses, order = [], []
    for number in range(9):
        order.append(ways.current)
        pauses.append(_fail(ways, float(number)))
    assert order == [0, 1, 2] * 3
    assert pauses == [0.5, 0.5, 0.5, 0.5, 0.5, 1.0, 0.5, 0.5, 2.0]


def test_the_pause_grows_to_its_longest_and_a_good_connection_makes_it_short_again() -> None:
    """Jitter takes up to half away, so that a street does not call in step."""
    ways = Ways(1)
    for _ in range(10):
        pause = _fail(ways, 0.0)
    assert pause == LONGEST_PAUSE_S
    assert ways.ended(100.0, 60.0, worked=True, jitter=0.0) == FIRST_PAUSE_S / 2


@given(st.floats(0, 30), st.none() | st.floats(0, 10_000))
def test_only_a_fresh_fire_makes_a_pause_short(pause_s: float, fire_age_s: float | None) -> None:
    """Never longer than it was; after ten minutes the SIM card counts again."""
    pause = burning_pause(pause_s, fire_age_s)
    assert pause == (min(pause_s, 3.0) if fire_age_s is not None and fire_age_s < 600 else pause_s)


def test_a_way_that_worked_is_called_again_first_and_the_preferred_one_after_an_hour() -> None:
    """A line that drops every few minutes does not pay for the dead way each time."""
    ways = Ways(2)
    _fail(ways, 0.0)
    ways.began(1.0)
    ways.ended(600.0, 599.0, worked=True, jitter=0.0)
    assert ways.current == 1
    ways.began(601.0)
    ways.ended(PREFER_AGAIN_S, 1000.0, worked=True, jitter=0.0)
    assert ways.current == 0


def test_patience_with_an_unheard_centre_doubles_until_it_is_heard() -> None:
    """A centre that is down must not cost a connection a minute; with one way there is no choice."""
    ways = Ways(2)
    assert ways.patience_s == UNHEARD_S
    for _ in range(6):
        ways.unheard()
    assert ways.patience_s == LONGEST_UNHEARD_S
    ways.heard()
    assert ways.patience_s == UNHEARD_S
    alone = Ways(1)
    alone.unheard()
    assert alone.patience_s is None


@given(st.lists(st.integers(1, 32_000), min_size=20, max_size=200))
def test_a_backlog_goes_at_its_rate_and_never_stops(sizes: list[int]) -> None:
    """On average no faster than allowed, whatever the messages' sizes."""
    pace, now = Pace(10_000.0), 0.0
    for size in sizes:
        now += (wait := pace.wait_s(now)) + 1e-6
        assert wait <= max(sizes) / 10_000.0
        pace.spent(size)
    assert sum(sizes[:-1]) <= 10_000.0 * (now + 1.0) + max(sizes)


def _whole(now: float, **changes: object) -> Status:
    lines = [BusStatus("line-1", up=True, lap_age_s=now % 2, last_lap_s=1.7, answering=32)]
    said = Status(
        online=True,
        boot="b" * 32,
        uptime_s=now,
        clock=Clock(int(now * 1000), int(now * 1000), offset_ms=int(now) % 300, synchronised=True),
        buses=lines,
        config_hash="c" * 64,
    )
    return replace(said, **changes)


def test_a_heartbeat_with_nothing_new_is_brief_and_anything_to_judge_is_told_at_once() -> None:
    """Counters and times alone are not worth 500 bytes every 30 s; a fault is."""
    beat = Beat()
    assert not beat.of(_whole(0.0), 0.0).brief
    brief = beat.of(_whole(30.0, outbox_depth=3, oldest_unacked_event_s=31.0), 30.0)
    assert (brief.brief, brief.outbox_depth, brief.oldest_unacked_event_s) == (True, 3, 31.0)
    assert brief.config_hash is None
    for changes in (
        {"config_error": "version 4: no"},
        {"storage_error": "full"},
        {"config_hash": "d" * 64},
        {"buses": [BusStatus("line-1", up=False)]},
        {"clock": Clock(0, 0, offset_ms=3_600_000, synchronised=True)},
    ):
        assert beat.of(_whole(60.0, **changes), 60.0) == _whole(60.0, **changes)
        assert not beat.of(_whole(60.0), 60.0).brief
        assert beat.of(_whole(60.0), 60.0).brief
    assert beat.of(_whole(59.0 + WHOLE_EVERY_S), 59.0 + WHOLE_EVERY_S).brief
    assert not beat.of(_whole(60.0 + WHOLE_EVERY_S), 60.0 + WHOLE_EVERY_S).brief


def test_a_late_lap_is_told_with_every_heartbeat_and_so_is_its_end() -> None:
    """The centre judges the age of the lap itself."""
    beat = Beat()
    beat.of(_whole(0.0), 0.0)
    for age in (40.0, 70.0, 100.0):
        late = _whole(age, buses=[BusStatus("line-1", up=True, lap_age_s=age, last_lap_s=1.7, answering=32)])
        assert not beat.of(late, age).brief
    assert not beat.of(_whole(130.0), 130.0).brief
    assert beat.of(_whole(160.0), 160.0).brief


def test_whoever_begins_to_listen_is_told_all() -> None:
    """A new connection, a centre that was away, another database."""
    beat = Beat()
    beat.of(_whole(0.0), 0.0)
    beat.whole()
    assert not beat.of(_whole(1.0), 1.0).brief
