"""Existing transmitters report by GB/T 26875.3: it becomes alarms, and is confirmed when it is safe."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from central import pipeline, transmitters
from central.config import TransmitterSettings, TransmittersSettings
from central.ending import end
from central.engine.model import Act, ActKind, Disposition
from central.transmitters import Transmitters
from simulator.parts import free_port
from tests.harness.fire_centre import ANSWER, CONFIRM, DENY, SEND, TRANSMITTER, US, number, put_together
from tests.harness.town import Town
from tests.harness.wait import eventually

GATEWAY, STRANGER = "gw-2", 4711
# As a maker has published it: 2号10区 感烟 火警.
FIRE = bytes.fromhex(
    "40 40 01 00 01 01 20 3A 09 1A 09 0C 79 03 00 00 00 00 38 5B 01 00 00 00 30 00 02 02 01 01 01 28 0A 00 02"
    " 00 02 00" + " 20" * 30 + " 00 02 3A 09 1A 09 0C 46 23 23"
)
DETECTOR = "gw-2-1-10-2"


class Line:
    """A transmitter's end of a TCP connection; what comes is taken down."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.came: list[tuple[int, int, bytes]] = []
        """Serial, command, data."""
        self.task = asyncio.create_task(self._read(reader))

    async def say(self, said: bytes) -> tuple[int, int]:
        """Send a packet; the serial and command of what comes next."""
        before = len(self.came)
        self.writer.write(said)
        await eventually(lambda: len(self.came) > before, 10, "an answer")
        return self.came[before][:2]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(27)
                rest = await reader.readexactly(3 + number(head[24:26]))
                assert (number(head[12:18]), number(head[18:24])) == (US, TRANSMITTER)
                self.came.append((number(head[2:4]), head[26], rest[:-3]))


@asynccontextmanager
async def hearing(town: Town) -> AsyncIterator[int]:
    """The listener runs; gives its port."""
    port = free_port()
    known = (TransmitterSettings(TRANSMITTER, GATEWAY), TransmitterSettings(STRANGER, "gw-unknown"))
    settings = TransmittersSettings("127.0.0.1", port, US, known)
    task = asyncio.create_task(Transmitters(town.store, settings).run())
    try:
        yield port
    finally:
        await end([task])


@asynccontextmanager
async def line(town: Town) -> AsyncIterator[Line]:
    async with hearing(town) as port:

        async def connect() -> Line | None:
            with contextlib.suppress(OSError):
                return Line(*await asyncio.open_connection("127.0.0.1", port))
            return None

        connected = await eventually(connect, 10, "it listens")
        yield connected
        connected.writer.transport.abort()
        await end([connected.task])


def packet(serial: int, words: str, command: int = SEND, source: int = TRANSMITTER) -> bytes:
    return put_together(serial, command, bytes.fromhex(words), source, US)


def component(state: str) -> str:
    return f"02 01 01 01 28 0A 00 02 00 {state} " + "20" * 30 + "00 02 3A 09 1A 09 0C"


async def alarms(town: Town) -> list[tuple[str, str, str]]:
    rows = await town.rows("SELECT part, condition, state FROM alarm ORDER BY id")
    return [(row["part"], row["condition"], row["state"]) for row in rows]


async def test_a_fire_is_confirmed_when_it_is_committed_and_not_before(town: Town) -> None:
    """The maker's own packet, byte for byte; while the transaction cannot end there is no answer."""
    async with line(town) as transmitter:
        async with town.store.transaction() as tx:
            await tx.conn.execute("LOCK TABLE alarm IN ACCESS EXCLUSIVE MODE")
            transmitter.writer.write(FIRE)

            async def waits() -> bool:
                asked = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"
                row = await (await tx.conn.execute(asked)).fetchone()
                return row is not None and row["n"] > 0

            await eventually(waits, 10, "it waits for the table")
            assert transmitter.came == []
        await eventually(lambda: transmitter.came, 10, "the confirmation")
    assert transmitter.came == [(1, CONFIRM, b"")]
    assert await alarms(town) == [(DETECTOR, "smoke", "active_unacknowledged")]
    row = await town.one("SELECT address_known, area, gateway, opened_at - event_at AS age FROM alarm")
    assert (row["address_known"], row["area"], row["gateway"]) == (False, "street", GATEWAY)
    assert 29 < row["age"].total_seconds() < 32  # it told after 30 s, by its own clock of 2012


