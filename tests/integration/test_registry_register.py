"""Registering one thing at a time: moves, clashes, configurations, epochs; on a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from central.ending import end
from central.registry.errors import MissingError, RegistryError, TakenError
from central.registry.kinds import Bus, Contact, Detector, Gateway, Household, Placement, Record, Worker
from central.registry.register import place, register, remove
from central.registry.watching import new_epoch, read_config, rebuild, stand_down
from central.store import audit
from central.store import registry as rows
from central.store.errors import StoreRefused
from central.store.pool import Tx
from central.store.tokens import find_token, make_token, revoke_token
from tests.harness.street import PROFILES, fill, opened
from wire.messages import GatewayConfig

BEDROOM = Placement(household="xh-b1-602", gateway="gw-ja-1", bus="line-1", unit=9, spot="卧室")


async def test_moving_a_detector_ends_one_placement_begins_another_and_tells_both_gateways(database: str):
    """The home of an alarm is the placement valid at its event, so the past stays."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            told = await place(tx, "d-0001", BEDROOM, by="wu", profiles=PROFILES)
            places = await rows.placements(tx, "d-0001")
            noted = await audit.about(tx, "detector:d-0001")
        assert told == ("gw-ja-1", "gw-xh-1")
        assert [(one["household"], one["to_at"]) for one in places] == [
            ("xh-b1-301", places[1]["from_at"]),
            ("xh-b1-602", None),
        ]
        assert [(row["who"], row["action"]) for row in noted] == [("wu", "register_detector")]


async def test_moving_twice_at_one_moment_is_still_a_history(database: str):
    """Two moves in one transaction keep their order."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            await place(tx, "d-0006", BEDROOM, by="wu", profiles=PROFILES)
            await remove(tx, "d-0006", by="wu")
            await place(tx, "d-0006", BEDROOM, by="wu", profiles=PROFILES)
            places = await rows.placements(tx, "d-0006")
        assert len(places) == 2
        assert places[0]["from_at"] < places[0]["to_at"] <= places[1]["from_at"]


async def test_only_a_persons_word_has_a_gateway_watch_nothing(database: str):
    """Taking the last detector away by name says so; a registry that merely came out empty does not."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            hanging = [row["detector"] for row in await rows.watched(tx, "gw-xh-1") if row["detector"]]
            with pytest.raises(RegistryError, match=f"still watches {len(hanging)} detectors"):
                await stand_down(tx, "gw-xh-1", "wu")
            with pytest.raises(MissingError):
                await stand_down(tx, "gw-none", "wu")
            flags = []
            for detector in hanging:
                await remove(tx, detector, by="wu")
                flags.append(await _may_watch_nothing(tx))
            assert flags == [False] * (len(hanging) - 1) + [True]
            await rebuild(tx, "gw-xh-1", "import", again=True)
            assert not await _may_watch_nothing(tx)
            assert await stand_down(tx, "gw-xh-1", "wu") is not None
            assert await _may_watch_nothing(tx)
            assert [row["action"] for row in await audit.about(tx, "gateway:gw-xh-1")][-1:] == [
                "stand_down_gateway"
            ]


async def _may_watch_nothing(tx: Tx) -> bool:
    latest = await rows.latest_config(tx, "gw-xh-1")
    assert latest is not None
    return read_config(latest["body"]).may_watch_nothing


async def test_an_address_that_is_held_is_refused_with_its_holder(database: str):
    """Nothing changes, and the installer is told who is there."""
    async with opened(database) as store:
        await fill(store)
        taken = Placement(household="xh-b1-602", gateway="gw-xh-1", bus="line-1", unit=3)
        async with store.transaction() as tx:
            with pytest.raises(TakenError, match="held by detector d-0003 in household xh-b2-101"):
                await place(tx, "d-0006", taken, by="wu", profiles=PROFILES)
        async with store.transaction() as tx:
            assert await rows.current_placement(tx, "d-0006") is None


async def test_what_is_wrong_is_said_before_anything_is_saved(database: str):
    """Unknown model, unknown home, impossible unit, unknown detector, a bus that cannot be."""
    async with opened(database) as store:
        await fill(store)
        worker = Worker(id="w-9", area="danshuichi", name="九", role="grid_worker")
        broken = Contact(channel="smtp", address="a\x00b")
        cases = [
            (Detector(id="d-1", profile="no-such"), RegistryError, "no device profile"),
            (Household(id="h-1", building="none", room="1"), MissingError, "there is no building"),
            (Bus(gateway="gw-xh-1", id="l", address="x", baud=1), RegistryError, "baud"),
            (Bus(gateway="gw-xh-1", id="l", transport="tcp", address="box"), RegistryError, "host:port"),
            (Gateway(id="GW", area="danshuichi"), RegistryError, "is not an id"),
            (Gateway(id="gw-xh-1", area="danshuichi", name="x\ny"), RegistryError, "control character"),
            (replace(worker, contacts=(broken,)), RegistryError, "channel 'smtp' with an address of 3"),
        ]
        for record, kind, words in cases:
            with pytest.raises(kind, match=words):
                async with store.transaction() as tx:
                    await register(tx, record, by="wu", profiles=PROFILES)
        with pytest.raises(RegistryError, match="248 is outside"):
            async with store.transaction() as tx:
                far = Placement(household="xh-b1-602", gateway="gw-ja-1", bus="line-1", unit=248)
                await place(tx, "d-0001", far, by="wu", profiles=PROFILES)
        with pytest.raises(MissingError, match="hangs nowhere"):
            async with store.transaction() as tx:
                await remove(tx, "d-0006", by="wu")


