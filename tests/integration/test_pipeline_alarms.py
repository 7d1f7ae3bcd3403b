"""Alarms climb, are taken and end as the policy says, with time moved by the test; rows hold the truth."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from central import pipeline
from central.engine.model import Act, ActKind, Alarm, Cause, Disposition, NotAllowed
from central.store.pool import Store
from tests.harness.town import AREA, GATEWAY, Town, batch, event, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind

A, C = EventKind.ASSERT, EventKind.CLEAR
SMOKE = Condition.SMOKE


async def due(town: Town) -> int:
    async with town.store.transaction() as tx:
        return await pipeline.run_due(tx)


async def act(town: Town, kind: ActKind, who: str = "primary", alarm: int = 1, **more: Any) -> Alarm:
    async with town.store.transaction() as tx:
        return await pipeline.act(tx, alarm, Act(kind, **more), who, "test")


async def state(town: Town) -> str:
    return str((await town.one("SELECT state FROM alarm WHERE condition = 'smoke'"))["state"])


async def test_nobody_answers_and_it_climbs_also_after_a_restart_and_after_it_cleared(town: Town) -> None:
    """0 s, 90 s, 180 s; a new process in between; the clear by itself ends nothing."""
    await send(town, batch([event(1, A, SMOKE)]))
    town.time.forward(seconds=89)
    assert await due(town) == 0
    town.time.forward(seconds=1)
    assert await due(town) == 1
    await send(town, batch([event(2, C, SMOKE)]))
    await town.store.close()
    town.store = Store(town.dsn, clock_shift=town.time)
    await town.store.open()
    town.time.forward(seconds=90)
    assert await due(town) == 1
    told = await town.told()
    assert told == [
        ("primary", "alarm", 1, 0),
        ("backup", "alarm", 1, 1),
        ("lead", "alarm", 1, 1),
        ("desk", "alarm", 1, 2),
    ]
    town.time.forward(seconds=180)
    await due(town)
    assert len(await town.told()) == 8
    assert await state(town) == "cleared_unacknowledged"


async def test_the_first_to_take_it_has_it_and_the_second_is_told_who(town: Town) -> None:
    """The name, not only the id; nothing is due but the disposition and the second look."""
    await send(town, batch([event(1, A, SMOKE)]))
    alarm = await act(town, ActKind.ACKNOWLEDGE)
    assert alarm.acknowledged_by == "primary"
    with pytest.raises(NotAllowed, match="李网格") as refused:
        await act(town, ActKind.ACKNOWLEDGE, "backup")
    assert (refused.value.by, refused.value.zh) == ("primary", "李网格 已接警")
    assert (await act(town, ActKind.ACKNOWLEDGE)).acknowledged_by == "primary"
    kinds = {row["kind"] for row in await town.rows("SELECT kind FROM due")}
    assert kinds == {"disposition", "still_active"}
    town.time.forward(minutes=10)
    assert await due(town) == 0


async def test_smoke_of_a_new_stream_after_the_clock_was_set_back_is_no_old_news(town: Town) -> None:
    """The stream that came later is the newer one, whatever the clock says: its smoke is told as smoke."""
    await send(town, batch([event(1, A, SMOKE), event(2, C, SMOKE)]))
    await act(town, ActKind.CLOSE, disposition=Disposition.FALSE_ALARM)
    town.time.forward(hours=-1)
    await send(town, batch([event(1, A, SMOKE, mono_ms=9000)], stream="c" * 32, boot="d" * 32))
    rows = await town.rows("SELECT state, linked_to FROM alarm ORDER BY id")
    assert [row["state"] for row in rows] == ["closed", "active_unacknowledged"]
    assert rows[1]["linked_to"] == 1


async def test_the_whole_life_is_on_record(town: Town) -> None:
    """Who, from where, when, why, to the disposition with its cause."""
    await send(town, batch([event(1, A, SMOKE)]))
    await act(town, ActKind.ACKNOWLEDGE)
    await act(town, ActKind.ON_WAY)
    await send(town, batch([event(2, C, SMOKE)]))
    closed = await act(
        town,
        ActKind.CLOSE,
        disposition=Disposition.FALSE_ALARM,
        cause=Cause.COOKING,
        remark="炒菜",
    )
    assert (closed.state, closed.closed_by) == ("closed", "primary")
    log = await town.rows("SELECT what, who, from_where, to_state FROM alarm_log ORDER BY id")
    assert [row["what"] for row in log] == [
        "opened",
        "told",
        "acknowledged",
        "on_way",
        "cleared",
        "closed",
    ]
    assert (log[-1]["who"], log[-1]["from_where"], log[-1]["to_state"]) == ("primary", "test", "closed")
    row = await town.one("SELECT disposition, cause, remark FROM alarm")
    assert row == {"disposition": "false_alarm", "cause": "cooking", "remark": "炒菜"}
    assert await town.rows("SELECT FROM due") == []


async def test_smoke_refuses_to_close_without_a_disposition(town: Town) -> None:
    """And the refusal changes nothing, not even the log."""
    await send(town, batch([event(1, A, SMOKE)]))
    await act(town, ActKind.ACKNOWLEDGE)
    lines = len(await town.rows("SELECT FROM alarm_log"))
    with pytest.raises(NotAllowed):
        await act(town, ActKind.CLOSE)
    with pytest.raises(NotAllowed):
        await act(town, ActKind.CLOSE, alarm=999, disposition=Disposition.TEST)
    assert await state(town) == "active_acknowledged"
    assert len(await town.rows("SELECT FROM alarm_log")) == lines


async def test_smoke_that_returns_is_a_new_round_of_the_same_alarm(town: Town) -> None:
    """Everybody is called anew, by keys of their own."""
    await send(town, batch([event(1, A, SMOKE)]))
    await act(town, ActKind.ACKNOWLEDGE)
    await send(town, batch([event(2, C, SMOKE), event(3, A, SMOKE)]))
    assert await town.told() == [("primary", "alarm", 1, 0), ("primary", "alarm", 2, 0)]
    row = await town.one("SELECT id, round, state, acknowledged_by FROM alarm")
    assert row == {"id": 1, "round": 2, "state": "active_unacknowledged", "acknowledged_by": None}


async def test_smoke_still_there_after_twenty_minutes_and_words_missing_after_thirty(town: Town) -> None:
    """Both put it back before people."""
    await send(town, batch([event(1, A, SMOKE)]))
    await act(town, ActKind.ACKNOWLEDGE)
    town.time.forward(minutes=20)
    await due(town)
    assert (await town.told())[-1] == ("primary", "alarm", 2, 0)
    await act(town, ActKind.ACKNOWLEDGE, "backup")
    await send(town, batch([event(2, C, SMOKE)]))
    town.time.forward(minutes=30)
    await due(town)
    assert (await town.told())[-1] == ("desk", "disposition", 2, 0)


async def test_after_closing_smoke_opens_a_new_alarm_linked_to_the_old(town: Town) -> None:
    """A closed alarm stays closed."""
    await send(town, batch([event(1, A, SMOKE), event(2, C, SMOKE)]))
    await act(town, ActKind.CLOSE, disposition=Disposition.TEST)
    await send(town, batch([event(3, A, SMOKE)]))
    rows = await town.rows("SELECT id, state, linked_to FROM alarm ORDER BY id")
    assert [(row["state"], row["linked_to"]) for row in rows] == [
        ("closed", None),
        ("active_unacknowledged", 1),
    ]


async def test_one_alarm_that_cannot_climb_does_not_hold_the_others(town: Town) -> None:
    """Planted in the database: telling for the first alarm fails."""
    await send(town, batch([event(1, A, SMOKE), event(2, A, SMOKE, detector="det-2")]))
    await town.do(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.alarm = 1 THEN RAISE EXCEPTION 'planted'; END IF; RETURN NEW; END $$"""
    )
    await town.do("CREATE TRIGGER t BEFORE INSERT ON delivery FOR EACH ROW EXECUTE FUNCTION refuse()")
    town.time.forward(seconds=90)
    assert await due(town) == 1
    assert {told[0] for told in await town.told() if told[3] == 1} == {"backup", "lead"}


async def test_two_transactions_that_see_the_same_fire_open_one_alarm(town: Town) -> None:
    """The second waits for the first, looks again, and finds the alarm open: no event has failed."""
    smoke = event(1, A, SMOKE)
    async with town.store.transaction() as tx:
        await pipeline.take_events(tx, [pipeline.Came(AREA, GATEWAY, batch([smoke]), tx.now)])
        second = asyncio.create_task(send(town, batch([smoke], stream="c" * 32, boot="d" * 32)))

        async def waits() -> bool:
            found = await town.one(
                "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            return found["n"] == 1

        await eventually(waits, 10)
    assert (await second).through_seq == 1
    assert (await town.one("SELECT count(*) AS n FROM alarm"))["n"] == 1
    assert (await town.one("SELECT count(*) AS n FROM event WHERE failed IS NOT NULL"))["n"] == 0
    assert len(await town.rows("SELECT FROM event")) == 2
