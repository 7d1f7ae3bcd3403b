"""P1 with the operator's own scripts: yesterday is restored, no alarm is hidden, none comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import backup
from tests.harness.wait import eventually_now
from tests.harness.whole import Whole, whole_system

CENTRE = ("api", "ingest", "worker", "jobs")


@pytest.fixture
def site() -> Iterator[Whole]:
    with whole_system(gateways=2, detectors_each=4) as whole:
        whole.watching()
        yield whole


def test_yesterdays_backup_is_restored_and_every_gateway_reports_again(site: Whole, tmp_path: Path) -> None:
    """Alarms of before the backup, of after it, and of while the centre was away: each is open, once."""
    before, ended, after, meanwhile = (
        site.detectors[0],
        site.detectors[4],
        site.detectors[1],
        site.detectors[5],
    )
    for detector in (before, ended):
        site.sim("flip", detector, on=True)
        eventually_now(lambda detector=detector: site.smoke(detector), 20)  # type: ignore[misc]
    site.settled()
    made = backup.backup(site.system.site.dsn, tmp_path / "backups")
    assert made.returncode == 0, made.stderr
    known = {
        row["part"]: row["id"] for row in site.rows("SELECT part, id FROM alarm WHERE condition = 'smoke'")
    }
    epoch = site.one("SELECT epoch FROM epoch")["epoch"]

    site.sim("flip", after, on=True)
    site.sim("flip", ended, on=False)
    eventually_now(lambda: site.smoke(after), 20)
    eventually_now(lambda: _state(site, ended).startswith("cleared"), 30)
    site.settled()

    refused = backup.restore(site.system.site.dsn, Path(made.stdout.strip()), site.system.site.config)
    assert refused.returncode == 1
    assert "stop the centre first" in refused.stderr
    for role in CENTRE:
        site.system.children[role].stop(timeout_s=10)
    site.sim("flip", meanwhile, on=True)
    eventually_now(
        lambda: any(site.system.outbox(gateway)["depth"] for gateway in site.system.street.gateways), 20
    )
    done = backup.restore(site.system.site.dsn, Path(made.stdout.strip()), site.system.site.config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert site.one("SELECT epoch FROM epoch")["epoch"] != epoch
    assert site.smoke(after) is None
    site.system.start(*CENTRE)

    for detector in (before, after, meanwhile):
        eventually_now(lambda detector=detector: site.smoke(detector), 60, detector)  # type: ignore[misc]
    eventually_now(
        lambda: _state(site, ended).startswith("cleared"), 60, "what ended since then is known to have ended"
    )
    site.settled()
    _each_gateway_has_looked_around(site)
    for gateway in site.system.street.gateways:
        site.all_stored_but_gaps(gateway)
    # Nothing twice: one alarm a home, and that of before the backup is still the same one.
    burning = site.rows("SELECT part, id FROM alarm WHERE condition = 'smoke'")
    assert sorted(row["part"] for row in burning) == sorted({before, ended, after, meanwhile})
    assert {
        part: number for part, number in ((row["part"], row["id"]) for row in burning) if part in known
    } == known
    told = site.rows(
        "SELECT alarm.part, delivery.worker, delivery.channel, count(*) AS n FROM delivery JOIN alarm"
        " ON alarm.id = delivery.alarm WHERE alarm.condition = 'smoke' AND purpose = 'alarm' AND step = 0"
        " GROUP BY 1, 2, 3"
    )
    assert {row["n"] for row in told} == {1}
    kinds = {row["condition"] for row in site.rows("SELECT condition FROM alarm")}
    assert "data_gap" in kinds
    assert "clone_suspected" not in kinds
    for detector in (after, meanwhile):
        alarm = site.smoke(detector)
        assert alarm is not None
        site.message(
            lambda body, alarm=alarm: alarm["id"] in body.get("alarms", ()) and bool(body["urgent"]), 30
        )


def test_a_backup_counts_only_when_it_is_whole_and_old_ones_go(site: Whole, tmp_path: Path) -> None:
    """Neither a database that is away nor one that is not ours leaves a file; of three, two stay."""
    folder = tmp_path / "backups"
    dsn = site.system.site.dsn
    for name in ("smokewatch-20200101T000000Z.dump", "smokewatch-20210101T000000Z.dump"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"older")
    (folder / "notes.txt").write_text("of an operator")
    made = backup.backup(dsn, folder, "2")
    assert made.returncode == 0, made.stderr
    newest = Path(made.stdout.strip())
    assert _files(folder) == ["notes.txt", "smokewatch-20210101T000000Z.dump", newest.name]
    assert newest.stat().st_mode & 0o077 == 0
    for other, word in (
        (site.database.dsn("postgres"), "no table event"),
        (site.database.dsn("nowhere"), "nowhere"),
    ):
        failed = backup.backup(other, folder, "2")
        assert failed.returncode == 1
        assert word in failed.stderr
        assert len(_files(folder)) == 3
    torn = tmp_path / "torn.dump"
    torn.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    for role in CENTRE:
        site.system.children[role].stop(timeout_s=10)
    events = site.one("SELECT count(*) AS n FROM event")
    failed = backup.restore(dsn, torn, site.system.site.config)
    assert failed.returncode != 0
    assert site.one("SELECT count(*) AS n FROM event") == events, (
        "a restore that fails leaves the database as it was"
    )


def _files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name != ".lock")


def _state(site: Whole, detector: str) -> str:
    found = site.rows(
        "SELECT state FROM alarm WHERE part = %s AND condition = 'smoke' ORDER BY id DESC", detector
    )
    return str(found[0]["state"]) if found else "none"


def _each_gateway_has_looked_around(site: Whole) -> None:
    for gateway in site.system.street.gateways:
        eventually_now(
            lambda gateway=gateway: site.rows(  # type: ignore[misc]
                "SELECT 1 FROM event WHERE gateway = %s AND kind = 'snapshot'"
                " AND recorded_at > (SELECT since FROM epoch)",
                gateway,
            ),
            60,
            f"{gateway} has told of all its detectors in the new epoch",
        )