async def test_a_fire_with_a_serial_number_that_was_there_is_a_fire(town: Town) -> None:
    """Sent again it is the same alarm; after a person has closed that, it burns again."""
    async with line(town) as transmitter:
        assert [await transmitter.say(FIRE) for _ in range(2)] == [(1, CONFIRM)] * 2
        assert len(await alarms(town)) == 1
        for act in (Act(ActKind.ACKNOWLEDGE), Act(ActKind.CLOSE, Disposition.FALSE_ALARM)):
            async with town.store.transaction() as tx:
                await pipeline.act(tx, 1, act, "primary", "test")
        assert await transmitter.say(packet(1, component("01 00"))) == (1, CONFIRM)
        assert await transmitter.say(FIRE) == (1, CONFIRM)
    assert [state for _, _, state in await alarms(town)][-1] == "active_unacknowledged"


async def test_a_registered_detector_has_its_home_and_a_normal_state_clears_it(town: Town) -> None:
    """A test in between ends nothing; a fault beside it is an alarm of its own."""
    await town.do("INSERT INTO detector VALUES (%s, 'smokewatch-reference')", DETECTOR)
    await town.do(
        "INSERT INTO placement (detector, household, gateway, bus, unit, spot, from_at)"
        " VALUES (%s, 'h1', 'gw-2', 'bus-1', 1, '走廊', now() - interval '1 day')",
        DETECTOR,
    )
    async with line(town) as transmitter:
        for serial, state in enumerate(("03 00", "00 00", "05 00")):
            assert await transmitter.say(packet(serial, component(state))) == (serial, CONFIRM)
            if serial < 2:
                assert await alarms(town) == [(DETECTOR, "smoke", "active_unacknowledged")]
    assert await alarms(town) == [
        (DETECTOR, "smoke", "cleared_unacknowledged"),
        (DETECTOR, "fault", "active_unacknowledged"),
    ]
    assert (await town.rows("SELECT household FROM alarm"))[0]["household"] == "h1"


async def test_what_is_broken_or_cannot_be_read_is_denied_and_people_learn_of_it(town: Town) -> None:
    """And what follows is taken; a stranger, and one that nobody has registered, get no alarm opened."""
    async with line(town) as transmitter:
        wrong_sum = FIRE[:-3] + bytes([FIRE[-3] ^ 1]) + FIRE[-2:]
        assert await transmitter.say(wrong_sum) == (1, DENY)
        assert await alarms(town) == []
        assert await transmitter.say(packet(2, "02 01 01 01 28")) == (2, DENY)
        row = await town.one("SELECT condition, detail FROM alarm")
        assert row["condition"] == "system"
        assert "可能是火警" in row["detail"]["text"]
        assert len(await town.rows("SELECT FROM quarantine WHERE gateway = %s", GATEWAY)) == 1
        transmitter.writer.write(packet(3, component("03 00"), source=1))
        assert await transmitter.say(packet(4, "", command=1)) == (4, DENY)
        assert await transmitter.say(packet(5, "")) == (5, CONFIRM)
        assert await transmitter.say(b"??" + packet(6, "19 01 01 01")) == (6, CONFIRM)
    assert len(await alarms(town)) == 1
    assert [row["kind"] for row in await town.rows("SELECT kind FROM event")] == ["note"]


async def test_a_transmitter_lives_while_it_answers(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for its state; that renews its lease, and what the state says is taken."""
    monkeypatch.setattr(transmitters, "ASK_S", 0.1)
    await town.do("UPDATE lease SET silent_since = now(), heard_at = now() - interval '1 hour'")
    async with line(town) as transmitter:
        assert await transmitter.say(packet(0, "")) == (0, CONFIRM)
        before = await town.one("SELECT heard_at, silent_since FROM lease WHERE gateway = %s", GATEWAY)
        assert before["silent_since"] is None
        await eventually(lambda: transmitter.came[1:], 10, "a question")
        serial, command, data = transmitter.came[1]
        assert (command, data) == (4, bytes([81, 1, 0]))
        transmitter.writer.write(packet(serial, "15 01 08 02 3A 09 1A 09 0C", command=ANSWER))
        await eventually(lambda: alarms(town), 10, "its mains are lost")
        after = await town.one("SELECT heard_at FROM lease WHERE gateway = %s", GATEWAY)
        assert after["heard_at"] > before["heard_at"]
        assert all(command == 4 for _, command, _ in transmitter.came[1:])
    assert await alarms(town) == [("", "mains_lost", "active_unacknowledged")]


async def test_over_udp_each_datagram_is_answered_to_its_sender(town: Town) -> None:
    """The same packet."""
    async with hearing(town) as port:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.connect(("127.0.0.1", port))

            def answered() -> bytes:
                with contextlib.suppress(OSError):
                    sender.send(FIRE)
                    return sender.recv(2048)
                return b""

            answer = await eventually(answered, 10, "an answer")
    assert (number(answer[2:4]), answer[26]) == (1, CONFIRM)
    assert await alarms(town) == [(DETECTOR, "smoke", "active_unacknowledged")]