async def test_equal_content_makes_no_new_configuration_and_a_change_wakes_ingest(database: str):
    """Versions grow only with the content; NOTIFY config names the gateway's change."""
    async with opened(database) as store:
        await fill(store)
        woken = asyncio.Event()
        listener = asyncio.create_task(store.listen("config", woken.set))
        try:
            await asyncio.wait_for(woken.wait(), 10)
            woken.clear()
            async with store.transaction() as tx:
                assert await rebuild(tx, "gw-xh-1", "wu") is None
                same = Gateway(id="gw-xh-1", area="danshuichi", name="新名字")
                assert await register(tx, same, by="wu", profiles=PROFILES) == ()
                bus = Bus(gateway="gw-xh-1", id="line-1", address="/dev/ttyS1", baud=19200)
                assert await register(tx, bus, by="wu", profiles=PROFILES) == ("gw-xh-1",)
            await asyncio.wait_for(woken.wait(), 10)
            async with store.transaction() as tx:
                latest = await rows.latest_config(tx, "gw-xh-1")
            assert latest["version"] == 2
            assert read_config(latest["body"]).buses[0].baud == 19200
        finally:
            await end([listener])


async def test_a_gateway_cannot_change_its_area(database: str):
    """Its area is part of its topic."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            await tx.conn.execute("INSERT INTO area VALUES ('other', '别处')")
            with pytest.raises(TakenError, match="belongs to area danshuichi"):
                await register(tx, Gateway(id="gw-xh-1", area="other"), by="wu", profiles=PROFILES)


async def test_a_new_epoch_tells_every_gateway_again(database: str):
    """After a restore the gateways must know that this is another database."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            before = await rows.current_epoch(tx)
            epoch, told = await new_epoch(tx, "admin")
            config = read_config((await rows.latest_config(tx, "gw-ja-1"))["body"])
        assert epoch != before
        assert told == 2
        assert (config.epoch, config.version) == (epoch, 2)


async def test_a_token_is_found_until_it_is_revoked_or_expires(database: str):
    """Only its hash is on record; a name is used once at a time."""
    async with opened(database) as store:
        async with store.transaction() as tx:
            token = await make_token(tx, name="wu", role="installer")
            assert (await find_token(tx, token)).role == "installer"
            assert await find_token(tx, token[:-1]) is None
            row = await (await tx.conn.execute("SELECT hash FROM api_token")).fetchone()
            assert len(row["hash"]) == 32
            with pytest.raises(StoreRefused, match="in use"):
                await make_token(tx, name="wu", role="viewer")
        async with store.transaction() as tx:
            assert await revoke_token(tx, "wu") == 1
            assert await find_token(tx, token) is None


ZHANG = Worker(
    id="w-zhang",
    area="danshuichi",
    name="张敏",
    role="grid_worker",
    community="xinhe",
    phone="138-0000 0111",
    primary_grids=("xinhe-01",),
    backup_grids=("xinhe-02",),
)


async def test_whoever_answers_for_the_homes_is_called_by_the_gateway_and_knows_where(database: str):
    """Those with a number, the first to go first; the place without anybody's name."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            told = await register(tx, ZHANG, by="wu", profiles=PROFILES)
            config = await _config(tx, "gw-xh-1")
            names = [row["name"] for row in await rows.residents(tx)]
        assert told == ("gw-xh-1",)
        called = {one.phone: one.detectors for one in config.contacts}
        assert called["13800000111"] == [], "primary of one grid, backup of the other: all detectors"
        assert config.contacts[-1].phone == "13800000104", "the community's lead comes last"
        assert "13800000103" not in called, "another community's"
        places = {one.detector: one.place for bus in config.buses for one in bus.detectors}
        assert places["d-0001"] == "新河小区1栋 1单元 3层 301室 卧室"
        assert names
        assert not any(name in place for name in names for place in places.values())


async def test_another_number_duty_or_address_makes_another_configuration(database: str):
    """And the same again makes none."""
    async with opened(database) as store:
        await fill(store)

        async def told(record: Record) -> tuple[str, ...]:
            async with store.transaction() as tx:
                return await register(tx, record, by="wu", profiles=PROFILES)

        assert await told(ZHANG) == ("gw-xh-1",)
        assert await told(ZHANG) == ()
        assert await told(replace(ZHANG, phone="13800000199")) == ("gw-xh-1",)
        assert await told(replace(ZHANG, phone="13800000199", active=False)) == ("gw-xh-1",)
        assert await told(ZHANG) == ("gw-xh-1",)
        assert await told(replace(ZHANG, primary_grids=(), backup_grids=())) == ("gw-xh-1",)
        async with store.transaction() as tx:
            homes = await rows.households(tx, building="xh-b1")
        moved = next(home for home in homes if home["id"] == "xh-b1-301")
        home = Household(
            id=moved["id"], building=moved["building"], unit=moved["unit"], floor=moved["floor"], room="303"
        )
        assert await told(home) == ("gw-xh-1",)
        async with store.transaction() as tx:
            config = await _config(tx, "gw-xh-1")
        assert "303室" in next(
            d.place for bus in config.buses for d in bus.detectors if d.detector == "d-0001"
        )


async def test_a_number_that_no_gateway_could_call_is_refused(database: str):
    """At the desk, not when a detector is hung."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            with pytest.raises(RegistryError, match="telephone"):
                await register(tx, replace(ZHANG, phone="1 - -"), by="wu", profiles=PROFILES)


async def _config(tx: Tx, gateway: str) -> GatewayConfig:
    latest = await rows.latest_config(tx, gateway)
    assert latest is not None
    return read_config(latest["body"])
