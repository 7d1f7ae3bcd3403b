"""P4: an answer ends the climb and not the duty: what was taken and not finished comes back before people."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from central.engine.model import ActKind, Disposition, NotAllowed
from central.engine.model import Cause as Why
from central.store.errors import StoreRefused
from tests.harness.acting import Centre, acting_centre, tell
from tests.harness.web import client, token_for
from wire.messages import EventKind

ON, OFF = EventKind.ASSERT, EventKind.CLEAR
ALL = ("primary", "backup", "lead", "desk")
ACK, CLOSE = ActKind.ACKNOWLEDGE, ActKind.CLOSE


@pytest.fixture
async def centre(database: str) -> AsyncIterator[Centre]:
    async with acting_centre(database) as made:
        await made.smoke(ON)
        await made.heard(*tell(0, "primary"))
        yield made


async def test_an_answer_at_any_moment_of_the_climb_ends_it(centre: Centre) -> None:
    """By somebody called second; nobody is called again before the twenty minutes are over."""
    await centre.after(seconds=91)
    await centre.heard(*tell(1, "backup", "lead"))
    await centre.act(ACK, "backup")
    for _ in range(19):
        await centre.after(minutes=1)
        await centre.heard()
    assert await centre.alarm() == ("active_acknowledged", 1)


async def test_thirty_minutes_without_a_disposition_call_the_command_centre_again(centre: Centre) -> None:
    """Once every thirty minutes, until somebody says what it was; then never again."""
    await centre.act(ACK)
    await centre.smoke(OFF)
    await centre.after(minutes=29, seconds=59)
    await centre.heard()
    await centre.after(seconds=2)
    await centre.heard(*tell(0, "desk", purpose="disposition"))
    await centre.after(minutes=29, seconds=59)
    await centre.heard()
    await centre.after(seconds=2)
    await centre.heard(*tell(1, "desk", purpose="disposition"))
    await centre.act(CLOSE, disposition=Disposition.FALSE_ALARM, cause=Why.COOKING)
    await centre.after(hours=5)
    await centre.heard()
    assert await centre.alarm() == ("closed", 1)


async def test_smoke_twenty_minutes_after_the_answer_is_unanswered_again(centre: Centre) -> None:
    """The same alarm in a new round, which climbs from its foot to the command centre."""
    await centre.act(ACK)
    await centre.after(minutes=19, seconds=59)
    await centre.heard()
    await centre.after(seconds=2)
    await centre.heard(*tell(0, "primary", round_=2))
    assert await centre.alarm() == ("active_unacknowledged", 2)
    await centre.after(seconds=91)
    await centre.heard(*tell(1, "backup", "lead", round_=2))
    await centre.after(seconds=90)
    await centre.heard(*tell(2, "desk", round_=2))
    await centre.act(ACK, "lead")
    assert await centre.alarm() == ("active_acknowledged", 2)


async def test_smoke_that_returns_after_an_answered_clear_is_a_new_round(centre: Centre) -> None:
    """The first answer was to the first smoke: everybody is called anew, from the foot of the climb."""
    await centre.act(ACK)
    await centre.smoke(OFF)
    await centre.after(minutes=5)
    await centre.smoke(ON)
    await centre.heard(*tell(0, "primary", round_=2))
    assert await centre.alarm() == ("active_unacknowledged", 2)
    await centre.after(seconds=91)
    await centre.heard(*tell(1, "backup", "lead", round_=2))


async def test_smoke_that_comes_and_goes_cannot_keep_the_climb_at_its_foot(centre: Centre) -> None:
    """Unanswered, each return tells the first again and the climb goes on where it was."""
    for round_ in range(2, 5):
        await centre.smoke(OFF)
        await centre.after(seconds=29)
        await centre.smoke(ON)
        await centre.heard(*tell(0, "primary", round_=round_))
    await centre.after(seconds=4)
    await centre.heard(*tell(1, "backup", "lead", round_=4))
    await centre.after(seconds=90)
    await centre.heard(*tell(2, "desk", round_=4))
    await centre.after(seconds=180)
    await centre.heard(*tell(3, *ALL, round_=4))


async def test_no_way_closes_a_smoke_alarm_without_a_disposition(centre: Centre) -> None:
    """Engine, page, API and database refuse; nothing is changed, nobody is told; with one it closes."""
    await centre.act(ACK)
    await centre.smoke(OFF)
    store = centre.town.store
    with pytest.raises(NotAllowed):
        await centre.act(CLOSE)
    with pytest.raises(NotAllowed):
        await centre.act(CLOSE, disposition=Disposition.RETURNED_TO_NORMAL)
    async with client(store) as page:
        refused = await page.post(f"{centre.link}/close", data={"remark": "no word of what it was"})
        assert (refused.status_code, "请选择处置结果" in refused.text) == (409, True)
    async with client(store, await token_for(store, "dispatcher")) as api:
        for body in ({}, {"disposition": ""}, {"disposition": None}, {"disposition": "returned_to_normal"}):
            refused = await api.post("/api/alarms/1/close", json=body)
            assert 400 <= refused.status_code < 500, (body, refused.text)
        assert (await api.get("/api/alarms/1")).json()["alarm"]["state"] == "cleared_acknowledged"
    with pytest.raises(StoreRefused):
        await centre.town.do("UPDATE alarm SET state = 'closed', closed_at = now(), closed_by = 'desk'")
    assert await centre.alarm() == ("cleared_acknowledged", 1)
    async with client(store) as page:
        assert (await page.post(f"{centre.link}/close", data={"disposition": "real_fire"})).status_code == 303
    assert await centre.alarm() == ("closed", 1)
    await centre.heard()


async def test_what_was_said_while_it_still_smoked_does_not_keep_it_quiet(centre: Centre) -> None:
    """A disposition ends no smoke: after twenty minutes it is unanswered, and nothing said counts."""
    await centre.act(ACK)
    await centre.act(CLOSE, disposition=Disposition.FALSE_ALARM, cause=Why.COOKING)
    assert await centre.alarm() == ("active_acknowledged", 1)
    await centre.after(minutes=20, seconds=1)
    await centre.heard(*tell(0, "primary", round_=2))
    row = await centre.town.one("SELECT disposition, acknowledged_by FROM alarm")
    assert row == {"disposition": None, "acknowledged_by": None}
