"""The outbox on disks that fill up, fail, lie and come back."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from edge_agent import outbox as module
from edge_agent.mending import _fresh, open_sound
from edge_agent.observation import Observation, Stamp
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError, held_events, look
from wire.messages import Condition, EventKind

BOOT = "b" * 32
CANARY = Observation(EventKind.CANARY)
SMOKE = Observation(EventKind.ASSERT, Condition.SMOKE, "d-1")
V1 = Path(__file__).parents[2] / "vectors" / "outbox" / "v1.db"


def stamp(mono_ms=1000):
    return Stamp(at_ms=1_800_000_000_000, mono_ms=mono_ms, boot=BOOT, synchronised=True)


def note(number, size=400):
    return Observation(EventKind.NOTE, text=f"{number:06}" + "y" * size)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


def texts(box):
    found = []
    seq = box.oldest_seq
    while seq <= box.highest_seq:
        events = box.batch(seq, box.highest_seq, 1_000_000).events
        found += events
        seq = events[-1].seq + 1
    return found


def damage(path, first_page, last_page):
    """Noise over the start of these pages, as a dying card returns it."""
    content = bytearray(path.read_bytes())
    for page in range(first_page, last_page):
        content[page * 4096 : page * 4096 + 300] = random.Random(page).randbytes(300)
    path.write_bytes(bytes(content))


def filled(path, rounds=40):
    box = Outbox.open(path, "m-1")
    for number in range(rounds):
        box.append([note(number * 20 + i) for i in range(20)], stamp(number), {"d-1": b"state"})
    box.command_done("c" * 32)
    box.save_epoch("e" * 32)
    return box


def test_a_file_of_version_1_is_brought_to_this_version(path):
    """Made by the agent of that time: rows, numbers, stream and everything beside them stay."""
    shutil.copy(V1, path)
    before = look(V1)
    box = Outbox.open(path, "machine-1")
    assert (box.stream, box.highest_seq, box.oldest_seq, box.report) == (before.stream, 4, 2, None)
    kinds = [event.kind for event in texts(box)]
    assert kinds == [EventKind.CANARY, EventKind.ASSERT, EventKind.ASSERT]
    assert box.was_done("c" * 32)
    assert box.config is not None
    assert (box.epoch, set(box.tracked())) == ("e" * 32, {"d-1"})
    assert box.append([SMOKE], stamp()) == [5]
    box.close()
    fresh = Outbox.open(path.with_name("fresh.db"), "machine-1")
    fresh.close()
    assert _columns(path) == _columns(path.with_name("fresh.db"))


def _columns(path):
    db = sqlite3.connect(path)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = {name: db.execute(f"PRAGMA table_info({name})").fetchall() for name in sorted(tables)}
    found["version"] = db.execute("PRAGMA user_version").fetchall()
    db.close()
    return found


def test_a_damaged_file_of_version_1_is_salvaged_too(path):
    """The card may die on the day of the update."""
    shutil.copy(V1, path)
    db, report = open_sound(path, damage="for the test")
    assert "3 events of it go on, 0 known ones are lost" in str(report)
    db.close()


def test_salvaged_rows_keep_their_stream_and_numbers(path):
    """Pages in the middle are noise: what is before and behind goes on as if nothing had been."""
    box = filled(path)
    stream, whole = box.stream, {event.text: event.seq for event in texts(box)}
    box.close()
    damage(path, 20, 30)
    box = Outbox.open(path, "m-1")
    assert "set aside as outbox.db.corrupt-1" in str(box.report)
    assert (box.stream, box.highest_seq) == (stream, 800)
    held = texts(box)
    assert [event.seq for event in held] == list(range(box.oldest_seq, 801))
    kept = [event for event in held if event.text in whole]
    assert all(whole[event.text] == event.seq for event in kept)
    lost = [event for event in held if event.text not in whole]
    assert len(kept) > 600
    assert 0 < len(lost) < 150
    assert all("unreadable" in event.text for event in lost)
    assert (box.tracked(), box.epoch) == ({"d-1": b"state"}, "e" * 32)
    assert box.was_done("c" * 32)
    box.tend(stamp())
    assert "damaged" in texts(box)[-1].text, "it is on record"
    box.close()


def test_without_its_identity_the_rows_go_on_under_a_new_stream(path):
    """The page with stream and counters is gone: the rows are counted anew from 1."""
    box = filled(path)
    stream = box.stream
    box._ledger._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (page,) = box._ledger._db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'meta'").fetchone()
    box.close()
    damage(path, page - 1, page)
    box = Outbox.open(path, "m-1")
    assert box.stream not in ("", stream)
    assert (box.oldest_seq, box.highest_seq) == (1, 800)
    assert [event.text[:6] for event in texts(box)] == [f"{n:06}" for n in range(800)]
    box.close()


def test_damage_found_while_running_is_mended_without_a_restart(path):
    """The call that met it is done all the same, and what was held goes on."""
    box = filled(path)
    stream = box.stream
    box._ledger._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    box._ledger._db.execute("PRAGMA cache_size = 0")
    damage(path, 20, 30)
    with pytest.raises(sqlite3.DatabaseError):
        box._ledger._db.execute("SELECT sum(length(body)) FROM event").fetchone()
    found = texts(box)
    assert (box.stream, len(found)) == (stream, 800)
    assert box.append([SMOKE], stamp()) == [801]
    assert (path.parent / "outbox.db.corrupt-1").exists()
    assert box.trouble is None
    box.close()


def test_a_crash_while_mending_loses_nothing(path):
    """A whole fresh file that had not taken its place yet takes it at the next start; a half one goes."""
    filled(path).close()
    damaged = path.read_bytes()
    db, _ = open_sound(path, damage="for the test")
    db.close()
    whole = path.read_bytes()
    path.write_bytes(damaged)
    _fresh(path).write_bytes(whole)
    box = Outbox.open(path, "m-1")
    assert box.depth == 800
    assert not _fresh(path).exists()
    assert (path.parent / "outbox.db.corrupt-2").read_bytes() == damaged
    box.close()
    _fresh(path).write_bytes(whole[:4096])
    box = Outbox.open(path, "m-1")
    assert (box.depth, _fresh(path).exists()) == (800, False)
    box.close()


@pytest.fixture
def mortal(path, monkeypatch):
    """An outbox whose file can be made to refuse every write, as a card remounted read-only does."""

    def refuse(box):
        box._ledger._db.execute("PRAGMA query_only = ON")

    return Outbox.open(path, "m-1"), refuse


def test_without_a_disk_events_go_on_in_memory_and_come_home(mortal, path):
    """What was held is sent from memory under a new stream; back on disk it keeps that stream's numbers."""
    box, refuse = mortal
    box.append([note(n) for n in range(5)], stamp(), {"d-1": b"old"})
    box.forget(2)
    stream = box.stream
    refuse(box)
    given = box.append([SMOKE], stamp(), {"d-1": b"new"})
    assert box.trouble is not None
    assert box.stream != stream
    assert (given, box.oldest_seq, box.highest_seq) == ([4], 1, 4)
    assert [event.kind for event in texts(box)] == [EventKind.NOTE] * 3 + [EventKind.ASSERT]
    assert look(path).stream == stream, "the disk was left as it was"
    box.tend(stamp(1000))
    storage = texts(box)[-1]
    assert (storage.kind, storage.condition, storage.detector) == (EventKind.ASSERT, Condition.STORAGE, None)
    in_memory = box.stream
    box.forget(2)
    box.tend(stamp(1000 + module.HOME_AFTER_MS))
    assert box.trouble is None
    assert (box.stream, box.oldest_seq) == (in_memory, 3)
    assert [event.seq for event in texts(box)] == [3, 4, 5, 6]
    assert texts(box)[-1].kind is EventKind.CLEAR
    assert box.tracked() == {"d-1": b"new"}
    box.close()
    again = Outbox.open(path, "m-1")
    assert (again.stream, again.oldest_seq, again.highest_seq) == (in_memory, 3, 6)
    again.close()


