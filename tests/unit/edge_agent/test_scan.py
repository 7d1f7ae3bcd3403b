"""A scan and a move on a bus played in memory: what is asked, what is believed, what is never written."""

from __future__ import annotations

import pytest

from device_profiles.load import load_profiles
from edge_agent.modbus import Kind, ReadError
from edge_agent.plan import ReadRequest, WriteRequest
from edge_agent.probe import in_short
from edge_agent.scan import Found, Missing, Progress, Scan, ScanError, readdress, scan
from wire.messages import BusConfig, DetectorConfig, Transport

PROFILES = load_profiles()
SONBEST = "sonbest-sm7571b"


class Bus:
    """Units that answer holding register 0 only, and take a new unit in 0x66; `said` holds what was asked."""

    def __init__(self, *units: int) -> None:
        self.units = set(units)
        self.refusing: dict[int, int] = {}
        self.failing: dict[int, Kind] = {}
        self.takes = True
        self.writes: list[WriteRequest] = []
        self.asked: list[int] = []

    async def ask(self, request: ReadRequest | WriteRequest) -> tuple[int, ...] | ReadError:
        unit = request.unit
        self.asked.append(unit)
        if unit in self.failing:
            return ReadError(self.failing[unit], unit, "as the test wants")
        if unit in self.refusing:
            return ReadError(Kind.EXCEPTION, unit, "refused", self.refusing[unit])
        if unit not in self.units:
            return ReadError(Kind.TIMEOUT, unit, "no answer")
        if isinstance(request, WriteRequest):
            self.writes.append(request)
            if self.takes:
                self.units ^= {unit, request.value}
            return ()
        if (request.function, request.address, request.count) != (3, 0, 1):
            return ReadError(Kind.EXCEPTION, unit, "refused", 2)
        return (5,)


def _config(*units: int, transport: Transport = Transport.SERIAL) -> BusConfig:
    return BusConfig(
        bus="bus-1",
        transport=transport,
        address="/dev/null" if transport is Transport.SERIAL else "127.0.0.1:502",
        detectors=[DetectorConfig(detector=f"det-{unit}", unit=unit, profile=SONBEST) for unit in units],
    )


async def _scan(bus: Bus, config: BusConfig, *units: int) -> Scan:
    return await scan(bus.ask, config, PROFILES, units, lambda _: None)


async def test_a_scan_tells_who_is_known_who_is_not_and_who_is_missing() -> None:
    """These are the three things an installer wants to know."""
    found = await _scan(Bus(1, 4), _config(1, 3), 1, 2, 3, 4)
    assert found.found[0] == Found(1, ["det-1"], SONBEST, fits=True)
    assert (found.found[1].unit, found.found[1].detectors) == (4, [])
    assert found.found[1].guess is not None
    assert found.found[1].guess.profile == SONBEST
    assert found.missing == [Missing("det-3", 3)]


async def test_a_silent_unit_is_asked_once() -> None:
    """Each costs the living a timeout: no second one."""
    bus = Bus(1)
    await _scan(bus, _config(), 2, 3)
    assert bus.asked == [2, 3]


async def test_two_devices_at_one_unit_are_told_as_trouble() -> None:
    """Garbage is no answer to believe, and no silence either."""
    bus = Bus()
    bus.failing[6] = Kind.GARBAGE
    found = await _scan(bus, _config(), 6)
    assert "two devices at one unit" in (found.found[0].trouble or "")


async def test_a_gateway_that_reports_a_silent_device_is_not_taken_for_the_device() -> None:
    """Modbus TCP: exception 11 means that nobody behind the gateway has answered."""
    bus = Bus()
    bus.refusing[6] = 11
    assert (await _scan(bus, _config(transport=Transport.TCP), 6)).found == []


