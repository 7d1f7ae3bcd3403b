"""The simulator's lines read by a foreign master (pymodbus' own client), and its faults byte by byte."""

from __future__ import annotations

import asyncio
import os
import time
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from device_profiles.load import load_profiles
from simulator.bus import MAX_CLIENTS, BusError
from simulator.faults import Kind
from simulator.orders import Do, Order
from simulator.rtu import crc
from simulator.runner import Runner
from simulator.scenario import BusSpec, DetectorSpec, SiteFile, check_site
from tests.harness.wait import eventually

PROFILES = load_profiles()
ASK = bytes.fromhex("01 04 00 00 00 01 31 CA")
RIGHT = bytes.fromhex("01 04 02 00 00 B9 30")
DETECTORS = (DetectorSpec(id="d-1", unit=1, seed=1, serial_number=0x00030D41), DetectorSpec(id="d-2", unit=2))


def runner(*buses: BusSpec) -> Runner:
    return Runner(check_site(SiteFile(bus=buses), "test", PROFILES), PROFILES, time.time)


@pytest.fixture
async def riser(tmp_path: Path) -> AsyncIterator[Runner]:
    """One fast RTU line behind a link named "riser"."""
    spec = BusSpec(id="riser", link=str(tmp_path / "riser"), baud=115200, delay_ms=1, detector=DETECTORS)
    async with runner(spec) as one:
        yield one


