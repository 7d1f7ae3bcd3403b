"""The Modbus master over a real pseudo-terminal and a real socket, against slaves that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from device_profiles.schema import Action, Write
from edge_agent.line import LineError, SerialLine, TcpLine
from edge_agent.modbus import Kind, Modbus, ReadError
from edge_agent.plan import ReadRequest
from tests.harness.slave import Pieces, PtySlave, crc, framed, registers
from tests.harness.wait import eventually
from wire.messages import Transport

ASK = ReadRequest(unit=1, function=3, address=0, count=2, timeout_s=0.15, gap_s=0.0, targets=())
CHARACTER_S = 10 / 9600


class Bench:
    """A master and its slave."""

    def __init__(self) -> None:
        self.slave = PtySlave(lambda request: [(0, registers(request, 0x0102, 0x0304))])
        self.line = SerialLine(self.slave.path, 9600, "N", 1)
        self.modbus = Modbus(self.line, Transport.SERIAL, character_s=CHARACTER_S)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.line.open()
    yield bench
    bench.line.close()
    bench.slave.close()


async def _fails(bench: Bench, kind: Kind, ask: ReadRequest = ASK) -> ReadError:
    with pytest.raises(ReadError) as failure:
        await bench.modbus.read(ask)
    assert failure.value.kind is kind, str(failure.value)
    return failure.value


async def test_registers_and_bits_come_back_as_read(bench: Bench) -> None:
    """Function 3 gives words, function 2 gives as many bits as were asked for."""
    assert await bench.modbus.read(ASK) == (0x0102, 0x0304)
    bench.slave.answer = lambda request: [(0, framed(request[:2] + b"\x02\x05\x02"))]
    assert await bench.modbus.read(replace(ASK, function=2, count=10)) == (1, 0, 1, 0, 0, 0, 0, 0, 0, 1)


async def test_a_reply_in_pieces_is_whole(bench: Bench) -> None:
    """Adapters hand bytes over with 15 ms between them; one byte at a time is taken too."""
    whole = registers(b"\x01\x03", 7, 8)
    bench.slave.answer = lambda _: [(0.015, whole[:3]), (0.015, whole[3:6]), (0.015, whole[6:])]
    assert await bench.modbus.read(ASK) == (7, 8)
    bench.slave.answer = lambda _: [(0.001, bytes((byte,))) for byte in whole]
    assert await bench.modbus.read(ASK) == (7, 8)


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([], Kind.TIMEOUT),
        ([(0, registers(b"\x01\x03", 1, 2)[:-2])], Kind.GARBAGE),
        ([(0, registers(b"\x01\x03", 1, 2)[:-1] + b"\x00")], Kind.GARBAGE),
        ([(0, b"\xff\x00\x55" * 9)], Kind.GARBAGE),
        ([(0, registers(b"\x02\x03", 1, 2))], Kind.WRONG_UNIT),
        ([(0, registers(b"\x01\x04", 1, 2))], Kind.WRONG_FUNCTION),
        ([(0, registers(b"\x01\x03", 1, 2, 3))], Kind.WRONG_LENGTH),
        ([(0, framed(b"\x01\x83\x02"))], Kind.EXCEPTION),
    ],
)
async def test_what_is_not_the_answer_is_a_named_error(bench: Bench, pieces: Pieces, kind: Kind) -> None:
    """Each fault has its name, and the line serves the next read at once."""
    good, bench.slave.answer = bench.slave.answer, lambda _: pieces
    failure = await _fails(bench, kind)
    assert (failure.code == 2) is (kind is Kind.EXCEPTION)
    bench.slave.answer = good
    assert await bench.modbus.read(replace(ASK, unit=9)) == (0x0102, 0x0304)


async def test_a_foreign_frame_before_the_answer_is_skipped(bench: Bench) -> None:
    """Another unit's late frame, noise and then the true answer: the true one counts."""
    bench.slave.answer = lambda request: [
        (0, registers(b"\x05\x03", 9, 9) + b"\x00\x00"),
        (0.01, registers(request, 3, 4)),
    ]
    assert await bench.modbus.read(ASK) == (3, 4)


async def test_a_late_answer_is_never_the_next_ones(bench: Bench) -> None:
    """The reply to a read that timed out comes while the same unit is asked for other registers."""
    asked: list[bytes] = []

    def slow_then_right(request: bytes) -> Pieces:
        asked.append(request)
        if len(asked) == 1:
            return [(ASK.timeout_s * 1.5, registers(request, 0xDEAD, 0xDEAD))]
        return [(0.01, registers(request, 5, 6))]

    bench.slave.answer = slow_then_right
    await _fails(bench, Kind.TIMEOUT)
    assert not bench.modbus.may_ask(1)
    assert await bench.modbus.read(replace(ASK, address=100)) == (5, 6)
    assert len(asked) == 2


