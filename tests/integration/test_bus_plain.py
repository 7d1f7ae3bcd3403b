"""Plain serial protocols through the poller, on real lines, against devices that share no code with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from device_profiles.load import load_profiles
from device_profiles.schema import Action
from edge_agent.observation import Observation, Sample
from edge_agent.poller import Poller
from edge_agent.tracker import TrackPolicy
from simulator.faults import Kind
from simulator.orders import Do, Order
from simulator.runner import Runner
from simulator.scenario import BusSpec, DetectorSpec, SiteFile
from tests.harness.wait import eventually
from wire.messages import BusConfig, Condition, DetectorConfig, EventKind, Transport

PROFILES = load_profiles()
GIRA = (DetectorConfig(detector="d-1", unit=1, profile="gira-dual-vds", allow_writes=True),)
JBF = (
    DetectorConfig(detector="panel", unit=1, profile="jbf-193k-panel"),
    DetectorConfig(detector="d-1", unit=1, point=257, profile="jbf-193k-point"),
    DetectorConfig(detector="d-2", unit=1, point=258, profile="jbf-193k-point"),
    DetectorConfig(detector="d-3", unit=2, point=257, profile="jbf-193k-point"),
)
BOTH = pytest.mark.parametrize("detectors", [GIRA, JBF], ids=["gira", "jbf"])


class Watch:
    """A simulated line and the poller on it."""

    def __init__(self, site: Runner, bus: BusConfig) -> None:
        self.site = site
        self.told: list[Observation] = []
        self.samples: list[Sample] = []
        policy = TrackPolicy(lost_laps=1, lost_s=0.5, urgent_clear_s=0.2)
        self.poller = Poller(bus, PROFILES, self._record, self.samples.append, time.monotonic, policy=policy)
        self.task = asyncio.create_task(self.poller.run())

    async def _record(self, told: Sequence[Observation], tracked: Mapping[str, bytes]) -> None:
        self.told += told

    async def do(self, do: Do, detector: str = "d-1", fault: Kind | None = None, **more: float) -> None:
        await self.site.do(Order(do=do, detector=detector, fault=fault, **more))

    def count(self, kind: EventKind, condition: Condition, detector: str = "d-1") -> int:
        return sum((o.kind, o.condition, o.detector) == (kind, condition, detector) for o in self.told)

    async def known(self) -> None:
        """Until every detector has been read with all of its conditions."""
        await eventually(lambda: all(s is not None and s.known and not s.unread for s in self.states()), 8)

    def states(self) -> list:
        return list(self.poller.states.values())

    async def smoke(self, detector: str = "d-1", timeout_s: float = 2.0) -> float:
        """Seconds until it is told."""
        began = time.monotonic()
        await eventually(lambda: self.count(EventKind.ASSERT, Condition.SMOKE, detector), timeout_s)
        return time.monotonic() - began


@asynccontextmanager
async def _watch(
    folder: Path,
    detectors: Sequence[DetectorConfig],
    transport: Transport = Transport.SERIAL,
    gap_ms: float | None = 200.0,
) -> AsyncIterator[Watch]:
    spec = BusSpec(
        id="bus-1",
        protocol=PROFILES[detectors[0].profile].protocol,
        transport="pty" if transport is Transport.SERIAL else "rtu_tcp",
        link=str(folder / "line") if transport is Transport.SERIAL else None,
        port=None if transport is Transport.SERIAL else 0,
        delay_ms=5,
        detector=tuple(
            DetectorSpec(id=d.detector, unit=d.unit, point=d.point, profile=d.profile, seed=7)
            for d in detectors
        ),
    )
    async with Runner(SiteFile(bus=(spec,)), PROFILES, time.time) as site:
        address = site.buses["bus-1"].address
        bus = BusConfig(
            bus="bus-1", transport=transport, address=address, gap_ms=gap_ms, detectors=list(detectors)
        )
        watch = Watch(site, bus)
        try:
            yield watch
        finally:
            watch.task.cancel()
            await asyncio.gather(watch.task, return_exceptions=True)


@BOTH
@pytest.mark.parametrize("transport", [Transport.SERIAL, Transport.RTU_TCP])
async def test_smoke_arrives_within_a_second_and_is_told_once(
    tmp_path: Path, transport: Transport, detectors: Sequence[DetectorConfig]
) -> None:
    """On a terminal and through a serial server."""
    async with _watch(tmp_path, detectors, transport, None) as watch:
        await watch.known()
        assert all(not state.asserted for state in watch.states())
        await watch.do(Do.FLIP)
        assert await watch.smoke() < 1.2
        laps = watch.poller._lap
        await eventually(lambda: watch.poller._lap > laps + 3, 3)
        assert watch.count(EventKind.ASSERT, Condition.SMOKE) == 1
        assert {o.detector for o in watch.told if o.condition is Condition.SMOKE} == {"d-1"}


@BOTH
async def test_an_alarm_ends_as_its_device_ends_it(
    tmp_path: Path, detectors: Sequence[DetectorConfig]
) -> None:
    """The detector by itself; a panel's point when the panel is reset, and not before."""
    async with _watch(tmp_path, detectors) as watch:
        await watch.known()
        await watch.do(Do.FLIP)
        await watch.smoke()
        await watch.do(Do.FLIP, on=False)
        if detectors is JBF:
            laps = watch.poller._lap
            await eventually(lambda: watch.poller._lap > laps + 4, 4)
            assert watch.count(EventKind.CLEAR, Condition.SMOKE) == 0
            await watch.do(Do.RESET)
        await eventually(lambda: watch.count(EventKind.CLEAR, Condition.SMOKE) == 1, 4)


