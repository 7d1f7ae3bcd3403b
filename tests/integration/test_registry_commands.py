"""The administrator's commands, as typed, on a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from central.__main__ import main
from tests.harness.street import EXAMPLES


@pytest.fixture
def config(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration for this database, named by the environment."""
    path = tmp_path / "central.toml"
    path.write_text(f'[database]\ndsn = "{database}"\n[broker]\nhost = "127.0.0.1"\n', "utf-8")
    monkeypatch.setenv("SMOKEWATCH_CENTRAL_CONFIG", str(path))


@pytest.mark.usefixtures("config")
def test_a_street_is_imported_and_a_detector_moved_by_hand(capsys: pytest.CaptureFixture[str]):
    """Import, list, move, refuse a held address, take down, look at the configuration."""
    assert main(["import", str(EXAMPLES), "--dry-run"]) == 0
    assert "nothing was saved" in capsys.readouterr().out
    assert main(["import", str(EXAMPLES)]) == 0
    assert "new configuration for: gw-ja-1, gw-xh-1" in capsys.readouterr().out
    where = ["--household", "xh-b1-301", "--gateway", "gw-xh-1", "--bus", "line-1"]
    assert main(["admin", "detector", "place", "d-0006", *where, "--unit", "1"]) == 1
    told = capsys.readouterr().err
    assert "held by detector d-0001" in told
    assert "nothing was changed" in told
    assert main(["admin", "detector", "move", "d-0006", *where, "--unit", "9", "--spot", "厨房"]) == 0
    assert main(["admin", "detector", "remove", "d-0001"]) == 0
    new = ["admin", "detector", "place", "d-0099", "--profile", "smokewatch-reference"]
    assert main([*new, *where, "--unit", "10"]) == 0
    capsys.readouterr()
    assert main(["admin", "gateway", "config", "gw-xh-1"]) == 0
    wanted = json.loads(capsys.readouterr().out)
    assert wanted["version"] == 4
    assert [one["detector"] for one in wanted["buses"][0]["detectors"]] == [
        "d-0002", "d-0003", "d-0006", "d-0099",
    ]  # fmt: skip
    assert main(["admin", "lane", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["admin", "fire-point", "list", "--json"]) == 0
    points = json.loads(capsys.readouterr().out)
    assert len({(one["system"], one["zone"], one["point"]) for one in points}) == len(points) > 0
    assert "d-0099" in {one["component"] for one in points}
    assert main(["admin", "fire-point", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == points
    assert main(["admin", "detector", "list", "--gateway", "gw-xh-1", "--json"]) == 0
    assert "厨房" in {row["spot"] for row in json.loads(capsys.readouterr().out)}
    assert main(["admin", "detector", "list", "--gateway", "gw-xh-1"]) == 0
    assert "d-0006" in capsys.readouterr().out


@pytest.mark.usefixtures("config")
def test_gateways_lines_workers_tokens_and_the_epoch_are_kept_by_commands(
    capsys: pytest.CaptureFixture[str],
):
    """The rest of the administrator's day."""
    assert main(["import", str(EXAMPLES)]) == 0
    assert main(["admin", "gateway", "add", "gw-9", "--area", "danshuichi", "--name", "九号"]) == 0
    assert main(["admin", "bus", "add", "gw-9", "l-1", "--address", "/dev/ttyS0", "--baud", "19200"]) == 0
    assert main(["admin", "gateway", "list"]) == 0
    assert "v2 waiting" in capsys.readouterr().out
    worker = [
        "admin",
        "worker",
        "add",
        "w-new",
        "--area",
        "danshuichi",
        "--name",
        "新人",
        "--role",
        "grid_worker",
    ]
    assert main([*worker, "--primary-grid", "xinhe-01", "--contact", "webhook:138", "--phone", "13811"]) == 0
    capsys.readouterr()
    for switch, called in (("off", False), ("on", True)):
        assert main(["admin", "worker", switch, "w-new"]) == 0
        capsys.readouterr()
        assert main(["admin", "gateway", "config", "gw-xh-1"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert ("13811" in [one["phone"] for one in told["contacts"]]) is called
    assert main(["admin", "worker", "on", "nobody"]) == 1
    assert main(["admin", "worker", "list"]) == 0
    assert "xinhe-01(p)" in capsys.readouterr().out
    assert main(["admin", "token", "create", "--role", "installer", "--name", "wu"]) == 0
    assert capsys.readouterr().out.startswith("swt_")
    assert main(["admin", "token", "create", "--role", "viewer", "--name", "wu"]) == 1
    assert main(["admin", "token", "revoke", "--name", "wu"]) == 0
    assert main(["admin", "token", "list"]) == 0
    assert "revoked" in capsys.readouterr().out
    assert main(["admin", "new-epoch"]) == 0
    assert "3 gateways" in capsys.readouterr().out


def test_a_missing_configuration_and_a_wrong_folder_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Which file, and the mend."""
    absent = tmp_path / "none.toml"
    assert main(["admin", "gateway", "list", "--config", str(absent)]) == 2
    assert "none.toml" in capsys.readouterr().err
    config = tmp_path / "c.toml"
    config.write_text('[database]\ndsn = "host=127.0.0.1 port=1"\n[broker]\nhost = "127.0.0.1"\n', "utf-8")
    assert main(["import", str(tmp_path / "nowhere"), "--config", str(config)]) == 1
    assert "is not a folder" in capsys.readouterr().err
