"""The agent's master against each of the simulator's faults: two codecs of different origin on one line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from device_profiles.load import load_profiles
from edge_agent.line import SerialLine
from edge_agent.modbus import Modbus, ReadError
from edge_agent.plan import ReadRequest
from simulator.faults import Kind
from simulator.orders import Do, Order
from simulator.runner import Runner
from simulator.scenario import BusSpec, DetectorSpec, SiteFile
from wire.messages import Transport

SEEN = {
    Kind.SILENT: "timeout",
    Kind.SLOW: (0,),
    Kind.LATE_REPLY: "timeout",
    Kind.WRONG_UNIT: "wrong_unit",
    Kind.TRUNCATED: "garbage",
    Kind.CRC_ERROR: "garbage",
    Kind.GARBAGE: "garbage",
    Kind.NOISE: (0,),
    Kind.CHUNKED: (0,),
    Kind.EXCEPTION: "exception",
}


@pytest.mark.parametrize("kind", Kind)
async def test_a_fault_is_seen_as_what_it_is_and_never_as_anothers_value(kind: Kind, tmp_path: Path) -> None:
    """Unit 1 is faulty, unit 2 burns, unit 3 is quiet: lap after lap, 2 and 3 are read right."""
    detectors = tuple(DetectorSpec(id=f"d-{unit}", unit=unit) for unit in (1, 2, 3))
    spec = BusSpec(id="b", link=str(tmp_path / "b"), baud=57600, delay_ms=2, detector=detectors)
    async with Runner(SiteFile(bus=(spec,)), load_profiles(), time.time) as site:
        await site.do(Order(do=Do.FLIP, detector="d-2"))
        if kind is Kind.ECHO:
            await site.do(Order(do=Do.FAULT, bus="b", fault=kind))
        else:
            ms = {Kind.SLOW: 50.0, Kind.LATE_REPLY: 400.0}.get(kind)
            await site.do(Order(do=Do.FAULT, detector="d-1", fault=kind, ms=ms))
        line = SerialLine(str(tmp_path / "b"), 57600, "N", 1)
        await line.open()
        master = Modbus(line, Transport.SERIAL, character_s=10 / 57600)
        for _ in range(3):
            seen = [await _read(master, unit) for unit in (1, 2, 3)]
            assert seen == [SEEN.get(kind, (0,)), (1,), (0,)]
        line.close()


async def _read(master: Modbus, unit: int) -> tuple[int, ...] | str:
    try:
        ask = ReadRequest(unit=unit, function=4, address=0, count=1, timeout_s=0.25, gap_s=0.0, targets=())
        return tuple(await master.read(ask))
    except ReadError as error:
        return error.kind.value