class Master:
    """A bare end of the line: what is written and what comes back."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        self.pieces: list[bytes] = []
        asyncio.get_running_loop().add_reader(self.fd, self._read)

    def _read(self) -> None:
        self.pieces.append(os.read(self.fd, 4096))

    @property
    def heard(self) -> bytes:
        return b"".join(self.pieces)

    async def ask(self, frame: bytes, size: int, more_s: float = 0.0) -> bytes:
        """Send, and what has come once `size` bytes have, and `more_s` later."""
        self.pieces.clear()
        os.write(self.fd, frame)
        await eventually(lambda: len(self.heard) >= size, 5, f"{size} bytes")
        await asyncio.sleep(more_s)
        return self.heard

    async def quiet(self, frame: bytes, seconds: float = 0.15) -> bytes:
        """Send, and what comes in this time."""
        self.pieces.clear()
        os.write(self.fd, frame)
        await asyncio.sleep(seconds)
        return self.heard

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)


@pytest.fixture
async def master(riser: Runner) -> AsyncIterator[Master]:
    one = Master(riser.buses["riser"].address)
    yield one
    one.close()


async def fault(site: Runner, kind: str, **more: object) -> None:
    await site.do(Order(do=Do.FAULT, detector="d-1", fault=Kind(kind), **more))  # type: ignore[arg-type]


async def _reads_right(
    client: AsyncModbusSerialClient | AsyncModbusTcpClient, site: Runner, unit: int = 1
) -> None:
    """State, values and identity as the simulator itself tells them."""
    assert await client.connect()
    try:
        await site.do(Order(do=Do.FLIP, detector="d-1"))
        answer = await client.read_input_registers(0, count=5, device_id=unit)
        serial = await client.read_input_registers(16, count=2, device_id=unit)
        told = await site.do(Order(do=Do.STATE, detector="d-1"))
        state, smoke, temperature, battery, contamination = answer.registers
        assert state == 1
        assert smoke / 100 == pytest.approx(told["smoke"], abs=0.1)
        assert temperature / 10 == pytest.approx(told["temperature"], abs=0.3)
        assert battery / 1000 == pytest.approx(told["battery"], abs=0.002)
        assert contamination / 10 == pytest.approx(told["contamination"], abs=0.11)
        assert serial.registers == [0x0003, 0x0D41]
        written = await client.write_register(0x100, 0x4D, device_id=unit)
        assert not written.isError()
        refused = await client.read_input_registers(5, count=1, device_id=unit)
        assert (refused.isError(), refused.exception_code) == (True, 2)
        told = await site.do(Order(do=Do.STATE, detector="d-1"))
        assert told["conditions"] == ["muted", "smoke"]
    finally:
        client.close()


async def test_a_foreign_master_reads_the_pseudo_terminal(riser: Runner) -> None:
    """RTU frames of one codec, understood by another."""
    client = AsyncModbusSerialClient(riser.buses["riser"].address, baudrate=115200, timeout=2, retries=0)
    await _reads_right(client, riser)


async def test_a_foreign_master_reads_modbus_tcp() -> None:
    """And is told by the gateway code when the unit is not there."""
    spec = BusSpec(id="t", transport="tcp", port=0, delay_ms=1, detector=DETECTORS)
    async with runner(spec) as site:
        host, port = site.buses["t"].address.split(":")
        await _reads_right(AsyncModbusTcpClient(host, port=int(port), timeout=2, retries=0), site)
        client = AsyncModbusTcpClient(host, port=int(port), timeout=2, retries=0)
        assert await client.connect()
        answer = await client.read_input_registers(0, count=1, device_id=9)
        assert answer.exception_code == 11
        client.close()


async def test_a_foreign_master_reads_rtu_over_tcp() -> None:
    """A serial server with a line behind it."""
    spec = BusSpec(id="t", transport="rtu_tcp", port=0, baud=57600, delay_ms=1, detector=DETECTORS)
    async with runner(spec) as site:
        host, port = site.buses["t"].address.split(":")
        client = AsyncModbusTcpClient(host, port=int(port), framer=FramerType.RTU, timeout=2, retries=0)
        await _reads_right(client, site)


async def test_a_foreign_master_reads_the_bits_of_a_duct_detector(tmp_path: Path) -> None:
    """Function 2, document addresses from 1."""
    duct = DetectorSpec(id="duct", unit=5, profile="calectro-ug-3-o-mb-r")
    spec = BusSpec(id="b", link=str(tmp_path / "b"), baud=115200, stop_bits=2, delay_ms=1, detector=(duct,))
    async with runner(spec) as site:
        client = AsyncModbusSerialClient(site.buses["b"].address, baudrate=115200, timeout=2, retries=0)
        assert await client.connect()
        await site.do(Order(do=Do.FLIP, detector="duct"))
        answer = await client.read_discrete_inputs(0, count=3, device_id=5)
        assert answer.bits[:3] == [True, False, True]
        reset = await client.write_register(0, 234, device_id=5)
        assert not reset.isError()
        answer = await client.read_discrete_inputs(0, count=3, device_id=5)
        assert answer.bits[:3] == [True, False, False]
        client.close()


async def test_many_buses_live_in_one_process(tmp_path: Path) -> None:
    """Each answers for its own detectors only, all at the same time."""
    specs = [
        BusSpec(
            id=f"b-{n}",
            link=str(tmp_path / f"b-{n}"),
            baud=115200,
            delay_ms=1,
            detector=(DetectorSpec(id=f"d-{n}", unit=1),),
        )
        for n in range(6)
    ]
    async with runner(*specs) as site:
        await site.do(Order(do=Do.FLIP, detector="d-3"))
        masters = [Master(bus.address) for bus in site.buses.values()]
        answers = await asyncio.gather(*(one.ask(ASK, 7) for one in masters))
        assert [answer[4] for answer in answers] == [0, 0, 0, 1, 0, 0]
        for one in masters:
            one.close()


async def test_a_request_in_pieces_and_after_garbage_is_answered(master: Master) -> None:
    """As it may leave a master's driver."""
    for byte in ASK[:-1]:
        os.write(master.fd, bytes((byte,)))
        await asyncio.sleep(0)
    assert await master.ask(ASK[-1:], 7) == RIGHT
    assert await master.ask(b"\x00\xff\x01\x04\x07" + ASK, 7) == RIGHT


async def test_nobody_answers_a_wrong_checksum_another_unit_or_a_broadcast(master: Master) -> None:
    """Silence, as on a real line."""
    broadcast = bytes.fromhex("00 06 01 00 00 4D")
    for frame in (
        ASK[:-1] + b"\x00",
        b"\x07" + ASK[1:6] + crc(b"\x07" + ASK[1:6]),
        broadcast + crc(broadcast),
    ):
        assert await master.quiet(frame, 0.05) == b""