@BOTH
async def test_a_faulty_line_makes_no_false_alarm_and_heals(
    tmp_path: Path, detectors: Sequence[DetectorConfig]
) -> None:
    """Damaged frames are never smoke; when the line is whole again, smoke is told."""
    async with _watch(tmp_path, detectors) as watch:
        await watch.known()
        for fault in (Kind.CRC_ERROR, Kind.TRUNCATED, Kind.GARBAGE, Kind.NOISE, Kind.CHUNKED, Kind.SLOW):
            await watch.site.do(Order(do=Do.FAULT, bus="bus-1", fault=fault))
            laps = watch.poller._lap
            await eventually(lambda before=laps: watch.poller._lap > before, 8)
        assert {o.condition for o in watch.told} <= {Condition.NO_RESPONSE, Condition.BUS_DOWN}
        await watch.site.do(Order(do=Do.CLEAR_FAULT, bus="bus-1"))
        await watch.do(Do.FLIP)
        await watch.smoke(timeout_s=5)


async def test_a_damaged_message_is_refused_and_its_repeat_is_told(tmp_path: Path) -> None:
    """NAK: the very message that tells of smoke comes broken the first time."""
    async with _watch(tmp_path, GIRA) as watch:
        await watch.known()
        await watch.do(Do.FAULT, fault=Kind.CRC_ERROR, times=1)
        await watch.do(Do.FLIP)
        assert await watch.smoke() < 1.2
        assert watch.site.site.detectors["d-1"].fault is None


async def test_a_silent_detector_is_told_and_its_smoke_too_when_it_speaks_again(tmp_path: Path) -> None:
    """No answer is never "no smoke"."""
    async with _watch(tmp_path, GIRA) as watch:
        await watch.known()
        await watch.do(Do.FAULT, fault=Kind.SILENT)
        await eventually(lambda: watch.count(EventKind.ASSERT, Condition.NO_RESPONSE) == 1, 12)
        await watch.do(Do.FLIP)
        await watch.do(Do.CLEAR_FAULT)
        await watch.smoke(timeout_s=5)
        await eventually(lambda: watch.count(EventKind.CLEAR, Condition.NO_RESPONSE) == 1, 3)


async def test_silencing_reaches_the_detector(tmp_path: Path) -> None:
    """07 00 08, where the installation allows writes."""
    async with _watch(tmp_path, GIRA) as watch:
        await watch.known()
        assert await watch.poller.write("d-1", Action.MUTE) is None
        assert watch.site.site.detectors["d-1"].state.muted_until > 0


async def test_a_card_that_nobody_can_poll_is_heard_when_it_speaks_by_itself(tmp_path: Path) -> None:
    """Each controller's points are their own; the burning one alone is told."""
    async with _watch(tmp_path, JBF) as watch:
        await watch.known()
        watch.poller._master._gap_s = 3600.0  # type: ignore[attr-defined] -- our polls are lost from now on
        polled = watch.poller._lap
        await eventually(lambda: watch.poller._lap > polled + 16, 8)
        await watch.do(Do.FLIP, "d-3")
        assert await watch.smoke("d-3") < 1.2
        await watch.do(Do.BREAK, "d-2")
        await eventually(lambda: watch.count(EventKind.ASSERT, Condition.FAULT, "d-2") == 1, 4)
        told = {o.detector for o in watch.told if o.condition in (Condition.SMOKE, Condition.FAULT)}
        assert told == {"d-3", "d-2"}


async def test_a_line_that_comes_back_is_unknown_until_the_card_has_spoken(tmp_path: Path) -> None:
    """Pulled out and put back: what stood stays told, and is not told to be over."""
    async with _watch(tmp_path, JBF) as watch:
        await watch.known()
        await watch.do(Do.FLIP)
        await watch.smoke()
        await watch.site.do(Order(do=Do.UNPLUG, bus="bus-1"))
        await eventually(lambda: not watch.poller.status().up, 5)
        await watch.site.do(Order(do=Do.PLUG, bus="bus-1"))
        await eventually(lambda: watch.poller.status().answering == len(JBF), 10)
        assert watch.count(EventKind.CLEAR, Condition.SMOKE) == 0
        assert watch.count(EventKind.ASSERT, Condition.SMOKE) == 1
