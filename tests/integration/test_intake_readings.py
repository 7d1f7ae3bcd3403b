"""Readings of many gateways in one transaction: each has its own cursor, a bad message hinders no other."""

from __future__ import annotations

import asyncio

from central.intake import Answer, Intake, Parcel
from tests.harness.street import opened
from tests.harness.town import AREA, BOOT, Town
from wire.codec import decode, encode
from wire.messages import Ack, Clock, ReadingBatch
from wire.topics import Channel, gateway_topic


def parcel(gateway: str, stream: str, first: int, rows: int = 3) -> Parcel:
    """Readings a second apart, of one detector."""
    batch = ReadingBatch(
        stream=stream * 32,
        first_seq=first,
        oldest_seq=1,
        boot=BOOT,
        clock=Clock(mono_ms=first, wall_ms=10_000),
        t=[10_000 - (rows - i) * 1000 for i in range(rows)],
        detector=["det-1"] * rows,
        smoke=[0.1] * rows,
    )
    topic = gateway_topic(AREA, gateway, Channel.READINGS)
    return Parcel(topic, encode(batch), False, asyncio.get_running_loop().time())


def told(answers: list[Answer]) -> list[tuple[str, int, int | None]]:
    """Gateway, cursor and echo of each answer."""
    acks = [(answer.topic.split("/")[3], decode(Channel.ACK, answer.payload)) for answer in answers]
    return [(gateway, ack.through_seq, ack.echo_ms) for gateway, ack in acks if isinstance(ack, Ack)]


async def test_each_gateway_is_answered_at_its_own_cursor(town: Town) -> None:
    """A repeat within the same transaction is stored once, one that is ahead not at all."""
    parcels = [parcel("gw-1", "a", 1), parcel("gw-2", "b", 1), parcel("gw-1", "a", 1), parcel("gw-1", "a", 4)]
    answers = await Intake(town.store).take([*parcels, parcel("gw-2", "c", 9)])
    assert told(answers) == [("gw-1", 3, 1), ("gw-2", 3, 1), ("gw-1", 3, 1), ("gw-1", 6, 4), ("gw-2", 0, 9)]
    stored = await town.rows(
        "SELECT gateway, count(*) AS n FROM readings JOIN series ON id = series GROUP BY 1 ORDER BY 1"
    )
    assert stored == [{"gateway": "gw-1", "n": 6}, {"gateway": "gw-2", "n": 3}]


async def test_a_message_that_cannot_be_read_hinders_no_other(town: Town) -> None:
    """It is put aside with the reason; the gateways beside it are answered."""
    bad = Parcel(
        gateway_topic(AREA, "gw-2", Channel.READINGS), b"{", False, asyncio.get_running_loop().time()
    )
    answers = await Intake(town.store).take([parcel("gw-1", "a", 1), bad, parcel("gw-1", "a", 4)])
    assert told(answers) == [("gw-1", 3, 1), ("gw-1", 6, 4)]
    assert (await town.one("SELECT gateway FROM quarantine"))["gateway"] == "gw-2"


async def test_when_they_cannot_be_stored_together_each_is_stored_alone(town: Town) -> None:
    """A database that refuses one gateway's rows takes those of the others."""
    await town.do("INSERT INTO series (gateway, detector) VALUES ('gw-1', 'det-1'), ('gw-2', 'det-1')")
    await town.do("ALTER TABLE readings ADD CONSTRAINT refused CHECK (series <> 2) NOT VALID")
    answers = await Intake(town.store).take(
        [parcel("gw-1", "a", 1), parcel("gw-2", "b", 1), parcel("gw-1", "a", 4)]
    )
    assert [gateway for gateway, _, _ in told(answers)] == ["gw-1", "gw-2", "gw-1"]
    stored = await town.rows(
        "SELECT gateway, count(*) AS n FROM readings JOIN series ON id = series GROUP BY gateway"
    )
    assert stored == [{"gateway": "gw-1", "n": 6}]
    assert "gw-2" in {row["gateway"] for row in await town.rows("SELECT gateway FROM quarantine")}
    gap = await town.one("SELECT gateway, from_seq, to_seq FROM data_gap")
    assert gap == {"gateway": "gw-2", "from_seq": 1, "to_seq": 3}


async def test_a_connection_that_fails_in_a_way_of_its_own_costs_no_reading(town: Town) -> None:
    """It is left in pipeline mode, where COPY cannot be: they go in over another, and none is put aside."""
    async with opened(town.dsn, max_connections=1) as store:
        async with store.transaction() as tx:
            left = tx.conn.pipeline()
            await left.__aenter__()
        answers = await Intake(store).take([parcel("gw-1", "a", 1)])
    assert told(answers) == [("gw-1", 3, 1)]
    assert await town.one("SELECT count(*) AS n FROM readings") == {"n": 3}
    assert await town.one("SELECT count(*) AS n FROM quarantine") == {"n": 0}


async def test_readings_that_cannot_be_kept_at_all_are_not_answered(town: Town) -> None:
    """Neither as readings nor in quarantine: the gateway keeps them, and nothing is noted as lost."""
    await town.do("ALTER TABLE readings ADD CONSTRAINT refused CHECK (false) NOT VALID")
    await town.do("ALTER TABLE quarantine ADD CONSTRAINT refused CHECK (false) NOT VALID")
    assert await Intake(town.store).take([parcel("gw-1", "a", 1)]) == []
    assert await town.one("SELECT count(*) AS n FROM data_gap") == {"n": 0}
    await town.do("ALTER TABLE readings DROP CONSTRAINT refused")
    assert told(await Intake(town.store).take([parcel("gw-1", "a", 1)])) == [("gw-1", 3, 1)]