async def test_silent(riser: Runner, master: Master) -> None:
    """No byte; its neighbour still answers; healed, it answers again."""
    await fault(riser, "silent")
    assert await master.quiet(ASK) == b""
    other = b"\x02" + ASK[1:6]
    assert (await master.ask(other + crc(other), 7))[0] == 2
    await riser.do(Order(do=Do.CLEAR_FAULT, detector="d-1"))
    assert await master.ask(ASK, 7) == RIGHT


@pytest.mark.parametrize("kind", ["slow", "late_reply"])
async def test_slow_and_late_reply(riser: Runner, master: Master, kind: str) -> None:
    """The right answer, not before its time; meanwhile the line is free for others."""
    await fault(riser, kind, ms=600)
    assert await master.quiet(ASK, 0.05) == b""
    other = b"\x02" + ASK[1:6]
    assert (await master.ask(other + crc(other), 7))[0] == 2
    master.pieces.clear()
    await eventually(lambda: master.heard == RIGHT, 3)


async def test_wrong_unit(riser: Runner, master: Master) -> None:
    """A right frame of somebody else."""
    await fault(riser, "wrong_unit")
    body = b"\x02" + RIGHT[1:5]
    assert await master.ask(ASK, 7) == body + crc(body)


async def test_truncated(riser: Runner, master: Master) -> None:
    """The first half, and then nothing."""
    await fault(riser, "truncated")
    assert await master.ask(ASK, 3, more_s=0.1) == RIGHT[:3]


async def test_crc_error(riser: Runner, master: Master) -> None:
    """Everything right but one bit of the last byte."""
    await fault(riser, "crc_error")
    heard = await master.ask(ASK, 7)
    assert heard[:-1] == RIGHT[:-1]
    assert (heard[-1] ^ RIGHT[-1]).bit_count() == 1


async def test_garbage(riser: Runner, master: Master) -> None:
    """Bytes, but no answer among them; other bytes each time."""
    await fault(riser, "garbage")
    heard = [await master.ask(ASK, 3, more_s=0.02) for _ in range(3)]
    assert all(one and RIGHT not in one for one in heard)
    assert len(set(heard)) == 3


async def test_noise(riser: Runner, master: Master) -> None:
    """The answer stands between random bytes."""
    await fault(riser, "noise")
    heard = await master.ask(ASK, 9, more_s=0.02)
    assert RIGHT in heard
    assert not heard.startswith(RIGHT)
    assert not heard.endswith(RIGHT)


async def test_chunked(riser: Runner, master: Master) -> None:
    """Pieces of at most four bytes that are the answer together."""
    await fault(riser, "chunked", ms=30)
    assert await master.ask(ASK, 7) == RIGHT
    assert [len(piece) for piece in master.pieces] == [4, 3]


async def test_exception(riser: Runner, master: Master) -> None:
    """The code that was asked for."""
    await fault(riser, "exception", code=6)
    body = bytes((1, 0x84, 6))
    assert await master.ask(ASK, 5) == body + crc(body)


async def test_echo(riser: Runner, master: Master) -> None:
    """A two-wire line that hears itself, for every unit on it, there or not."""
    await riser.do(Order(do=Do.FAULT, bus="riser", fault=Kind.ECHO))
    assert await master.ask(ASK, 15) == ASK + RIGHT
    absent = b"\x09" + ASK[1:6]
    assert await master.ask(absent + crc(absent), 8, more_s=0.05) == absent + crc(absent)


async def test_unplug_and_plug(riser: Runner) -> None:
    """The link goes and whoever had it open loses it; then a new terminal is behind the same link."""
    link = Path(riser.buses["riser"].address)
    first = Master(str(link))
    await riser.do(Order(do=Do.UNPLUG, bus="riser"))
    assert not link.is_symlink()  # noqa: ASYNC240
    asyncio.get_running_loop().remove_reader(first.fd)
    with pytest.raises(OSError, match="Input/output error"):
        os.write(first.fd, ASK)
    os.close(first.fd)
    told = await riser.do(Order(do=Do.PLUG, bus="riser"))
    assert told["address"] == str(link)
    again = Master(str(link))
    assert await again.ask(ASK, 7) == RIGHT
    again.close()


