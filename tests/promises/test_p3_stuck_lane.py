"""P3: a gateway that beats and whose events do not arrive watches nobody, and says so itself.

Real database, real worker, a real telephone; time is moved.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from central import pipeline
from central.store.overview import overview
from tests.harness.acting import Centre, acting_centre, tell
from tests.harness.town import batch, event, send
from wire.messages import BusStatus, EventKind


@pytest.fixture
async def centre(database: str) -> AsyncIterator[Centre]:
    """Both gateways are heard, and both detectors answer."""
    async with acting_centre(database) as made:
        await made.listen()
        for gateway in ("gw-1", "gw-2"):
            await made.heartbeat(gateway)
        await send(made.town, batch([event(1, EventKind.SNAPSHOT, states={"det-1": [], "det-2": []})]))
        assert await watched(made) == (2, 2)
        yield made


async def test_events_that_wait_longer_than_thirty_seconds_are_one_incident(centre: Centre) -> None:
    """The heartbeat goes on; it names the homes; told once, and to the command centre when it lasts."""
    await centre.heartbeat(oldest_unacked_event_s=30.0, outbox_depth=7)
    assert await incidents(centre) == []
    for seconds in range(31, 1801, 30):
        await centre.heartbeat(oldest_unacked_event_s=float(seconds), outbox_depth=seconds)
        await centre.after(seconds=29)
        assert await watched(centre) == (0, 2)
    await centre.heard(*tell(0, "lead", "fitter"))
    await centre.after(minutes=2)
    await centre.heard(*tell(1, "desk"))
    assert await incidents(centre) == [("events_stuck", "active_unacknowledged")]
    row = await centre.town.one("SELECT detail FROM alarm")
    assert (row["detail"]["count"], len(set(row["detail"]["homes"]))) == (2, 2)


async def test_a_brief_heartbeat_tells_the_lane_and_leaves_all_else_as_it_was(centre: Centre) -> None:
    """It saves mobile data and may hide nothing: the stuck bus stays stuck, the stuck lane is told."""
    late = [BusStatus("bus-1", up=True, lap_age_s=61.0)]
    await centre.heartbeat(buses=late, config_hash="c" * 64)
    assert await incidents(centre) == [("bus_stuck", "active_unacknowledged")]
    await centre.heartbeat(brief=True, oldest_unacked_event_s=31.0, outbox_depth=4)
    await centre.heartbeat(brief=True, oldest_unacked_event_s=61.0, outbox_depth=5)
    assert sorted(await incidents(centre)) == [
        ("bus_stuck", "active_unacknowledged"),
        ("events_stuck", "active_unacknowledged"),
    ]
    row = await centre.town.one("SELECT status FROM lease WHERE gateway = 'gw-1'")
    kept = row["status"]
    assert (kept["config_hash"], kept["outbox_depth"]) == ("c" * 64, 5)
    assert kept["buses"][0]["lap_age_s"] == 61.0
    await centre.heartbeat(brief=True)
    assert ("events_stuck", "closed") in await incidents(centre)
    assert ("bus_stuck", "active_unacknowledged") in await incidents(centre)
    await centre.heartbeat(buses=[BusStatus("bus-1", up=True, lap_age_s=1.0)])
    assert ("bus_stuck", "closed") in await incidents(centre)


async def test_it_closes_with_the_first_heartbeat_that_says_so(centre: Centre) -> None:
    """By itself, without a further message; a second time is another incident."""
    for _ in range(2):
        await centre.heartbeat(oldest_unacked_event_s=31.0, outbox_depth=7)
        await centre.heard(*tell(0, "lead", "fitter"))
        await centre.heartbeat(oldest_unacked_event_s=0.4, outbox_depth=1)
        assert await watched(centre) == (2, 2)
        await centre.after(hours=1)
        await centre.heartbeat()
        await centre.heard()
    assert await incidents(centre) == [("events_stuck", "closed")] * 2
    row = await centre.town.one("SELECT DISTINCT closed_by, disposition FROM alarm")
    assert row == {"closed_by": "system", "disposition": "returned_to_normal"}


async def test_a_silent_neighbour_leaves_the_others_watched(centre: Centre) -> None:
    """One gateway falls silent, the other goes on: one incident, and only its own homes are unwatched."""
    for _ in range(19):
        centre.town.time.forward(seconds=5)
        await centre.listen()
        await centre.heartbeat("gw-1")
    async with centre.town.store.transaction() as tx:
        assert await pipeline.sweep(tx) == 1
    await centre.heard(*tell(0, "lead", "fitter"))
    row = await centre.town.one("SELECT gateway, condition, detail FROM alarm")
    assert (row["gateway"], row["condition"], row["detail"]["count"]) == ("gw-2", "gateway_silent", 0)
    assert await watched(centre) == (2, 2)
    await centre.heartbeat("gw-2")
    await centre.heard()
    assert await incidents(centre) == [("gateway_silent", "closed")]


async def watched(centre: Centre) -> tuple[int, int]:
    """How many detectors the overview counts as watched, of how many."""
    async with centre.town.store.transaction() as tx:
        seen = await overview(tx)
    return seen.watched, seen.detectors


async def incidents(centre: Centre) -> list[tuple[str, str]]:
    rows = await centre.town.rows("SELECT condition, state FROM alarm ORDER BY id")
    return [(row["condition"], row["state"]) for row in rows]
