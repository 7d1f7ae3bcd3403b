"""A month's report from real alarms: what people did, who was not reached; by command and over HTTP."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from central import pipeline
from central.__main__ import main
from central.engine.model import Act, ActKind, Cause, Disposition
from central.store import audit
from tests.harness.town import Town, batch, event, send
from tests.harness.web import client, token_for
from wire.messages import Condition, EventKind

A, C = EventKind.ASSERT, EventKind.CLEAR
SMOKE = Condition.SMOKE


async def burned(town: Town) -> str:
    """Smoke that the backup is called for in vain; steam, it was. Returns the month."""
    await send(town, batch([event(1, A, SMOKE)]))
    opened = (await town.one("SELECT opened_at FROM alarm"))["opened_at"]
    await town.do("UPDATE delivery SET state = 'sent', sent_at = %s", opened + timedelta(seconds=2))
    for seconds, act in (
        (90, None),
        (10, Act(ActKind.ACKNOWLEDGE)),
        (20, Act(ActKind.ON_WAY)),
        (600, Act(ActKind.CLOSE, Disposition.FALSE_ALARM, Cause.STEAM)),
    ):
        town.time.forward(seconds=seconds)
        async with town.store.transaction() as tx:
            if act is None:
                await pipeline.run_due(tx)
            else:
                await pipeline.act(tx, 1, act, "primary", "test")
    await town.do("UPDATE delivery SET state = 'failed' WHERE worker = 'backup'")
    await send(town, batch([event(2, C, SMOKE)]))
    return f"{opened + timedelta(hours=8):%Y-%m}"


async def test_the_month_says_how_long_each_step_took_and_who_was_not_reached(town: Town) -> None:
    """Over HTTP, to the desk only, on record, without the resident; by street, community and grid."""
    month = await burned(town)
    async with client(town.store, await token_for(town.store, "dispatcher")) as http:
        answer = await http.get(f"/api/v1/reports/months/{month}", params={"area": "street"})
        assert answer.status_code == 200, answer.text
        report = answer.json()
        page = await http.get(f"/api/v1/reports/months/{month}/file")
        file = await http.get(f"/api/v1/reports/months/{month}/file", params={"as": "csv"})
        span = {"from": report["begin"], "to": report["end"]}
        times = (await http.get("/api/v1/reports/times", params={**span, "limit": 2})).json()
        noise = (await http.get("/api/v1/reports/detectors", params=span)).json()
        wrong = [
            (await http.get(f"/api/v1/reports/months/{path}")).status_code
            for path in ("2026-13", "2099-01", f"{month}?area=nowhere")
        ]
    assert wrong == [422, 400, 404]
    grid = report["times"][-1]
    assert (grid["level"], grid["name"], grid["fires"]) == ("grid", "一网格", 1)
    medians = [round(grid[step]["median_s"]) for step in ("notified", "acknowledged", "set_out", "closed")]
    assert medians == [2, 100, 120, 720]
    assert grid["arrived"]["n"] == 0
    assert (report["dispositions"], report["causes"]) == ({"false_alarm": 1}, {"steam": 1})
    assert [(one["worker"], one["alarms"], one["unreached"]) for one in report["unreached"]] == [
        ("backup", 1, 1)
    ]
    assert [(one["grid"], one["detectors"]) for one in report["watched"]] == [("g1", 2)]
    assert report["load"]["calls"] == 1
    assert (times["next_skip"], [one["level"] for one in times["places"]]) == (2, ["area", "community"])
    assert noise["detectors"][0]["detector"] == "det-1"
    everything = answer.text + page.text + file.text
    assert "王奶奶" not in everything
    assert "13800000000" not in everything
    assert "周网格" in page.text
    assert file.text.startswith("\ufeff")
    async with town.store.transaction() as tx:
        assert [row["who"] for row in await audit.about(tx, "area:street")] == ["test-dispatcher"]
    async with client(town.store, await token_for(town.store, "viewer")) as http:
        assert (await http.get(f"/api/v1/reports/months/{month}")).status_code == 403


async def test_an_administrator_writes_a_month_to_a_file(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """HTML unless told otherwise; what is wrong is said with its mend."""
    import asyncio

    month = await burned(town)
    config = tmp_path / "central.toml"
    config.write_text(f'[database]\ndsn = "{town.dsn}"\n[broker]\nhost = "127.0.0.1"\n', "utf-8")
    monkeypatch.setenv("SMOKEWATCH_CENTRAL_CONFIG", str(config))
    file = tmp_path / "month.html"
    command = ["admin", "report", "--month", month]
    assert await asyncio.to_thread(main, [*command, "--output", str(file)]) == 0
    assert "火警月报" in file.read_text("utf-8")
    capsys.readouterr()
    assert await asyncio.to_thread(main, ["admin", "report", "--month", "october"]) == 1
    assert "is no month" in capsys.readouterr().err
    assert await asyncio.to_thread(main, [*command, "--area", "nowhere"]) == 1
    assert "there is no area" in capsys.readouterr().err
