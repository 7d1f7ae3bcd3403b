"""The shipped systemd units, read by systemd itself."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.programs import require_program

SYSTEMD = Path(__file__).parents[3] / "systemd"
UNITS = sorted(file.name for file in SYSTEMD.glob("*.service"))
ROLES = ("api", "ingest", "worker", "jobs")
# What a process could still reach, as systemd counts it; a change that opens more must say so here.
LIMITS = {
    "smokewatch-edge.service": 2.0,
    "smokewatch-central.service": 1.6,
    "smokewatch-central@.service": 1.6,
    "smokewatch-migrate.service": 1.6,
    "smokewatch-auditor.service": 1.6,
}
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
        text = (SYSTEMD / name).read_text()
        for where in ("/opt/smokewatch/bin", "/usr/bin"):
            text = text.replace(f"{where}/smokewatch", f"{programs}/smokewatch")
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
    assert service.get("User") == "smokewatch" or service["DynamicUser"] == "yes"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    if service["Type"] == "notify":
        assert (service["Restart"], service["WatchdogSec"]) == ("always", "60s")
        assert unit["Unit"]["StartLimitIntervalSec"] == "0"


@pytest.mark.parametrize("name", UNITS)
def test_systemd_itself_finds_little_exposed(name: str) -> None:
    """`systemd-analyze security`, 10 being everything; the figures are in `LIMITS`."""
    analyze = require_program("systemd-analyze", "systemd")
    run = subprocess.run(
        [analyze, "security", "--offline=yes", f"--threshold={LIMITS[name] * 10:.0f}", SYSTEMD / name],
        capture_output=True,
        text=True,
    )
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d)", run.stdout)
    assert found is not None, run.stdout + run.stderr
    print(f"{name}: exposure {found[1]}")
    assert run.returncode == 0
    assert float(found[1]) <= LIMITS[name]


def test_the_agent_keeps_the_serial_ports() -> None:
    """Settings that take device files away would leave the agent deaf."""
    text = (SYSTEMD / "smokewatch-edge.service").read_text()
    assert "SupplementaryGroups=smokewatch dialout\n" in text
    for taken in ("\nPrivateDevices=yes", "\nProtectClock=yes", "\nDevicePolicy=", "\nDeviceAllow="):
        assert taken not in text