def test_what_memory_cannot_hold_stays_on_disk_and_follows(mortal, path, monkeypatch):
    """A long backlog on a card that dies: new events go from memory at once, the old ones once it is back."""
    box, refuse = mortal
    monkeypatch.setattr(module, "MEMORY_BYTES", 150_000)
    for number in range(30):
        box.append([note(number * 20 + i) for i in range(20)], stamp(number))
    refuse(box)
    box.append([SMOKE], stamp(50))
    assert [event.kind for event in texts(box)] == [EventKind.ASSERT]
    box.tend(stamp(1000))
    box.forget(1)
    box.tend(stamp(1000 + module.HOME_AFTER_MS))
    assert box.trouble is None
    held = texts(box)
    assert [event.seq for event in held] == list(range(1, len(held) + 1))
    assert [event.text[:6] for event in held[:600]] == [f"{n:06}" for n in range(600)]
    assert [event.condition for event in held[600:]] == [Condition.STORAGE] * 2
    box.close()


def test_the_disk_is_tried_ever_more_rarely(mortal, path, monkeypatch):
    """A disk that stays dead is not written at all the time."""
    box, refuse = mortal
    refuse(box)
    box.append([SMOKE], stamp(0))
    tries = []

    def still_dead():
        tries.append(1)
        raise StorageError("no")

    monkeypatch.setattr(box, "_open_file", still_dead)
    for second in range(0, 3600, 2):
        box.tend(stamp(second * 1000))
    assert 8 < len(tries) < 20
    assert box.append([SMOKE], stamp()) == [3]
    box.close()


def test_an_agent_that_starts_on_a_dead_disk_watches_from_memory(path, monkeypatch):
    """What can be read is sent; nothing on the disk is changed; later all is written there."""
    box = filled(path, 2)
    stream = box.stream
    box.close()

    def dead(*_):
        raise StorageError("read-only", sqlite3.SQLITE_READONLY)

    with monkeypatch.context() as patch:
        patch.setattr(module, "open_sound", dead)
        box = Outbox.open(path, "m-1")
    assert box.trouble == "read-only"
    assert (box.depth, box.tracked()) == (40, {"d-1": b"state"})
    assert box.stream != stream
    assert box.append([SMOKE], stamp()) == [41]
    box.tend(stamp(0))
    box.tend(stamp(module.HOME_AFTER_MS))
    assert (box.trouble, box.depth) == (None, 43)
    box.close()


def test_held_events_are_exported_whole_while_the_agent_has_the_file_open(path):
    """Each with its stream, boot and number; one that cannot be read is there as bytes."""
    box = Outbox.open(path, "m-1")
    box.append([CANARY, SMOKE, note(1)], stamp())
    box.forget(1)
    box.new_stream()
    box._ledger._db.execute("UPDATE event SET body = x'ff00' WHERE row = 3")
    first, second = held_events(path)
    assert (first["seq"], first["condition"], first["boot"]) == (1, "smoke", BOOT)
    assert second == {"stream": box.stream, "boot": BOOT, "seq": 2, "unreadable": "ff00"}
    box.close()
