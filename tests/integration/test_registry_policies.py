"""Policies, shifts and leave by the administrator's commands and over HTTP, on a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from central.__main__ import main
from central.store import audit
from tests.harness.street import EXAMPLES, fill, opened
from tests.harness.web import client, token_for


@pytest.fixture
def config(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration for this database, named by the environment; the street is imported."""
    path = tmp_path / "central.toml"
    path.write_text(f'[database]\ndsn = "{database}"\n[broker]\nhost = "127.0.0.1"\n', "utf-8")
    monkeypatch.setenv("SMOKEWATCH_CENTRAL_CONFIG", str(path))
    assert main(["import", str(EXAMPLES)]) == 0
    return tmp_path


def written(folder: Path, policy: object) -> str:
    path = folder / "policy.json"
    path.write_text(policy if isinstance(policy, str) else json.dumps(policy), "utf-8")
    return str(path)


MINE = {
    "steps": [
        {"after_s": 0, "tell": ["grid_primary"], "parallel": True},
        {"after_s": 60, "tell": ["worker:w-he", "dispatcher"]},
    ],
    "repeat_s": 120,
}


def test_a_policy_is_played_through_before_it_is_saved(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table first, then the policy, then what holds; its warnings are on stderr."""
    file = written(config, MINE)
    capsys.readouterr()
    assert main(["admin", "policy", "simulate", "--grid", "xinhe-01", file, "--at", "2026-10-01T03:00"]) == 0
    table = capsys.readouterr().out
    assert "smoke (life) xinhe-01 2026-10-01 03:00 — policy (策略): given" in table
    rows = [line.split("  ") for line in table.splitlines()[2:]]
    told = [(row[0], row[1].strip(), " ".join(row[2:]).split()) for row in rows]
    assert [one[0] for one in told] == [
        "+0:00:00",
        "+0:00:00",
        "+0:01:00",
        "+0:01:00",
        "+0:03:00",
        "+0:03:00",
    ]
    assert "张敏" in told[0][2]
    assert "138****0101" in told[0][2]
    assert "z***@example.org" in told[1][2]
    assert "13800000101" not in table
    assert main(["admin", "policy", "set", "--grid", "xinhe-01", "--severity", "life", file]) == 0
    capsys.readouterr()
    assert main(["admin", "policy", "show", "--grid", "xinhe-01"]) == 0
    shown = capsys.readouterr().out
    assert "grid:xinhe-01  life" in shown
    assert "built-in  care" in shown
    assert main(["admin", "policy", "simulate", "--grid", "xinhe-01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["policy"] == "grid:xinhe-01"
    assert main(["admin", "policy", "drop", "--grid", "xinhe-01", "--severity", "life"]) == 0
    assert main(["admin", "policy", "drop", "--grid", "xinhe-01", "--severity", "life"]) == 1
    capsys.readouterr()
    assert main(["admin", "policy", "show"]) == 0
    assert "the built-in holds everywhere" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("policy", "place", "said"),
    [
        ("{", [], "Input data was truncated"),
        ({**MINE, "steps": MINE["steps"][:1] * 2}, [], "a loop"),
        ({"steps": [{"after_s": 0, "tell": ["installer"]}], "repeat_s": 60}, ["--grid", "xinhe-01"], ""),
        (
            {**MINE, "steps": [{"after_s": 0, "tell": ["dispatcher", "worker:nobody"]}]},
            [],
            "no worker 'nobody'",
        ),
        (
            {"steps": [{"after_s": 0, "tell": ["grid_backup"]}], "repeat_s": 60},
            [],
            "nobody in grid jiangan-01",
        ),
        (MINE, ["--grid", "nowhere"], "no grid 'nowhere'"),
        (MINE, ["--area", "nowhere"], "no area 'nowhere'"),
    ],
)
def test_a_policy_that_reaches_nobody_or_is_none_is_refused_with_the_mend(
    config: Path, capsys: pytest.CaptureFixture[str], policy: object, place: list[str], said: str
) -> None:
    """Nothing is saved; an installer at the end is enough, since there is one."""
    file = written(config, policy)
    capsys.readouterr()
    code = main(["admin", "policy", "set", *place, "--severity", "life", file])
    told = capsys.readouterr().err
    assert code == (1 if said else 0)
    assert said in told
    assert ("nothing was changed" in told) == bool(said)


def test_an_empty_grid_and_steps_that_reach_nobody_are_warned_of(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The grid has no homes and no worker: the climb begins at the command centre, and says why."""
    (config / "grids.csv").write_text("id,community,name\nempty,jiangan,空网格\n", "utf-8")
    assert main(["import", str(config)]) == 0
    capsys.readouterr()
    assert main(["admin", "policy", "simulate", "--grid", "empty"]) == 0
    said = capsys.readouterr()
    assert "no homes are registered: empty" in said.err
    assert "step 1 reaches nobody and is skipped at once: grid_primary" in said.err
    lines = [line.split() for line in said.out.splitlines()[2:5]]
    assert [(line[0], line[1]) for line in lines] == [("+0:00:00", "1"), ("+0:00:00", "2"), ("+0:00:00", "3")]
    assert (lines[0][-1], lines[2][2]) == ("skipped", "街道值班室")
    assert main(["admin", "policy", "simulate", "--grid", "empty", "--condition", "test"]) == 0
    assert "nobody is called for this condition" in capsys.readouterr().err


def test_shifts_and_leave_decide_who_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nights go to another; who is away is replaced; wrong ones are refused with the mend."""
    night = [
        "admin",
        "shift",
        "add",
        "w-li",
        "--duty",
        "grid_primary",
        "--grid",
        "xinhe-01",
        "--begins",
        "20:00",
    ]
    assert main([*night, "--ends", "08:00", "--from-day", "2026-10-01"]) == 0
    away = ["admin", "leave", "add", "--begins", "2126-10-03T00:00", "--ends", "2126-10-05T00:00"]
    assert main([*away, "w-li", "--substitute", "w-sun"]) == 0
    first: dict[str, str] = {}
    for at in ("2026-10-01T12:00", "2026-10-01T21:00", "2026-10-02T07:59", "2126-10-03T21:00"):
        capsys.readouterr()
        assert main(["admin", "policy", "simulate", "--grid", "xinhe-01", "--json", "--at", at]) == 0
        first[at] = json.loads(capsys.readouterr().out)["lines"][0]["worker"]
    assert [*first.values()] == ["w-zhang", "w-li", "w-li", "w-sun"]
    assert main(["admin", "shift", "list"]) == 0
    assert main(["admin", "leave", "list"]) == 0
    assert "w-sun" in capsys.readouterr().out
    wrong = [
        ([*night, "--ends", "8 o'clock", "--from-day", "2026-10-01"], "no time of day"),
        ([*night, "--ends", "08:00", "--from-day", "2026-10-01", "--to-day", "2026-09-01"], "is before"),
        ([*night, "--ends", "08:00", "--from-day", "2026-10-01", "--weekdays", "0-8"], "Monday"),
        ([*away, "w-li"], "on leave then already"),
        ([*away, "w-sun", "--substitute", "w-li"], "is away then"),
        ([*away, "w-he", "--substitute", "w-he"], "stand in for themselves"),
        ([*away, "nobody"], "no worker 'nobody'"),
        (["admin", "shift", "drop", "99"], "no shift 99"),
    ]
    for command, said in wrong:
        assert main(command) == 1
        assert said in capsys.readouterr().err
    assert main(["admin", "shift", "drop", "1"]) == 0
    assert main(["admin", "leave", "drop", "1"]) == 0


async def test_policies_over_http_are_the_administrators_and_the_desk_may_look(database: str) -> None:
    """Who may what; what is refused; what is on record."""
    async with opened(database) as store:
        await fill(store)
        body = {"grid": "xinhe-01", "severity": "life", "policy": MINE}
        async with client(store, await token_for(store, "installer")) as http:
            assert (await http.get("/api/v1/policies")).status_code == 403
        async with client(store, await token_for(store, "dispatcher")) as http:
            assert (await http.put("/api/v1/policies", json=body)).status_code == 403
            asked = {"grid": "xinhe-01", "condition": "smoke", "at": "2026-10-01T03:00:00+08:00"}
            played = (await http.post("/api/v1/policies/simulate", json=asked)).json()
            assert [line["worker"] for line in played["lines"] if line["when"] == "at_once"][:2] == [
                "w-zhang",
                "w-li",
            ]
            assert not any("13800000101" in str(line) for line in played["lines"])
            for wrong in (
                {"at": "2026-10-01T03:00:00"},
                {"condition": "rain"},
                {"grid": None},
                {"policy": {}},
            ):
                assert (
                    await http.post("/api/v1/policies/simulate", json={**asked, **wrong})
                ).status_code == 422
            leave = {
                "worker": "w-li",
                "begins": "2126-10-01T00:00:00+08:00",
                "ends": "2126-10-02T00:00:00+08:00",
            }
            number = (await http.post("/api/v1/leaves", json=leave)).json()["id"]
            assert (await http.get("/api/v1/leaves")).json()["rows"][0]["worker"] == "w-li"
            assert (await http.delete(f"/api/v1/leaves/{number}")).status_code == 200
            assert (await http.get("/api/v1/rosters/report")).json() == []
        async with client(store, await token_for(store, "administrator")) as http:
            answer = await http.put("/api/v1/policies", json=body)
            assert answer.json() == {"warnings": []}
            held = (await http.get("/api/v1/policies", params={"grid": "xinhe-01"})).json()["policies"]
            assert [(one["scope"], one["severity"]) for one in held] == [
                ("grid:xinhe-01", "life"), ("built-in", "unwatched"), ("built-in", "care"),
            ]  # fmt: skip
            refused = await http.put("/api/v1/policies", json={**body, "policy": {**MINE, "repeat_s": None}})
            assert refused.status_code == 422
            assert refused.json()["problems"][0]["place"] == "repeat_s"
            assert (
                await http.put("/api/v1/policies", json={**body, "area": "danshuichi"})
            ).status_code == 422
            shift = {
                "worker": "w-li",
                "duty": "dispatcher",
                "area": "danshuichi",
                "begins": "08:00",
                "ends": "20:00",
                "from_day": "2026-10-01",
            }
            number = (await http.post("/api/v1/shifts", json=shift)).json()["id"]
            assert (await http.get("/api/v1/shifts")).json()["rows"][0]["weekdays"] == [1, 2, 3, 4, 5, 6, 7]
            assert (await http.post("/api/v1/shifts", json={**shift, "duty": "cook"})).status_code == 422
            assert (await http.delete(f"/api/v1/shifts/{number}")).json() == {"id": number}
            assert (await http.put("/api/v1/policies", json={**body, "policy": None})).status_code == 200
            assert (await http.put("/api/v1/policies", json={**body, "policy": None})).status_code == 404
        async with store.transaction() as tx:
            noted = await audit.about(tx, "policy:grid:xinhe-01:life")
        assert [row["action"] for row in noted] == ["save_policy", "drop_policy"]
