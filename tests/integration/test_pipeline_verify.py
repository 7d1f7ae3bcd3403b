"""A second look at smoke: what else is on record around it calls the next ones at once."""

from __future__ import annotations

from central import pipeline
from tests.harness.town import Town, batch, event, open_town, send
from wire.messages import Condition, EventKind

SMOKE, HEAT = Condition.SMOKE, Condition.HEAT
A, C = EventKind.ASSERT, EventKind.CLEAR


async def verify(town: Town) -> int:
    async with town.store.transaction() as tx:
        return await pipeline.verify(tx)


async def test_a_second_detector_of_the_building_tells_everybody_of_the_climb_at_once(database: str) -> None:
    """The first message is there before anybody looks; both alarms are raised, once, with their reason."""
    town = await open_town(database)
    await send(town, batch([event(1, A, SMOKE)]))
    assert await town.told() == [("primary", "alarm", 1, 0)]
    assert await verify(town) == 1
    assert await town.told() == [("primary", "alarm", 1, 0)]
    town.time.forward(seconds=10)
    assert await verify(town) == 0, "its row says when it is looked at again"
    await send(town, batch([event(2, A, SMOKE, detector="det-2")]))
    town.time.forward(seconds=5)
    assert await verify(town) == 2
    told = await town.told()
    assert sorted(told[2:]) == sorted(
        [("backup", "alarm", 1, 1), ("lead", "alarm", 1, 1), ("desk", "alarm", 1, 2)] * 2
    )
    rows = await town.rows("SELECT grade, verify_at, detail FROM alarm ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [("grave", None, {"grounds": ["neighbour"]})] * 2
    lines = await town.rows("SELECT reason, detail FROM alarm_log WHERE what = 'raised'")
    assert [tuple(line.values()) for line in lines] == [("verified", {"grounds": ["neighbour"]})] * 2
    town.time.forward(minutes=5)
    assert await verify(town) == 0
    await town.store.close()


async def test_a_clock_that_is_set_back_keeps_nobody_from_looking_again(database: str) -> None:
    """The next look would lie an hour ahead, and a second detector's smoke would raise nothing."""
    town = await open_town(database)
    await send(town, batch([event(1, A, SMOKE)]))
    assert await verify(town) == 1
    town.time.forward(hours=-1)
    assert await verify(town) == 1
    assert await verify(town) == 0, "the new time is the one that counts"
    await town.store.close()


async def test_rising_heat_and_who_lies_in_bed_are_found_on_record(database: str) -> None:
    """The household raises it, the temperature makes it grave; closed alarms next door do not count."""
    town = await open_town(database)
    await town.do("UPDATE resident SET needs = '卧床'")
    await send(town, batch([event(1, A, SMOKE)]))
    await verify(town)
    assert (await town.told())[1:] == [("backup", "alarm", 1, 1), ("lead", "alarm", 1, 1)]
    await town.do("INSERT INTO series (gateway, detector) VALUES ('gw-1', 'det-1')")
    await town.do(
        "INSERT INTO readings (at, received_at, series, temperature)"
        " SELECT now() - (3 - n) * interval '1 minute', now(), 1, 20 + 5 * n FROM generate_series(0, 2) n"
    )
    town.time.forward(seconds=15)
    await verify(town)
    assert (await town.told())[3:] == [("desk", "alarm", 1, 2)]
    row = await town.one("SELECT grade, detail FROM alarm")
    assert row == {"grade": "grave", "detail": {"grounds": ["rising_heat", "bedridden"]}}
    await town.store.close()