async def test_a_late_answer_does_not_disturb_another_unit(bench: Bench) -> None:
    """Unit 1's reply arrives inside unit 2's exchange."""

    def answer(request: bytes) -> Pieces:
        wait = ASK.timeout_s * 1.3 if request[0] == 1 else 0.08
        return [(wait, registers(request, request[0], request[0]))]

    bench.slave.answer = answer
    await _fails(bench, Kind.TIMEOUT)
    assert await bench.modbus.read(replace(ASK, unit=2)) == (2, 2)
    assert await bench.modbus.read(replace(ASK, unit=3)) == (3, 3)


async def test_timeouts_never_close_the_port(bench: Bench) -> None:
    """Fifty dead units in a row, then a living one, over the same open port."""
    bench.slave.answer = lambda request: [] if request[0] > 100 else [(0, registers(request, 1, 2))]
    for unit in range(101, 151):
        await _fails(bench, Kind.TIMEOUT, replace(ASK, unit=unit, timeout_s=0.01))
    assert bench.line.is_open
    assert await bench.modbus.read(ASK) == (1, 2)


async def test_an_adapter_that_echoes_is_understood(bench: Bench) -> None:
    """Half-duplex adapters give the request back before the answer, also before a write's answer."""
    bench.slave.answer = lambda request: [(0, request[:5]), (0.01, request[5:] + registers(request, 1, 2))]
    assert await bench.modbus.read(ASK) == (1, 2)
    reset = Write(action=Action.RESET, function=6, address=0, value=234)
    bench.slave.answer = lambda request: [(0, request)]
    with pytest.raises(ReadError) as failure:
        await bench.modbus.write(1, reset, 0)
    assert failure.value.kind is Kind.TIMEOUT
    bench.slave.answer = lambda request: [(0, request), (0.02, request)]
    await bench.modbus.write(2, reset, 0)
    assert bench.slave.requests[-1] == framed(b"\x02\x06\x00\x00\x00\xea")


async def test_nothing_is_written_before_a_read_has_shown_whether_the_line_echoes(bench: Bench) -> None:
    """The answer to a write is the request once more: an echo would pass for it."""
    bench.slave.answer = lambda request: [(0, request)]
    reset = Write(action=Action.RESET, function=6, address=0, value=234)
    with pytest.raises(ReadError) as failure:
        await bench.modbus.write(1, reset, 0)
    assert failure.value.kind is Kind.NOT_SENT
    assert bench.slave.requests == []


async def test_requests_keep_their_distance(bench: Bench) -> None:
    """The next request leaves 3.5 characters, or the bus's own gap, after the last byte of an answer."""
    bench.modbus = Modbus(bench.line, Transport.SERIAL, character_s=CHARACTER_S, gap_s=0.05)
    times: list[float] = []

    def answer(request: bytes) -> Pieces:
        times.append(time.monotonic())
        return [(0, registers(request, 1, 2))]

    bench.slave.answer = answer
    for _ in range(3):
        await bench.modbus.read(ASK)
    assert all(after - before >= 0.05 for before, after in itertools.pairwise(times))


async def test_a_babbling_line_delays_but_never_blocks(bench: Bench) -> None:
    """Noise without end ends each read in a bounded time."""
    noise_of = random.Random(3)

    async def babble() -> None:
        while True:
            bench.slave.send(noise_of.randbytes(20))
            await asyncio.sleep(0.005)

    noise = asyncio.create_task(babble())
    started = time.monotonic()
    bench.slave.answer = lambda _: []
    for unit in (1, 2):
        with pytest.raises(ReadError) as failure:
            await bench.modbus.read(replace(ASK, unit=unit))
        assert failure.value.kind in (Kind.GARBAGE, Kind.WRONG_UNIT)  # noise may look like a frame
    noise.cancel()
    assert time.monotonic() - started < 2.0


async def test_bytes_that_come_before_a_request_put_it_off(bench: Bench) -> None:
    """Nothing goes out while they come, nor until the line has rested; they are never the answer's."""
    await bench.modbus.read(ASK)
    waits = asyncio.create_task(bench.modbus.read(replace(ASK, gap_s=0.1)))
    for _ in range(3):
        await asyncio.sleep(0.03)
        bench.slave.send(registers(b"\x01\x03", 0xDEAD, 0xDEAD))
        said_at = time.monotonic()
    assert await waits == (0x0102, 0x0304)
    assert bench.line.written_at is not None
    assert bench.line.written_at - said_at >= 0.1


async def test_a_driver_without_room_gets_the_rest_when_it_has_some(bench: Bench) -> None:
    """More bytes than a terminal holds arrive whole and in order once it is read."""
    bench.slave.answer = lambda _: []
    many = random.Random(4).randbytes(100_000)
    bench.line.write(many)
    await eventually(lambda: len(bench.slave.requests) == len(many) // 8, 5)
    assert b"".join(bench.slave.requests) == many


async def test_an_unplugged_port_is_lost_and_can_be_opened_again(bench: Bench) -> None:
    """The read under way says that the line is lost; nothing hangs."""
    bench.slave.answer = lambda _: []
    asyncio.get_running_loop().call_later(0.05, bench.slave.close)
    await _fails(bench, Kind.LINE_LOST, replace(ASK, timeout_s=5.0))
    bench.line.close()
    with pytest.raises(LineError):
        await bench.line.open()


async def test_a_port_is_locked_for_one_agent(bench: Bench) -> None:
    """A second opener is refused with the reason."""
    second = SerialLine(bench.slave.path, 9600, "N", 1)
    with pytest.raises(LineError, match="lock"):
        await second.open()


TcpAnswer = Callable[[bytes], list[bytes]]


class TcpBench:
    """A master and a Modbus TCP server whose frames the test writes."""

    def __init__(self) -> None:
        self.answer: TcpAnswer = lambda request: [mbap(request, b"\x04\x00\x05\x00\x06")]
        self.idle = asyncio.Event()
        self.idle.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.idle.clear()
        with contextlib.suppress(ConnectionError):
            while request := await reader.read(12):
                for piece in self.answer(request):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.01)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.idle.set()


