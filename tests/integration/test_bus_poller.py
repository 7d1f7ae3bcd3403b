"""The poller on a real pseudo-terminal: what it records, and what a silent detector costs the others."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from device_profiles.load import load_profiles
from device_profiles.schema import Action
from edge_agent.observation import Observation, Sample
from edge_agent.plan import ReadRequest
from edge_agent.poller import Poller
from edge_agent.tracker import DetectorState, TrackPolicy
from tests.harness.slave import Pieces, PtySlave, framed, registers
from tests.harness.wait import eventually
from wire.messages import BusConfig, Condition, DetectorConfig, EventKind, Transport

PROFILES = load_profiles()
SMOKE = 1
TIMEOUT_S = 0.3
"""The reference detector's response timeout."""


class Site:
    """A bus of reference detectors, the poller that watches it, and all it told."""

    def __init__(self, units: Sequence[int], states: Mapping[str, DetectorState] | None = None) -> None:
        self.state = dict.fromkeys(units, 0)
        self.dead: set[int] = set()
        self.asked: list[tuple[float, int]] = []
        self.told: list[Observation] = []
        self.kept: dict[str, bytes] = {}
        self.samples: list[Sample] = []
        self.slave = PtySlave(self._answer)
        self.poller = Poller(
            self.config(units),
            PROFILES,
            self._record,
            self.samples.append,
            time.monotonic,
            policy=TrackPolicy(lost_s=0.5, urgent_clear_s=0.1, port_s=0.5, bus_silent_s=1.0),
            states=states,
        )
        self.task = asyncio.create_task(self.poller.run())

    def config(self, units: Sequence[int], allow_writes: bool = True) -> BusConfig:
        detectors = [
            DetectorConfig(
                detector=f"det-{unit}", unit=unit, profile="smokewatch-reference", allow_writes=allow_writes
            )
            for unit in units
        ]
        return BusConfig(
            bus="bus-1", transport=Transport.SERIAL, address=self.slave.path, baud=19200, detectors=detectors
        )

    def _answer(self, request: bytes) -> Pieces:
        unit = request[0]
        self.asked.append((time.monotonic(), unit))
        if unit in self.dead or unit not in self.state:
            return []
        if request[1] == 6:
            return [(0, request)]
        if request[2:4] != b"\0\0":
            return [(0, registers(request, 0, unit))]
        return [(0.002, registers(request, self.state[unit], 12, 215, 3000, 10))]

    async def _record(self, told: Sequence[Observation], tracked: Mapping[str, bytes]) -> None:
        self.told += told
        self.kept.update(tracked)

    def has(self, kind: EventKind, condition: Condition, detector: str | None = None) -> bool:
        return any((o.kind, o.condition, o.detector) == (kind, condition, detector) for o in self.told)

    async def close(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.slave.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site([1, 2, 3])
    yield site
    await site.close()


async def test_smoke_is_told_in_the_read_that_shows_it_and_its_end_later(site: Site) -> None:
    """One good read asserts; the clear needs proof; readings flow."""
    await site.poller.first_lap.wait()
    site.state[2] = SMOKE
    await eventually(lambda: site.has(EventKind.ASSERT, Condition.SMOKE, "det-2"), 2)
    assert "det-2" in site.kept
    site.state[2] = 0
    await eventually(lambda: site.has(EventKind.CLEAR, Condition.SMOKE, "det-2"), 3)
    assert {sample.detector for sample in site.samples} == {"det-1", "det-2", "det-3"}
    assert site.samples[0].temperature == 21.5


async def test_smoke_present_at_the_start_is_told_in_the_first_lap() -> None:
    """The first read counts as a change."""
    site = Site([1])
    site.state[1] = SMOKE
    await site.poller.first_lap.wait()
    assert site.has(EventKind.ASSERT, Condition.SMOKE, "det-1")
    await site.close()


async def test_silent_detectors_cost_the_living_one_timeout_a_lap() -> None:
    """Three of eight die: after the lap in which they fell silent the living wait one timeout at most."""
    units = list(range(1, 9))
    site = Site(units)
    await site.poller.first_lap.wait()
    site.dead = {2, 4, 6}
    await eventually(lambda: len({u for _, u in site.asked[-30:]} & {2, 4, 6}) == 3, 5)
    start = time.monotonic() + 0.5 + 3 * TIMEOUT_S
    await eventually(lambda: site.has(EventKind.ASSERT, Condition.NO_RESPONSE, "det-6"), 10)
    await eventually(lambda: time.monotonic() > start + 2, 5)
    times = [at for at, unit in site.asked if unit == 1 and at > start]
    worst = max(after - before for before, after in itertools.pairwise(times))
    assert worst < TIMEOUT_S + 0.45, worst
    site.dead = set()
    await eventually(lambda: site.has(EventKind.CLEAR, Condition.NO_RESPONSE, "det-6"), 5)
    assert site.poller.status().errors > 0
    await site.close()


async def test_a_refusal_is_an_answer_but_no_value(site: Site) -> None:
    """A device that answers with an exception costs no timeout and its conditions stay unknown."""
    answer = site.slave.answer
    site.slave.answer = lambda request: (
        [(0, framed(bytes((2, request[1] | 0x80, 4))))] if request[0] == 2 else answer(request)
    )
    await eventually(lambda: site.has(EventKind.ASSERT, Condition.NO_RESPONSE, "det-2"), 5)
    assert site.poller.status().last_lap_s is not None
    assert site.poller.status().last_lap_s < TIMEOUT_S
    assert not site.has(EventKind.CLEAR, Condition.SMOKE, "det-2")


async def test_a_line_that_goes_and_comes_is_told_once_each(site: Site) -> None:
    """The whole line falls silent: one bus_down and not three no_response; back: one clear."""
    await site.poller.first_lap.wait()
    site.dead = {1, 2, 3}
    await eventually(lambda: site.has(EventKind.ASSERT, Condition.BUS_DOWN), 8)
    assert not site.poller.status().up
    site.dead = set()
    await eventually(lambda: site.has(EventKind.CLEAR, Condition.BUS_DOWN), 5)
    await eventually(lambda: site.poller.status().answering == 3, 5)
    assert sum(o.condition is Condition.BUS_DOWN for o in site.told) == 2


async def test_an_unplugged_adapter_is_told_and_the_loop_goes_on(site: Site) -> None:
    """The port is gone for good: bus_down, and the loop still turns."""
    await site.poller.first_lap.wait()
    site.slave.close()
    await eventually(lambda: site.has(EventKind.ASSERT, Condition.BUS_DOWN), 8)
    before = site.poller.progress_at
    await eventually(lambda: site.poller.progress_at > before, 5)
    assert await site.poller.write("det-1", Action.RESET) is not None


async def test_detectors_come_and_go_without_a_restart(site: Site) -> None:
    """A new configuration holds from the next lap; the one that stays keeps its state."""
    site.state[1] = SMOKE
    site.state[9] = 0
    await eventually(lambda: site.has(EventKind.ASSERT, Condition.SMOKE, "det-1"), 3)
    await site.poller.swap(site.config([1, 9]), {}, TrackPolicy())
    assert set(site.poller.states) == {"det-1", "det-9"}
    await eventually(lambda: site.poller.status().answering == 2, 3)
    start = len(site.asked)
    await eventually(lambda: len(site.asked) > start + 6, 5)
    assert {unit for _, unit in site.asked[start + 2 :]} == {1, 9}
    assert sum(o.condition is Condition.SMOKE and o.kind is EventKind.ASSERT for o in site.told) == 1


async def test_a_write_goes_out_only_where_it_is_allowed(site: Site) -> None:
    """Allowed and known: written and confirmed. Otherwise refused in words, and nothing is sent."""
    await site.poller.first_lap.wait()
    assert await site.poller.write("det-1", Action.MUTE) is None
    written = [request for request in site.slave.requests if request[1] in (5, 6)]
    assert len(written) == 1
    assert "not on this bus" in str(await site.poller.write("det-99", Action.MUTE))
    await site.poller.swap(site.config([1, 2], allow_writes=False), {}, TrackPolicy())
    assert "allow_writes" in str(await site.poller.write("det-1", Action.MUTE))
    assert len([request for request in site.slave.requests if request[1] in (5, 6)]) == 1


async def test_one_broken_record_does_not_end_the_watch(site: Site) -> None:
    """An exception while one detector is handled is logged; the others are read on, nothing is lost."""
    await site.poller.first_lap.wait()

    async def broken(told: Sequence[Observation], tracked: Mapping[str, bytes]) -> None:
        raise RuntimeError("out of cheese")

    good, site.poller._record = site.poller._record, broken
    site.state[1] = SMOKE
    start = len(site.asked)
    await eventually(lambda: len(site.asked) > start + 9, 5)
    site.poller._record = good
    site.state[3] = SMOKE
    await eventually(lambda: site.has(EventKind.ASSERT, Condition.SMOKE, "det-3"), 3)
    await eventually(lambda: site.has(EventKind.ASSERT, Condition.SMOKE, "det-1"), 3)
    assert not site.task.done()


def _question(unit: int) -> ReadRequest:
    return ReadRequest(
        unit=unit, function=4, address=100, count=2, timeout_s=TIMEOUT_S, gap_s=0.0, targets=()
    )


async def test_a_question_is_answered_between_two_reads(site: Site) -> None:
    """A technician's scan goes through the agent: words or a reason, and nothing about it is recorded."""
    await site.poller.first_lap.wait()
    assert await site.poller.ask(_question(3)) == (0, 3)
    assert "no answer" in str(await site.poller.ask(_question(77)))
    assert "1 to 247" in str(await site.poller.ask(_question(0)))
    assert site.poller.status().errors == 0
    assert not site.told


async def test_a_scan_costs_the_living_one_timeout_a_lap(site: Site) -> None:
    """Many questions that nobody answers wait at once; they are put one a lap."""
    await site.poller.first_lap.wait()
    start = time.monotonic()
    await asyncio.gather(*(site.poller.ask(_question(unit)) for unit in range(50, 56)))
    times = [at for at, unit in site.asked if unit == 1 and at > start]
    assert max(after - before for before, after in itertools.pairwise(times)) < TIMEOUT_S + 0.45


async def test_questions_are_answered_on_a_bus_without_detectors_and_when_the_line_goes(site: Site) -> None:
    """The first installation scans an empty bus; nobody who asks waits for ever."""
    await site.poller.swap(site.config([]), {}, TrackPolicy())
    assert await site.poller.ask(_question(2)) == (0, 2)
    site.slave.close()
    assert "line is lost" in str(await site.poller.ask(_question(2)))
