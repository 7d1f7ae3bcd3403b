"""Detectors that are worked on: opened by command and over HTTP, and what is told meanwhile."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from central import pipeline
from central.__main__ import main
from central.registry.windows import NewWindow, end_window, open_window
from central.store import audit
from tests.harness.street import EXAMPLES
from tests.harness.town import Town, batch, event, open_town, send
from tests.harness.web import client, token_for
from wire.messages import Condition, EventKind

A, C = EventKind.ASSERT, EventKind.CLEAR
SMOKE, FAULT, REMOVED = Condition.SMOKE, Condition.FAULT, Condition.REMOVED


async def window(town: Town, *, hours: float = 1) -> int:
    async with town.store.transaction() as tx:
        new = NewWindow(
            kind="maintenance",
            detectors=("det-1",),
            why="清洗",
            ends=tx.now + timedelta(hours=hours),
            person="fitter",
        )
        return await open_window(tx, new, by="test")


async def due(town: Town) -> int:
    async with town.store.transaction() as tx:
        return await pipeline.run_due(tx)


async def test_faults_wait_for_the_end_and_smoke_goes_to_more_people_at_once(database: str) -> None:
    """What is over by then is told to nobody; the climb of the smoke is that of any other."""
    town = await open_town(database)
    await window(town)
    await send(town, batch([event(1, A, FAULT), event(2, A, REMOVED), event(3, A, FAULT, detector="det-2")]))
    assert {worker for worker, *_ in await town.told()} == {"lead"}
    assert len(await town.rows("SELECT FROM alarm WHERE state = 'active_unacknowledged'")) == 3
    await send(town, batch([event(4, A, SMOKE)]))
    told = (await town.told())[1:]
    assert sorted(told) == [(one, "alarm", 1, 0) for one in ("desk", "fitter", "primary")]
    reasons = await town.rows("SELECT what, reason FROM alarm_log WHERE reason = 'in_window' ORDER BY id")
    assert [row["what"] for row in reasons] == ["postponed", "postponed", "told"]
    detail = (await town.one("SELECT detail FROM alarm WHERE condition = 'smoke'"))["detail"]
    assert detail == {"window": {"id": 1, "kind": "maintenance", "why": "清洗"}}
    town.time.forward(seconds=90)
    await due(town)
    assert sorted((await town.told())[4:]) == [(one, "alarm", 1, 1) for one in ("backup", "lead")]
    await send(town, batch([event(5, C, FAULT)]))
    town.time.forward(hours=1)
    await due(town)
    rows = await town.rows(
        "SELECT d.worker FROM delivery d JOIN alarm a ON a.id = d.alarm WHERE a.condition = 'removed'"
    )
    assert sorted(row["worker"] for row in rows) == ["fitter", "lead"]
    await town.store.close()


async def test_ended_by_hand_what_waited_is_told_then(database: str) -> None:
    """Not at the time that was planned."""
    town = await open_town(database)
    number = await window(town, hours=8)
    await send(town, batch([event(1, A, FAULT)]))
    town.time.forward(minutes=5)
    assert (await due(town), await town.told()) == (0, [])
    async with town.store.transaction() as tx:
        await end_window(tx, number, by="test")
    assert await due(town) == 1
    assert await town.told() == [("lead", "alarm", 1, 0)]
    await town.store.close()


async def test_over_http_installers_open_and_end_them_and_the_overview_lists_them(database: str) -> None:
    """With the mend of what is wrong; what is out of service past its date stays listed."""
    town = await open_town(database)
    store = town.store
    async with client(store, await token_for(store, "installer", name="wu")) as http:
        body = {
            "kind": "out_of_service",
            "detectors": ["det-2"],
            "why": "拆除",
            "ends": "2126-01-01T00:00:00+08:00",
        }
        far = await http.post("/api/v1/windows", json=body)
        assert (far.status_code, far.json()["zh"]) == (422, "时间太长")
        async with store.transaction() as tx:
            body["ends"] = (tx.now + timedelta(days=30)).isoformat()
            works = {"kind": "maintenance", "ends": (tx.now + timedelta(hours=1)).isoformat()}
        assert (await http.post("/api/v1/windows", json=body)).json() == {"id": 1}
        for change, zh in (
            (works, "缺少现场人员"),
            (works | {"person": "nobody"}, "现场人员未登记、不在岗或没有联系方式"),
            ({"why": " "}, "请写明事由"),
            ({"detectors": []}, "探测器数量不对"),
            ({"detectors": ["bus-1"]}, "没有登记“bus-1”"),
            ({"ends": "2026-01-01T00:00:00"}, "时间缺少时区"),
        ):
            refused = await http.post("/api/v1/windows", json=body | change)
            assert (refused.status_code in (404, 422), refused.json()["zh"]) == (True, zh)
        assert "停用 1" in (await http.get("/")).text
        town.time.forward(days=31)
        (listed,) = (await http.get("/api/v1/windows")).json()["rows"]
        assert (listed["detectors"], listed["open"], listed["overdue"]) == (["det-2"], False, True)
        assert "已到复查日期" in (await http.get("/")).text
        assert (await http.post("/api/v1/windows/1/end")).status_code == 200
        assert (await http.post("/api/v1/windows/1/end")).status_code == 404
        assert (await http.get("/api/v1/windows")).json()["rows"] == []
    async with store.transaction() as tx:
        noted = await audit.about(tx, "window:1")
    assert [(row["who"], row["action"]) for row in noted] == [("wu", "open_window"), ("wu", "end_window")]
    await store.close()


def test_by_command(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Opened, listed, ended; a mistake changes nothing and says the mend."""
    path = tmp_path / "central.toml"
    path.write_text(f'[database]\ndsn = "{database}"\n[broker]\nhost = "127.0.0.1"\n', "utf-8")
    monkeypatch.setenv("SMOKEWATCH_CENTRAL_CONFIG", str(path))
    assert main(["import", str(EXAMPLES)]) == 0
    window = ["admin", "window"]
    names = ["--detector", "d-0001", "--detector", "d-0002", "--why", "清洗"]
    assert (
        main([*window, "open", "maintenance", *names, "--person", "w-tech", "--ends", "2020-01-01T12:00"])
        == 1
    )
    assert "结束时间不对" in capsys.readouterr().err
    soon = "2126-01-01T12:00"
    begins = ["--begins", "2126-01-01T08:00"]
    assert main([*window, "open", "maintenance", *names, *begins, "--person", "w-tech", "--ends", soon]) == 0
    capsys.readouterr()
    assert main([*window, "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["kind"], row["detectors"], row["person"]) == ("maintenance", ["d-0001", "d-0002"], "w-tech")
    assert main([*window, "list"]) == 0
    assert "2126-01-01 12:00" in capsys.readouterr().out
    assert main([*window, "end", "1"]) == 0
    assert main([*window, "end", "1"]) == 1
