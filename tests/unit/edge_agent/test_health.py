"""Loops that turn and loops that hang, with moved time; the page of figures."""

from __future__ import annotations

import asyncio

from edge_agent.health import LoopAge, stuck, unready
from edge_agent.health_metrics import BusFigures, Figures, page
from edge_agent.turning import Turning
from wire.messages import BusStatus, Status


class Time:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_beyond_its_limit_is_stuck_and_the_others_are_not() -> None:
    """Each loop has its own pace: a connection may take minutes, a lap may not."""
    loops = [LoopAge("bus a", 44.9, 45.0), LoopAge("uplink", 100.0, 180.0), LoopAge("recorder", 45.0, 45.0)]
    assert stuck(loops) == ("recorder",)


def test_a_loop_that_has_not_begun_is_not_stuck() -> None:
    """The first seconds of a start must not end it."""
    assert Turning(Time()).age_s() == 0.0


def test_days_without_work_or_success_age_nothing_while_the_loop_turns() -> None:
    """No uplink for a week: every failed try is a turn."""
    time = Time()
    turning = Turning(time)
    for _ in range(7 * 24 * 60):
        time.now += 60
        turning.turned()
    assert turning.age_s() == 0.0
    time.now += 181
    assert stuck([LoopAge("uplink", turning.age_s(), 180.0)]) == ("uplink",)


async def test_waiting_for_work_that_does_not_come_turns() -> None:
    """An idle recorder is no hung recorder; the event ends the wait at once, the timeout without it."""
    turning = Turning()
    event = asyncio.Event()
    assert not await turning.wait(event, 0.01)
    assert turning.age_s() < 1
    event.set()
    assert await turning.wait(event)


def test_the_agent_is_ready_without_an_uplink_but_not_without_a_disk_or_a_bus() -> None:
    """It watches and records; what is sent can be sent later."""
    assert unready(started=True, stuck_loops=(), storage_error=None, unwatched=[]) == ()
    why = unready(started=False, stuck_loops=["uplink"], storage_error="disk full", unwatched=["b"])
    assert [text.split()[0] for text in why] == ["not", "loop", "the", "bus"]


def _figures() -> Figures:
    status = Status(
        online=True, boot="0" * 32, version='1.0 "x"\n', buses=[BusStatus(bus="bus-1", up=True, answering=3)]
    )
    return Figures(
        status=status,
        buses={"bus-1": BusFigures(laps=7, reads=21, errors={"timeout": 2})},
        connected=False,
        alive_age_s=None,
        acks=0,
        given_up=0,
        waiting=0,
        watchdog_feeds=4,
    )


def test_figures_are_in_the_text_format_and_unknown_is_left_out() -> None:
    """A centre never heard of is no age of 0; labels are escaped; every line has its help and type."""
    lines = page(_figures()).splitlines()
    assert 'smokewatch_edge_bus_read_errors_total{bus="bus-1",kind="timeout"} 2' in lines
    assert 'smokewatch_edge_info{version="1.0 \\"x\\"\\n"} 1' in lines
    assert not [line for line in lines if line.startswith("smokewatch_edge_centre_alive_age_seconds")]
    for line in lines:
        if not line.startswith("#"):
            name = line.partition(" ")[0].partition("{")[0]
            assert any(text.startswith(f"# TYPE {name} ") for text in lines)


def test_the_page_can_be_read_by_the_official_parser() -> None:
    """Our own text, the library's reader."""
    from prometheus_client.parser import text_string_to_metric_families

    families = {one.name: one for one in text_string_to_metric_families(page(_figures()))}
    assert families["smokewatch_edge_bus_laps"].samples[0].value == 7
    assert families["smokewatch_edge_bus_up"].samples[0].labels == {"bus": "bus-1"}
