"""Gateways are updated after the centre, some of them late: what released agents said is still understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from central import pipeline
from tests.harness.town import AREA, GATEWAY, Town
from wire.codec import decode
from wire.messages import Condition, EventBatch, EventKind, ReadingBatch, Status
from wire.topics import Channel

ROOT = Path(__file__).parents[2]
AGENTS = ROOT / "tests" / "vectors" / "wire" / "v1" / "agents"
VERSIONS = sorted(folder.name for folder in AGENTS.iterdir())


def _said(version: str) -> list[EventBatch | ReadingBatch | Status]:
    """All messages of one recorded life, in order, read by today's codec."""
    found = []
    for file in sorted((AGENTS / version).glob("*.json")):
        message = decode(Channel[file.stem.split("-")[1].upper()], file.read_bytes())
        assert isinstance(message, EventBatch | ReadingBatch | Status)
        found.append(message)
    return found


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_centre_takes_all_that_an_earlier_agent_says(town: Town, version: str) -> None:
    """Through the real pipeline: every event and reading stored, its smoke an alarm, nothing put aside."""
    cursors: dict[str, int] = {}
    readings = 0
    for message in _said(version):
        async with town.store.transaction() as tx:
            if isinstance(message, EventBatch):
                (ack,) = await pipeline.take_events(tx, [pipeline.Came(AREA, GATEWAY, message, tx.now)])
                cursors[message.stream] = message.events[-1].seq
                assert ack.through_seq == message.events[-1].seq
            elif isinstance(message, ReadingBatch):
                known = "INSERT INTO detector SELECT unnest(%s::text[]), 'p' ON CONFLICT DO NOTHING"
                await tx.conn.execute(known, (sorted(set(message.detector)),))
                arrival = pipeline.Arrival(AREA, GATEWAY, message, tx.now)
                (ack,) = await pipeline.take_readings(tx, [arrival])
                readings += len(message.t)
                assert ack.through_seq == message.first_seq + len(message.t) - 1
            else:
                await pipeline.take_beats(tx, [pipeline.Beat(AREA, GATEWAY, message, tx.now)])
    assert (await town.one("SELECT count(*) AS n FROM event"))["n"] == sum(cursors.values())
    assert (await town.one("SELECT count(*) AS n FROM readings"))["n"] == readings > 0
    alarms = await town.rows("SELECT condition, state FROM alarm")
    assert "smoke" in {row["condition"] for row in alarms}
    assert "system" not in {row["condition"] for row in alarms}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_recorded_life_has_all_that_matters(version: str) -> None:
    """A recording without a fire, orders, settings and a goodbye would prove little."""
    said = _said(version)
    events = [event for message in said if isinstance(message, EventBatch) for event in message.events]
    kinds = {(event.kind, event.condition) for event in events}
    assert kinds >= {
        (EventKind.ASSERT, Condition.SMOKE),
        (EventKind.CLEAR, Condition.SMOKE),
        (EventKind.ASSERT, Condition.NO_RESPONSE),
        (EventKind.SNAPSHOT, None),
        (EventKind.NOTE, None),
    }
    statuses = [message for message in said if isinstance(message, Status)]
    assert {status.online for status in statuses} == {True, False}
    assert {status.version for status in statuses if status.online} == {version}


def test_every_release_of_the_last_three_minor_versions_is_kept() -> None:
    """The centre promises to understand agents two minor versions old: today's and the two before."""
    released = re.findall(
        r"^## \[(\d+)\.(\d+)\.\d+\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    minors = list(dict.fromkeys(released))[:3]
    kept = {tuple(version.split(".")[:2]) for version in VERSIONS}
    assert set(minors) <= kept
    assert kept, "nothing was ever recorded"
