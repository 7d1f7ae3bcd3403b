"""P4: when messages do not get out, the auditor says so by its own channel, and nothing says `alive`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from central.app import StartError, run_auditor
from central.auditor import Auditor
from central.config import read_settings
from central.dead_man import DeadMan
from central.emergency import build_emergency, read_auditor
from central.findings import RIPE_S, START_S
from central.presence import Presence
from central.proof import AUDITED_S, WorkerProof
from central.store import jobs
from central.store.pool import Store
from tests.harness.sinks import OK, SECRET, Say, sink
from tests.harness.town import MOMENT, Town, batch, event, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind

ROOT = Path(__file__).parents[2]
ROLE = "smokewatch_auditor"
PARTS = dict.fromkeys((jobs.WORKER, jobs.INGEST, jobs.AUDITOR), jobs.PARTS_S)


class Clock:
    """Monotonic seconds, moved by the test."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def town(town: Town) -> Town:
    async with town.store.transaction() as tx:
        await jobs.expect(tx, PARTS)
    await town.do("UPDATE contact SET channel = 'webhook'")
    return town


@pytest.fixture
def least(database: str) -> Iterator[str]:
    """The DSN of the auditor's own role, made as the documents say."""
    with psycopg.connect(database, autocommit=True) as db:
        db.execute((ROOT / "deploy" / "auditor-role.sql").read_text("utf-8").encode())
        db.execute(f"ALTER ROLE {ROLE} PASSWORD 'looks'".encode())
    yield make_conninfo(database, user=ROLE, password="looks")
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(f"DROP OWNED BY {ROLE}".encode())
        db.execute(f"DROP ROLE {ROLE}".encode())


async def test_a_killed_worker_is_shouted_about_by_the_auditors_own_channel_and_alive_ends(
    town: Town, least: str, tmp_path: Path
) -> None:
    """A real worker, killed; messages become overdue; the switch outside is pinged no more."""
    async with sink() as phone, sink() as emergency, sink() as outside:
        path = tmp_path / "central.toml"
        path.write_text(
            f'[database]\ndsn = "{town.dsn}"\n[broker]\nhost = "127.0.0.1"\n'
            f'[channels.webhook]\nurl = "{phone.url}"\nsecret = "{SECRET}"\n'
            f'[auditor]\ndsn = "{least}"\ndead_man_url = "{outside.url}"\n'
            '[[auditor.call]]\nchannel = "webhook"\naddress = "engineer"\n'
            f'[auditor.channels.webhook]\nurl = "{emergency.url}"\nsecret = "{SECRET}"\n'
        )
        settings = read_settings(path, {})
        wanted = read_auditor(settings, {})
        assert wanted is not None
        assert wanted.dead_man_url is not None
        clock = Clock()
        store = Store(wanted.dsn, max_connections=1, clock_shift=town.time)
        await store.open()
        calls = build_emergency(settings, wanted, {}, lambda: MOMENT)
        switch = DeadMan(wanted.dead_man_url)
        auditor = Auditor(store, calls, switch, wanted.again_s, clock)
        proof = WorkerProof(town.store, clock, audited=True)
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "central", "worker", path, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
            await eventually(lambda: bool(phone.received), 30, "the worker works")
            await auditor.look()
            await auditor.ping()
            await proof.look()
            assert (auditor.proved, proof.good, len(outside.received)) == (True, True, 1)

            worker.kill()
            await worker.wait()
            smoke = event(2, EventKind.ASSERT, Condition.HEAT)
            await send(town, batch([smoke]))
            town.time.forward(seconds=35)
            clock.now += START_S
            await auditor.look()
            clock.now += RIPE_S
            await auditor.look()
            await auditor.ping()
            await proof.look()
            assert (auditor.proved, proof.good, len(outside.received)) == (False, False, 1)
            emergency.answer = lambda one: Say(503) if one.number == 1 else OK
            assert [await calls.deliver(), await calls.deliver(), await calls.deliver()] == [1, 0, 0]
            assert emergency.keys[0] == emergency.keys[1]
            assert all(one.signed for one in emergency.received)
            said = emergency.received[1].body
            assert (said["to"], said["urgent"]) == ("engineer", True)
            assert "1 条通知逾期未发出" in said["text"]
            assert len(phone.received) == 1, "by no channel of the worker's"
        finally:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
            await calls.close()
            await switch.close()
            await store.close()


async def test_the_program_proves_again_and_again_until_it_is_told_to_stop(
    town: Town, tmp_path: Path
) -> None:
    """As `smokewatch-central auditor` runs it; without the table `[auditor]` it says what is missing."""
    path = tmp_path / "central.toml"
    common = f'[database]\ndsn = "{town.dsn}"\n[broker]\nhost = "127.0.0.1"\n[channels.console]\n'
    path.write_text(common)
    with pytest.raises(StartError, match="add \\[auditor\\]"):
        await run_auditor(read_settings(path, {}), {}, stop=asyncio.Event())
    path.write_text(
        f'{common}[auditor]\n[[auditor.call]]\nchannel = "console"\naddress = "me"\n'
        "[auditor.channels.console]\n"
    )
    await town.do("UPDATE job SET succeeded_at = now() - interval '1 hour' WHERE name = 'auditor'")
    stop = asyncio.Event()
    running = asyncio.create_task(run_auditor(read_settings(path, {}), {}, stop=stop))

    async def proves() -> bool:
        row = await town.one(
            "SELECT now() - succeeded_at < '1 minute' AS fresh FROM job WHERE name = 'auditor'"
        )
        return bool(row["fresh"])

    await eventually(proves, 15, "its proof is on record")
    stop.set()
    await asyncio.wait_for(running, 10)


async def test_a_dead_auditor_ends_alive_as_what_it_would_have_found_does(town: Town, least: str) -> None:
    """Its proof is a row that only a whole and good look renews; its role may change nothing else."""
    clock = Clock()
    proof = WorkerProof(town.store, clock, audited=True)
    store = Store(least, max_connections=1, clock_shift=town.time)
    await store.open()
    try:
        town.time.forward(seconds=AUDITED_S + 5)
        await proof.look()
        assert not proof.good, "no proof since it was expected"
        async with store.transaction() as tx:
            await jobs.succeeded(tx, jobs.AUDITOR)
        await proof.look()
        assert proof.good
        for forbidden in (
            "SELECT address FROM delivery",
            "SELECT name FROM resident",
            "DELETE FROM delivery",
            "UPDATE job SET every = NULL",
        ):
            with pytest.raises(Exception, match="permission denied"):
                async with store.transaction() as tx:
                    await tx.conn.execute(forbidden.encode())
    finally:
        await store.close()


async def test_a_process_that_stands_still_or_hears_nobody_is_found(town: Town) -> None:
    """Only a process whose loops turn says that it is there."""
    turns = True
    presence = Presence(town.store, {"worker", "api"}, lambda: turns)
    town.time.forward(seconds=50)
    await presence.say()
    turns = False
    town.time.forward(seconds=50)
    await presence.say()
    async with town.store.transaction() as tx:
        late = {one.name for one in await jobs.on_record(tx) if jobs.is_overdue(one, tx.now)}
    assert late == {jobs.INGEST, jobs.AUDITOR}
    town.time.forward(seconds=50)
    async with town.store.transaction() as tx:
        late = {one.name for one in await jobs.on_record(tx) if jobs.is_overdue(one, tx.now)}
    assert jobs.WORKER in late
