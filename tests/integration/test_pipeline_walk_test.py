"""A walk test on record: test smoke calls nobody, and whatever stays, is odd or falls silent is smoke."""

from __future__ import annotations

from datetime import timedelta

import pytest

from central import pipeline
from central.registry.windows import NewWindow, end_window, open_window
from tests.harness.town import Town, batch, event, open_town, send
from wire.messages import Condition, EventKind

A, C, SNAPSHOT = EventKind.ASSERT, EventKind.CLEAR, EventKind.SNAPSHOT
SMOKE, SILENT = Condition.SMOKE, Condition.NO_RESPONSE


async def walking(database: str) -> Town:
    """A walk test of one detector for half an hour."""
    town = await open_town(database)
    async with town.store.transaction() as tx:
        new = NewWindow(
            kind="walk_test",
            detectors=("det-1",),
            why="年检",
            ends=tx.now + timedelta(minutes=30),
            person="fitter",
        )
        assert await open_window(tx, new, by="test") == 1
    return town


async def tick(town: Town) -> int:
    async with town.store.transaction() as tx:
        return await pipeline.run_held(tx)


async def smoke(town: Town) -> list[tuple[str, str, int, int]]:
    """Who was told of the one smoke alarm."""
    assert len(await town.rows("SELECT FROM alarm WHERE condition = 'smoke' AND state <> 'closed'")) == 1
    return sorted(await town.told())


TOLD = [("desk", "alarm", 1, 0), ("fitter", "alarm", 1, 0), ("primary", "alarm", 1, 0)]


async def test_smoke_that_goes_within_three_minutes_was_a_test_and_the_next_is_one_again(
    database: str,
) -> None:
    """On record as a pressed test button is; a snapshot meanwhile changes nothing."""
    town = await walking(database)
    await send(town, batch([event(1, A, SMOKE, window="1")]))
    alarms = "SELECT condition, state, detail FROM alarm ORDER BY id"
    row = await town.one(alarms)
    assert (row["condition"], row["detail"]["walk_test"]) == ("test", 1)
    await send(town, batch([event(2, SNAPSHOT, states={"det-1": [SMOKE], "det-2": []})]))
    town.time.forward(minutes=2)
    assert await tick(town) == 0
    await send(town, batch([event(3, C, SMOKE), event(4, A, SMOKE, window="1"), event(5, C, SMOKE)]))
    town.time.forward(minutes=5)
    assert (await tick(town), await town.told()) == (0, [])
    assert [(row["condition"], row["state"]) for row in await town.rows(alarms)] == [("test", "closed")] * 2
    await town.store.close()


async def test_smoke_that_stays_over_three_minutes_is_smoke(database: str) -> None:
    """With its own time, told as any other and to who is on site; the test is over."""
    town = await walking(database)
    await send(town, batch([event(1, A, SMOKE, window="1")]))
    town.time.forward(minutes=2, seconds=58)
    assert (await tick(town), await town.told()) == (0, [])
    town.time.forward(seconds=3)
    assert await tick(town) == 1
    assert await smoke(town) == TOLD
    row = await town.one(
        "SELECT late, round, event, opened_at - event_at AS later FROM alarm WHERE condition = 'smoke'"
    )
    assert (row["late"], row["round"], row["event"], row["later"] > timedelta(minutes=3)) == (
        False,
        1,
        1,
        True,
    )
    assert (await town.one("SELECT state FROM alarm WHERE condition = 'test'"))["state"] == "closed"
    await send(town, batch([event(2, C, SMOKE)]))
    assert (await town.one("SELECT state FROM alarm WHERE condition = 'smoke'"))[
        "state"
    ] == "cleared_unacknowledged"
    await town.store.close()


async def test_a_clock_that_is_set_back_keeps_no_smoke_for_a_test(database: str) -> None:
    """Its three minutes would last an hour more."""
    town = await walking(database)
    town.time.forward(minutes=1)
    await send(town, batch([event(1, A, SMOKE, window="1")]))
    town.time.forward(hours=-1)
    assert await tick(town) == 1
    assert ("primary", "alarm", 1, 0) in await smoke(town)
    await town.store.close()


async def test_what_is_still_there_when_somebody_ends_the_walk_test_is_smoke(database: str) -> None:
    """At once, not when its three minutes are over."""
    town = await walking(database)
    await send(town, batch([event(1, A, SMOKE, window="1")]))
    async with town.store.transaction() as tx:
        await end_window(tx, 1, by="test")
    assert await tick(town) == 1
    assert await smoke(town) == [("primary", "alarm", 1, 0)]
    await town.store.close()


@pytest.mark.parametrize(
    "odd",
    [
        event(1, A, SMOKE),
        event(1, A, SMOKE, window="2"),
        event(1, A, SMOKE, detector="det-2", window="1"),
        event(1, SNAPSHOT, states={"det-1": [SMOKE]}),
    ],
    ids=["no number", "another number", "another detector", "not told as news"],
)
async def test_whatever_is_odd_is_smoke_at_once(database: str, odd: object) -> None:
    """A gateway that knows of no walk test, or of another; a detector that it does not name."""
    town = await walking(database)
    await send(town, batch([odd]))
    assert ("primary", "alarm", 1, 0) in await smoke(town)
    await town.store.close()


@pytest.mark.parametrize(
    "lost",
    [event(2, A, SILENT), event(2, A, Condition.BUS_DOWN, bus="bus-1"), event(2, A, SMOKE)],
    ids=["detector", "line", "said again without the number"],
)
async def test_test_smoke_of_what_falls_silent_or_is_said_without_its_number_is_smoke(
    database: str, lost: object
) -> None:
    """Nobody can see any more that it goes; or the gateway has started anew and knows of no walk test."""
    town = await walking(database)
    await send(town, batch([event(1, A, SMOKE, window="1")]))
    assert await town.told() == []
    await send(town, batch([lost]))
    assert set(TOLD) <= set(await smoke(town))
    assert (await tick(town), await town.rows("SELECT FROM held_smoke")) == (0, [])
    await town.store.close()
