"""Policies on record, rosters and leave as the pipeline obeys them; and what is said of what they lack."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from central import pipeline
from central.engine.model import Act, ActKind
from central.engine.policy import CHINA
from central.registry import policies, rosters
from central.registry.errors import RegistryError
from central.registry.rosters import Away, Shift
from tests.harness.town import Town, batch, event, send
from wire.messages import Condition, EventKind

A = EventKind.ASSERT
SMOKE = Condition.SMOKE


async def save(town: Town, body: dict[str, Any], severity: str = "life", **place: Any) -> list[str]:
    place = {"area": None, "grid": None, **place}
    async with town.store.transaction() as tx:
        return await policies.save(tx, severity=severity, body=body, by="test", **place)


async def due(town: Town) -> int:
    async with town.store.transaction() as tx:
        return await pipeline.run_due(tx)


async def look(town: Town) -> bool:
    async with town.store.transaction() as tx:
        return await pipeline.look_ahead(tx)


async def judged(town: Town) -> int:
    async with town.store.transaction() as tx:
        return await pipeline.judge_policies(tx)


async def system_alarms(town: Town) -> dict[str, str]:
    rows = await town.rows("SELECT part, state FROM alarm WHERE condition = 'system' ORDER BY id")
    return {row["part"]: row["state"] for row in rows}


async def test_a_policy_of_the_grid_holds_within_five_seconds_and_climbs_as_it_says(town: Town) -> None:
    """A named person, every contact at once, its own times and deadline; also for a running process."""
    await town.do("INSERT INTO contact VALUES ('fitter', 1, 'smtp', 'f@example.org')")
    await send(town, batch([event(1, A, SMOKE)]))
    assert await town.told() == [("primary", "alarm", 1, 0)]
    body = {
        "steps": [
            {"after_s": 0, "tell": ["worker:fitter"], "parallel": True},
            {"after_s": 30, "tell": ["dispatcher"]},
        ],
        "repeat_s": 60,
        "disposition_after_s": 600,
        "disposition_tell": ["community_lead"],
    }
    assert await save(town, body, grid="g1") == []
    town.time.forward(seconds=5)
    await send(town, batch([event(2, A, SMOKE, detector="det-2")]))
    rows = await town.rows("SELECT worker, channel FROM delivery WHERE alarm = 2 ORDER BY id")
    assert [(row["worker"], row["channel"]) for row in rows] == [("fitter", "console"), ("fitter", "smtp")]
    town.time.forward(seconds=30)
    await due(town)
    told = await town.rows("SELECT worker, step FROM delivery WHERE alarm = 2 AND step > 0 ORDER BY id")
    assert [(row["worker"], row["step"]) for row in told] == [("desk", 1)]
    async with town.store.transaction() as tx:
        await pipeline.act(tx, 2, Act(ActKind.ACKNOWLEDGE), "desk", "test")
    town.time.forward(minutes=10)
    await due(town)
    last = await town.rows("SELECT worker, purpose FROM delivery WHERE alarm = 2 ORDER BY id DESC LIMIT 1")
    assert (last[0]["worker"], last[0]["purpose"]) == ("lead", "disposition")


async def test_a_policy_that_cannot_be_read_stops_no_alarm_and_is_told(town: Town) -> None:
    """The built-in holds; people are told of the row; saving it anew ends that by itself."""
    insert = "INSERT INTO policy VALUES (%s, 'life', %s, now(), 'by hand')"
    await town.do(insert, "grid:g1", json.dumps({"steps": [{"after_s": 0, "tell": ["grid_primry"]}]}))
    await town.do(insert, "everywhere", "[]")
    await send(town, batch([event(1, A, SMOKE)]))
    assert await town.told() == [("primary", "alarm", 1, 0)]
    assert await judged(town) == 2
    assert await judged(town) == 0
    parts = {"policy:grid:g1:life:street", "policy:everywhere:life:street"}
    assert await system_alarms(town) == dict.fromkeys(parts, "active_unacknowledged")
    detail = await town.rows("SELECT detail FROM alarm WHERE part LIKE 'policy:grid%%'")
    assert "steps[0].tell[0]" in detail[0]["detail"]["text"]
    async with town.store.transaction() as tx:
        held = await policies.listed(tx)
    assert all(one.unreadable for one in held)
    good = {"steps": [{"after_s": 0, "tell": ["grid_primary", "dispatcher"]}], "repeat_s": 60}
    await save(town, good, grid="g1")
    await save(town, good)
    town.time.forward(seconds=5)
    assert await judged(town) == 2
    assert set((await system_alarms(town)).values()) == {"closed"}


async def test_a_named_person_who_cannot_be_reached_is_skipped_at_once_and_said_so(town: Town) -> None:
    """Since the policy was saved the person has left: the next step is done now."""
    body = {
        "steps": [{"after_s": 0, "tell": ["worker:backup"]}, {"after_s": 60, "tell": ["dispatcher"]}],
        "repeat_s": 60,
    }
    await save(town, body)
    await town.do("UPDATE worker SET active = false WHERE id = 'backup'")
    await send(town, batch([event(1, A, SMOKE)]))
    assert await town.told() == [("desk", "alarm", 1, 1)]
    lines = await town.rows("SELECT what, detail FROM alarm_log WHERE what = 'skipped'")
    assert [line["detail"]["targets"] for line in lines] == [["worker:backup"]]


async def test_a_life_policy_whose_people_have_left_calls_everybody_who_has_a_duty(town: Town) -> None:
    """It reached somebody when it was saved; that it does not any more must cost nobody's life."""
    body = {"steps": [{"after_s": 0, "tell": ["worker:fitter", "installer"]}], "repeat_s": 60}
    await save(town, body)
    await town.do("UPDATE worker SET active = false WHERE id = 'fitter'")
    await send(town, batch([event(1, A, SMOKE)]))
    assert {worker for worker, *_ in await town.told()} == {"primary", "backup", "lead", "desk"}
    async with town.store.transaction() as tx:
        played = await policies.simulate(tx, area=None, grid="g1", condition="smoke")
    assert {one.worker for one in played.lines} == {"primary", "backup", "lead", "desk"}
    assert any("fitter" in warning for warning in played.warnings)