def mbap(request: bytes, data: bytes, transaction: int | None = None, unit: int | None = None) -> bytes:
    """An answer to `request`: byte count and data, or whatever else follows the function code."""
    number = request[:2] if transaction is None else transaction.to_bytes(2, "big")
    body = (request[6:7] if unit is None else bytes((unit,))) + request[7:8] + data
    return number + b"\0\0" + len(body).to_bytes(2, "big") + body


@pytest.fixture
async def tcp() -> AsyncIterator[tuple[TcpBench, Modbus, TcpLine]]:
    bench = TcpBench()
    server = await asyncio.start_server(bench.serve, "127.0.0.1", 0)
    line = TcpLine("127.0.0.1", server.sockets[0].getsockname()[1])
    await line.open()
    yield bench, Modbus(line, Transport.TCP), line
    line.close()
    server.close()
    await server.wait_closed()
    await asyncio.wait_for(bench.idle.wait(), 5)


Tcp = tuple[TcpBench, Modbus, TcpLine]


async def test_modbus_tcp_reads_in_any_pieces(tcp: Tcp) -> None:
    """Whole, and byte by byte."""
    bench, modbus, _ = tcp
    assert await modbus.read(ASK) == (5, 6)
    bench.answer = lambda request: [bytes((byte,)) for byte in mbap(request, b"\x04\x00\x07\x00\x08")]
    assert await modbus.read(replace(ASK, timeout_s=1.0)) == (7, 8)


async def test_an_answer_of_another_transaction_is_discarded(tcp: Tcp) -> None:
    """A late frame with an old id comes first; and alone it is no answer."""
    bench, modbus, _ = tcp
    late = b"\x04\xde\xad\xde\xad"
    bench.answer = lambda request: [mbap(request, late, transaction=999) + mbap(request, b"\x04\0\1\0\2")]
    assert await modbus.read(ASK) == (1, 2)
    bench.answer = lambda request: [mbap(request, late, transaction=999)]
    with pytest.raises(ReadError) as failure:
        await modbus.read(ASK)
    assert failure.value.kind is Kind.TIMEOUT


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda request: [mbap(request, b"\x04\0\1\0\2", unit=7)], Kind.WRONG_UNIT),
        (lambda request: [mbap(request, b"\x02\0\1")], Kind.WRONG_LENGTH),
        (lambda request: [mbap(request, b"\x04\0\1\0")], Kind.WRONG_LENGTH),
        (lambda request: [request[:4] + b"\0\3" + request[6:7] + b"\x83\x02"], Kind.EXCEPTION),
        (lambda _: [b"HTTP/1.1 400 Bad Request\r\n\r\n"], Kind.LINE_LOST),
    ],
)
async def test_a_wrong_tcp_answer_is_a_named_error(tcp: Tcp, answer: TcpAnswer, kind: Kind) -> None:
    """Unit, length, exception, and a peer that speaks something else."""
    bench, modbus, _ = tcp
    bench.answer = answer
    with pytest.raises(ReadError) as failure:
        await modbus.read(ASK)
    assert failure.value.kind is kind


async def test_a_connection_on_which_all_units_are_silent_is_taken_for_dead(tcp: Tcp) -> None:
    """Half-open: nothing comes back any more; after every unit has timed out the line is lost."""
    bench, modbus, _ = tcp
    units = (1, 2, 3, 4)
    for unit in units:
        await modbus.read(replace(ASK, unit=unit))
    bench.answer = lambda _: []
    kinds = []
    for unit in units:
        with pytest.raises(ReadError) as failure:
            await modbus.read(replace(ASK, unit=unit, timeout_s=0.03))
        kinds.append(failure.value.kind)
    assert kinds == [Kind.TIMEOUT, Kind.TIMEOUT, Kind.TIMEOUT, Kind.LINE_LOST]


async def test_a_refused_connection_names_the_place(tcp: Tcp) -> None:
    """The far end is off: LineError says where."""
    _, _, line = tcp
    line.close()
    nobody = TcpLine("127.0.0.1", 1)
    with pytest.raises(LineError, match=r"127\.0\.0\.1:1"):
        await nobody.open()


def test_the_slaves_crc_is_the_standards() -> None:
    """The documented request `01 03 00 00 00 01 84 0A`."""
    assert crc(bytes.fromhex("010300000001")) == bytes.fromhex("840a")
