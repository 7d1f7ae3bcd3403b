"""P3: a detector or a line that falls silent is one incident, told once; back, it is closed by itself.

Real processes. The two who are told are the community's lead and the installer.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.wait import eventually_now
from tests.harness.whole import Whole, whole_system

CALLED = ("installer-1", "lead-1")
BUS = "gw-1-riser-1"
ALL = 6


@pytest.fixture(scope="module")
def running() -> Iterator[Whole]:
    with whole_system() as made:
        made.watching()
        yield made


def test_a_silent_detector_is_told_and_closes_when_it_answers(running: Whole) -> None:
    """Its home alone counts as unwatched meanwhile; the others stay watched."""
    silent = running.detectors[4]
    eventually_now(lambda: watched(running) == ALL, 20, "all are watched")
    seen, told = len(alarms(running)), len(running.phone.messages())
    running.sim("fault", silent, fault="silent")
    eventually_now(lambda: len(alarms(running)) > seen, 50, "the silence is an alarm")
    assert alarms(running)[seen:] == [("no_response", silent, "active_unacknowledged")]
    assert watched(running) == ALL - 1
    running.sim("clear_fault", silent)
    eventually_now(lambda: alarms(running)[seen:] == [("no_response", silent, "closed")], 30, "it is closed")
    eventually_now(lambda: watched(running) == ALL, 20, "all are watched again")
    only_told(running, told, 1)
    assert closed_by(running) == ("system", "returned_to_normal")


def test_an_unplugged_line_is_one_incident_for_all_its_detectors(running: Whole) -> None:
    """Not one for each of the six; it names the homes, which are unwatched until the line is back."""
    eventually_now(lambda: watched(running) == ALL, 20, "all are watched")
    seen, told = len(alarms(running)), len(running.phone.messages())
    running.sim("unplug", bus=BUS)
    eventually_now(lambda: len(alarms(running)) > seen, 50, "the line is an alarm")
    down = running.one("SELECT detail FROM alarm WHERE condition = 'bus_down'")
    assert (down["detail"]["count"], len(down["detail"]["homes"])) == (ALL, ALL)
    assert watched(running) == 0
    silent_for_long(running)
    assert alarms(running)[seen:] == [("bus_down", "bus:riser-1", "active_unacknowledged")]
    running.sim("plug", bus=BUS)
    eventually_now(
        lambda: alarms(running)[seen:] == [("bus_down", "bus:riser-1", "closed")], 40, "it is closed"
    )
    eventually_now(lambda: watched(running) == ALL, 20, "all are watched again")
    only_told(running, told, 1)
    assert closed_by(running) == ("system", "returned_to_normal")


def silent_for_long(whole: Whole) -> None:
    """Until each detector alone would have been told as silent (20 s), by the database's clock."""
    eventually_now(
        lambda: whole.one(
            "SELECT now() - opened_at > interval '15 seconds' AS long FROM alarm WHERE condition = 'bus_down'"
        )["long"],
        30,
        "each detector has been silent for long",
    )


def alarms(whole: Whole) -> list[tuple[str, str, str]]:
    rows = whole.rows("SELECT condition, part, state FROM alarm ORDER BY id")
    return [(row["condition"], row["part"], row["state"]) for row in rows]


def watched(whole: Whole) -> int:
    """How many detectors the overview counts as watched."""
    row = whole.one("SELECT count(*) FILTER (WHERE state = 'watched') AS n FROM watch(now())")
    return int(row["n"])


def closed_by(whole: Whole) -> tuple[str, str]:
    row = whole.one("SELECT closed_by, disposition FROM alarm ORDER BY id DESC LIMIT 1")
    return row["closed_by"], row["disposition"]


def only_told(whole: Whole, before: int, incidents: int) -> None:
    """Each incident once to each of the two who see to it, and nothing else to anybody."""
    eventually_now(
        lambda: not whole.rows("SELECT FROM delivery WHERE state = 'pending'"), 20, "nothing waits to be sent"
    )
    newest = whole.one("SELECT max(id) AS id FROM alarm")["id"]
    keys = [message.body["id"] for message in whole.phone.messages()[before:]]
    wanted = [f"{newest}:alarm:1:0:{worker}:webhook" for worker in CALLED] * incidents
    assert sorted(keys) == wanted