async def test_smoke_of_unknown_address_must_reach_somebody_too(town: Town) -> None:
    """A policy for a whole area whose last step only a grid's people have is refused."""
    body = {"steps": [{"after_s": 0, "tell": ["grid_primary", "grid_backup"]}], "repeat_s": 60}
    with pytest.raises(RegistryError, match="its last step reaches nobody in area street"):
        await save(town, body, area="street")
    await save(town, body, grid="g1")


async def test_what_is_simulated_is_what_happens(town: Town) -> None:
    """The table against the deliveries of a fire that nobody takes, with a grid that lacks two people."""
    await town.do(
        "INSERT INTO contact VALUES ('desk', 1, 'smtp', 'd@example.org'), ('lead', 1, 'smtp', 'l@x.org')"
    )
    await town.do("DELETE FROM contact WHERE worker IN ('primary', 'backup')")
    body = {
        "steps": [
            {"after_s": 0, "tell": ["grid_primary"]},
            {"after_s": 40, "tell": ["worker:fitter", "community_lead"]},
            {"after_s": 70, "tell": ["grid_backup"]},
            {"after_s": 100, "tell": ["dispatcher", "community_lead"], "parallel": True},
        ],
        "repeat_s": 45,
    }
    await save(town, body, grid="g1")
    async with town.store.transaction() as tx:
        played = await policies.simulate(tx, area=None, grid="g1", condition="smoke")
    expected = [(one.after_s, one.worker, one.channel) for one in played.lines if one.when == "at_once"]
    assert {at for at, _, _ in expected} == {0, 30, 75}
    await send(town, batch([event(1, A, SMOKE)]))
    happened: list[tuple[int, str, str]] = []
    for second in range(max(at for at, _, _ in expected) + 1):
        await due(town)
        rows = await town.rows(
            "SELECT worker, channel FROM delivery WHERE id > %s ORDER BY id", len(happened)
        )
        happened += [(second, row["worker"], row["channel"]) for row in rows]
        town.time.forward(seconds=1)
    assert sorted(happened) == sorted(expected)


async def test_a_fault_in_quiet_hours_is_told_at_their_end_and_smoke_at_once(town: Town) -> None:
    """Put off, not dropped."""
    now = datetime.now(UTC).astimezone(CHINA)
    hours = {"from": f"{now - timedelta(hours=1):%H:%M}", "to": f"{now + timedelta(hours=2):%H:%M}"}
    await save(
        town, {"steps": [{"after_s": 0, "tell": ["community_lead"]}], "quiet": hours}, "care", area="street"
    )
    await send(town, batch([event(1, A, Condition.LOW_BATTERY), event(2, A, SMOKE)]))
    assert await town.told() == [("primary", "alarm", 1, 0)]
    lines = await town.rows("SELECT reason, detail FROM alarm_log WHERE what = 'postponed'")
    assert [(line["reason"], line["detail"]["step"]) for line in lines] == [("quiet_hours", 0)]
    town.time.forward(hours=1, minutes=58)
    await due(town)
    assert ("lead", "alarm", 1, 0) not in await town.told()
    town.time.forward(minutes=3)
    await due(town)
    assert (await town.told()).count(("lead", "alarm", 1, 0)) == 1