async def test_progress_is_told_after_each_unit() -> None:
    """A scan of 247 units takes a minute at least: nobody should wonder."""
    told: list[Progress] = []
    await scan(Bus(2).ask, _config(), PROFILES, [1, 2], told.append)
    assert told == [Progress(1, 1, 2, 0), Progress(2, 2, 2, 1)]


async def test_a_lost_line_ends_the_scan_with_the_mend() -> None:
    """What was not asked is not reported as silent."""
    bus = Bus()
    bus.failing[1] = Kind.LINE_LOST
    with pytest.raises(ScanError, match="line is lost"):
        await _scan(bus, _config(1), 1, 2)


async def _move(bus: Bus, config: BusConfig, old: int, new: int, *, configured: bool = False) -> str:
    return await readdress(
        bus.ask, config, PROFILES, old=old, new=new, profile=SONBEST, may_be_configured=configured
    )


async def test_a_device_is_moved_once_and_confirmed_at_its_new_unit() -> None:
    """The write's own answer proves nothing; reading at the new unit does."""
    bus = Bus(1)
    assert "answers at unit 7" in await _move(bus, _config(), 1, 7)
    assert bus.writes == [WriteRequest(unit=1, function=6, address=0x66, value=7)]
    assert bus.units == {7}


@pytest.mark.parametrize("answer", [Kind.GARBAGE, Kind.EXCEPTION, Kind.WRONG_UNIT])
async def test_nothing_is_written_when_anything_at_all_comes_from_the_new_unit(answer: Kind) -> None:
    """Two devices at one address are two homes unwatched."""
    bus = Bus(1)
    bus.failing[7] = answer
    with pytest.raises(ScanError, match="is taken"):
        await _move(bus, _config(), 1, 7)
    assert bus.writes == []


async def test_a_device_that_does_not_answer_is_not_written_to() -> None:
    """A write into the dark could reach another one."""
    bus = Bus()
    with pytest.raises(ScanError, match="nothing was written"):
        await _move(bus, _config(), 1, 7)
    assert bus.writes == []


async def test_a_write_that_was_not_taken_is_never_repeated() -> None:
    """Some take a new unit only after their power was off: say so, do not hammer."""
    bus = Bus(1)
    bus.takes = False
    with pytest.raises(ScanError, match="still answers at unit 1"):
        await _move(bus, _config(), 1, 7)
    assert len(bus.writes) == 1


async def test_a_configured_detector_is_moved_only_when_that_is_meant() -> None:
    """Its home is unwatched until the configuration names the new unit."""
    bus = Bus(1)
    with pytest.raises(ScanError, match="--configured"):
        await _move(bus, _config(1), 1, 7)
    assert "unit 7" in await _move(bus, _config(1), 1, 7, configured=True)


@pytest.mark.parametrize(
    ("old", "new", "why"), [(1, 1, "same"), (1, 2, "belongs to det-2"), (1, 250, "outside")]
)
async def test_a_move_that_makes_no_sense_is_refused_before_anything_is_asked(
    old: int, new: int, why: str
) -> None:
    """The unit of another detector is refused also while that one is silent."""
    bus = Bus(1)
    with pytest.raises(ScanError, match=why):
        await _move(bus, _config(2), old, new)
    assert bus.asked == []


async def test_a_model_without_such_a_register_is_refused() -> None:
    """Nothing is written on a guess."""
    with pytest.raises(ScanError, match="no register for its unit"):
        await readdress(
            Bus(1).ask,
            _config(),
            PROFILES,
            old=1,
            new=2,
            profile="calectro-ug-3-o-mb-r",
            may_be_configured=False,
        )


async def test_a_scan_of_a_full_bus_fits_into_a_few_notes() -> None:
    """247 unknown devices: bounded, and it says that something was left out."""
    found = Scan("bus-1", "", 247, [Found(unit, [f"det-{'x' * 27}-{unit}"]) for unit in range(1, 248)], [])
    texts = in_short(found)
    assert len(texts) == 10
    assert all(len(text) <= 450 for text in texts)
    assert "left out" in texts[-1]
