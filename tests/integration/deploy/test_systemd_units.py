"""The shipped systemd units, read by systemd itself."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

import pytest

from tests.harness.programs import require_program

SYSTEMD = Path(__file__).parents[3] / "systemd"
UNITS = sorted(file.name for file in SYSTEMD.glob("*.service"))
ROLES = ("api", "ingest", "worker", "jobs")
PROGRAMS = ("smokewatch-edge", "smokewatch-central")


def test_systemd_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    """Every unit, the template once for each role; only the programs are put in place."""
    analyze = require_program("systemd-analyze", "systemd")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    units = tmp_path / "units"
    units.mkdir()
    for name in UNITS:
        text = (SYSTEMD / name).read_text().replace("/opt/smokewatch/bin", str(programs))
        for target in [name.replace("@.", f"@{role}.") for role in ROLES] if "@." in name else [name]:
            (units / target).write_text(text)
    checked = sorted(str(file) for file in units.iterdir())
    run = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", *checked], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")
    assert len(checked) == len(UNITS) - 1 + len(ROLES)


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_gives_up_what_it_does_not_need(name: str) -> None:
    """No privileges, a read-only system, an own user, and a restart whatever happens."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(SYSTEMD / name)
    service = unit["Service"]
    assert service["User"] == "smokewatch"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    if service["Type"] == "notify":
        assert (service["Restart"], service["WatchdogSec"]) == ("always", "60s")
        assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_agent_keeps_the_serial_ports() -> None:
    """Settings that take device files away would leave the agent deaf."""
    text = (SYSTEMD / "smokewatch-edge.service").read_text()
    assert "SupplementaryGroups=dialout" in text
    for taken in ("\nPrivateDevices=yes", "\nProtectClock=yes", "\nDevicePolicy="):
        assert taken not in text