async def test_the_shift_that_lasts_is_told_and_leave_sends_the_substitute(town: Town) -> None:
    """Now, by the hour of the alarm; where the one on shift is away, who always has the duty."""
    now = datetime.now(UTC).astimezone(CHINA)
    shift = Shift(
        worker="backup",
        duty="grid_primary",
        grid="g1",
        begins=(now - timedelta(hours=1)).time(),
        ends=(now + timedelta(hours=4)).time(),
        from_day=now.date() - timedelta(days=2),
    )
    away = Away(worker="backup", begins=now + timedelta(hours=1), ends=now + timedelta(hours=2))
    covered = Away(
        worker="backup", begins=now + timedelta(hours=2), ends=now + timedelta(hours=3), substitute="fitter"
    )
    async with town.store.transaction() as tx:
        await rosters.add_shift(tx, shift, by="test")
        await rosters.add_leave(tx, away, by="test")
        await rosters.add_leave(tx, covered, by="test")
    await send(town, batch([event(1, A, SMOKE)]))
    town.time.forward(hours=1, minutes=1)
    await send(town, batch([event(2, A, SMOKE, detector="det-2")]))
    rows = await town.rows("SELECT worker FROM delivery WHERE step = 0 ORDER BY id")
    assert [row["worker"] for row in rows] == ["backup", "primary"]
    town.time.forward(hours=1, minutes=1)
    await due(town)
    town.time.forward(minutes=3)
    await due(town)
    repeated = await town.rows("SELECT DISTINCT worker FROM delivery WHERE step = 3")
    # The substitute stands in for both duties of the one who is away.
    assert {row["worker"] for row in repeated} == {"fitter", "lead", "desk"}


async def test_uncovered_hours_and_people_nobody_reaches_are_one_alarm_a_day(town: Town) -> None:
    """The roster's holes of 48 h, who has no contact, whose last three messages failed; over when mended."""
    now = datetime.now(UTC).astimezone(CHINA)
    assert await look(town)
    assert not await look(town)
    assert await system_alarms(town) == {}
    shift = Shift(
        worker="backup",
        duty="grid_primary",
        grid="g1",
        begins=datetime(2026, 1, 1, 8).time(),
        ends=datetime(2026, 1, 1, 20).time(),
        from_day=now.date() - timedelta(days=2),
    )
    async with town.store.transaction() as tx:
        number = await rosters.add_shift(tx, shift, by="test")
    await town.do("DELETE FROM contact WHERE worker = 'fitter'")
    await send(town, batch([event(1, A, SMOKE)]))
    await town.do(
        "INSERT INTO delivery (key, alarm, purpose, round, step, worker, rank, channel, address, urgent,"
        " state, made_at, due_at) SELECT 'k' || n, 1, 'alarm', 1, 9, 'desk', 0, 'console', '', true,"
        " 'failed', now(), now() FROM generate_series(1, 3) n"
    )
    town.time.forward(days=1)
    assert await look(town)
    assert (await system_alarms(town))["duty:street"] == "active_unacknowledged"
    body = (await town.one("SELECT body FROM roster_report WHERE area = 'street'"))["body"]
    assert {(one["duty"], *one["grids"]) for one in body["gaps"]} == {("grid_primary", "g1")}
    assert {one["begins"][11:16] for one in body["gaps"][1:]} == {"20:00"}
    assert [(one["worker"], one["why"]) for one in body["unreachable"]] == [
        ("desk", "last_failed"), ("fitter", "no_contact"),
    ]  # fmt: skip
    assert body["channels"] == []
    await town.do(
        "INSERT INTO attempt SELECT id, 1, now() + %s, now() + %s, 'temporary', NULL, 'no credit'"
        " FROM delivery WHERE key LIKE 'k%%'",
        timedelta(days=1, hours=20),
        timedelta(days=1, hours=20),
    )
    town.time.forward(days=1)
    assert await look(town)
    body = (await town.one("SELECT body FROM roster_report WHERE area = 'street'"))["body"]
    assert body["channels"] == [{"channel": "console", "tries": 3, "failed": 3, "why": "no credit"}]
    told = await town.rows(
        "SELECT a.state, w.role FROM alarm a JOIN delivery d ON d.alarm = a.id"
        " JOIN worker w ON w.id = d.worker WHERE a.part = 'duty:street' ORDER BY a.id"
    )
    assert [(row["state"], row["role"]) for row in told] == [
        ("closed", "dispatcher"), ("active_unacknowledged", "dispatcher"),
    ]  # fmt: skip
    async with town.store.transaction() as tx:
        await rosters.drop_shift(tx, number, by="test")
    await town.do("INSERT INTO contact VALUES ('fitter', 0, 'console', 'fitter')")
    await town.do("UPDATE delivery SET state = 'sent' WHERE worker = 'desk'")
    town.time.forward(days=1)
    assert await look(town)
    assert (await system_alarms(town))["duty:street"] == "closed"
