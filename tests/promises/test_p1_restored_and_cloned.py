"""P1 when time itself runs backwards: an older database, an emptied one, a copied outbox."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.harness.wait import eventually_now
from tests.harness.whole import Whole, whole_system

CENTRE = ("api", "ingest", "worker", "jobs")


@pytest.fixture
def site() -> Iterator[Whole]:
    with whole_system() as whole:
        whole.watching()
        yield whole


def test_after_an_older_database_is_restored_the_gap_is_on_record_and_the_burning_home_is_known(
    site: Whole,
) -> None:
    """Events that only the lost database had leave a gap; smoke that still stands opens its alarm again."""
    first, second, third = site.detectors[:3]
    site.sim("flip", first, on=True)
    eventually_now(lambda: site.smoke(first), 20)
    site.settled()
    _stop_centre(site)
    _copy_database(site, "smokewatch", "yesterday")
    _start_centre(site)
    site.sim("flip", second, on=True)
    eventually_now(lambda: site.smoke(second), 20)
    site.settled()

    _stop_centre(site)
    _copy_database(site, "yesterday", "smokewatch")
    site.system.admin("new-epoch")
    assert site.smoke(second) is None
    _start_centre(site)

    eventually_now(lambda: site.smoke(second), 60, "smoke that only the lost database knew is an alarm again")
    site.sim("flip", third, on=True)
    eventually_now(lambda: site.smoke(third), 30)
    site.settled()
    site.all_stored_but_gaps("gw-1")
    _no_home_has_two_open_alarms(site)
    kinds = {row["condition"] for row in site.rows("SELECT condition FROM alarm")}
    assert "data_gap" in kinds
    assert "clone_suspected" not in kinds


def test_after_the_database_was_emptied_the_burning_home_is_known_again(site: Whole) -> None:
    """A new, empty database with the registry imported again: the snapshot tells it what burns."""
    burning = site.detectors[0]
    site.sim("flip", burning, on=True)
    eventually_now(lambda: site.smoke(burning), 20)
    site.settled()
    _stop_centre(site)
    with psycopg.connect(site.database.dsn("postgres"), autocommit=True) as connection:
        connection.execute('DROP DATABASE "smokewatch" WITH (FORCE)')
        connection.execute('CREATE DATABASE "smokewatch"')
    site.system.prepare()
    _start_centre(site)
    eventually_now(lambda: site.smoke(burning), 60, "the smoke is an alarm in the new database")
    home = site.smoke(burning)
    assert home is not None
    assert home["household"] is not None
    site.message(lambda body: home["id"] in body.get("alarms", ()) and bool(body["urgent"]), 30)


def test_an_outbox_set_back_in_time_starts_a_new_stream_and_loses_nothing(site: Whole) -> None:
    """An old copy put back on the same box: what it writes next is stored under a stream of its own."""
    first, second = site.detectors[:2]
    state = site.system.site.folder / "state" / "gw-1"
    site.settled()
    site.system.kill9("gw-1")
    old = _copy_outbox(state, "old")
    site.system.start("gw-1")
    site.sim("flip", first, on=True)
    eventually_now(lambda: site.smoke(first), 20)
    site.settled()
    before = site.system.outbox("gw-1")["stream"]

    site.system.kill9("gw-1")
    _put_back(old, state)
    site.sim("flip", second, on=True)
    site.system.start("gw-1")
    eventually_now(lambda: site.smoke(second), 30, "smoke seen after the set-back is an alarm")
    eventually_now(lambda: site.system.outbox("gw-1")["stream"] != before, 30, "a new stream has begun")
    site.settled()
    site.all_stored_once()
    _no_home_has_two_open_alarms(site)


def test_an_outbox_copied_to_a_second_box_speaks_under_a_stream_of_its_own(site: Whole) -> None:
    """Another machine id: the copy does not continue the first box's stream."""
    state = site.system.site.folder / "state" / "gw-1"
    site.settled()
    before = site.system.outbox("gw-1")["stream"]
    site.system.kill9("gw-1")
    machine = site.system.site.folder / "other-machine-id"
    machine.write_text("0123456789abcdef0123456789abcdef\n")
    config = site.system.site.folder / "gw-1.toml"
    text = config.read_text()
    config.write_text(f'machine_id_file = "{machine}"\n{text}')
    site.system.start("gw-1")
    site.sim("flip", site.detectors[0], on=True)
    eventually_now(lambda: site.smoke(site.detectors[0]), 30)
    site.settled()
    assert site.system.outbox("gw-1")["stream"] != before
    site.all_stored_once()
    assert state.exists()


def _stop_centre(site: Whole) -> None:
    for role in CENTRE:
        site.system.children[role].stop(timeout_s=10)


def _start_centre(site: Whole) -> None:
    site.system.start(*CENTRE)


def _copy_database(site: Whole, source: str, target: str) -> None:
    with psycopg.connect(site.database.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{target}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"'.encode())


def _copy_outbox(state: Path, name: str) -> Path:
    kept = state.parent / name
    shutil.copytree(state, kept, ignore=shutil.ignore_patterns("*.sock"))
    return kept


def _put_back(kept: Path, state: Path) -> None:
    shutil.rmtree(state)
    shutil.copytree(kept, state)


def _no_home_has_two_open_alarms(site: Whole) -> None:
    burning = site.rows("SELECT part FROM alarm WHERE condition = 'smoke' AND state <> 'closed'")
    assert len(burning) == len({row["part"] for row in burning})