async def test_unplug_and_plug_a_tcp_port() -> None:
    """Connections are cut, none is taken; then the same port is there again."""
    spec = BusSpec(id="t", transport="tcp", port=0, delay_ms=1, detector=DETECTORS)
    async with runner(spec) as site:
        host, port = site.buses["t"].address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        await site.do(Order(do=Do.UNPLUG, bus="t"))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 2)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))
        await site.do(Order(do=Do.PLUG, bus="t"))
        assert site.buses["t"].address == f"{host}:{port}"
        client = AsyncModbusTcpClient(host, port=int(port), timeout=0.3, retries=0)
        assert await client.connect()
        await fault(site, "silent")
        with pytest.raises(ModbusIOException):
            await client.read_input_registers(0, count=1, device_id=1)
        client.close()


async def test_a_peer_that_speaks_something_else_is_cut_off() -> None:
    """On Modbus TCP."""
    spec = BusSpec(id="t", transport="tcp", port=0, detector=DETECTORS)
    async with runner(spec) as site:
        host, port = site.buses["t"].address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 2)
        writer.close()


async def test_a_link_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A file in its place, a folder that is not there; what was opened before is closed again."""
    (tmp_path / "file").write_text("mine")
    good = BusSpec(id="good", link=str(tmp_path / "good"))
    for bad, says in ((tmp_path / "file", "is no link"), (tmp_path / "no" / "x", "No such file")):
        with pytest.raises(BusError, match=says):
            async with runner(good, BusSpec(id="bad", link=str(bad))):
                pass
    assert [one.name for one in tmp_path.iterdir()] == ["file"]  # noqa: ASYNC240
    assert (tmp_path / "file").read_text() == "mine"


async def test_a_port_in_use_is_named() -> None:
    """With the mend."""
    async with runner(BusSpec(id="a", transport="tcp", port=0)) as site:
        port = int(site.buses["a"].address.split(":")[1])
        with pytest.raises(BusError, match=f"cannot listen on 127.0.0.1:{port}.*give another port"):
            async with runner(BusSpec(id="b", transport="rtu_tcp", port=port)):
                pass


async def test_an_answer_takes_at_least_its_time_on_the_wire(tmp_path: Path) -> None:
    """8 + 7 characters and 3.5 of silence at 1200 baud 8E1, and 20 ms of thinking: never before."""
    spec = BusSpec(
        id="b", link=str(tmp_path / "b"), baud=1200, parity="E", delay_ms=20, detector=DETECTORS[:1]
    )
    async with runner(spec) as site:
        one = Master(site.buses["b"].address)
        start = time.perf_counter()
        assert await one.ask(ASK, 7) == RIGHT
        assert time.perf_counter() - start >= (8 + 7 + 3.5) * 11 / 1200 + 0.020
        one.close()


async def test_a_client_too_many_is_turned_away_and_the_others_are_served() -> None:
    """Input is bounded; a place that becomes free is given again."""
    spec = BusSpec(id="t", transport="tcp", port=0, delay_ms=1, detector=DETECTORS)
    async with runner(spec) as site:
        host, port = site.buses["t"].address.split(":")
        open_ones = [await asyncio.open_connection(host, int(port)) for _ in range(MAX_CLIENTS)]
        request = bytes.fromhex("0001 0000 0006 01 04 0000 0001")
        for reader, writer in (open_ones[0], open_ones[-1]):
            writer.write(request)
            assert len(await asyncio.wait_for(reader.readexactly(11), 5)) == 11
        reader, writer = await asyncio.open_connection(host, int(port))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        for _, each in (*open_ones, (reader, writer)):
            each.close()

        async def served() -> bool:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request)
            try:
                return len(await asyncio.wait_for(reader.readexactly(11), 5)) == 11
            except (ConnectionError, asyncio.IncompleteReadError):
                return False
            finally:
                writer.close()

        assert await eventually(served, 5)
