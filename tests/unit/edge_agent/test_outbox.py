"""The outbox: numbers without holes, nothing half-written, streams that never lie."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_agent.observation import Observation, Stamp
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from wire.codec import seal_config
from wire.messages import Condition, EventKind

BOOT = "b" * 32
OTHER_BOOT = "c" * 32
CANARY = Observation(EventKind.CANARY)
SMOKE = Observation(EventKind.ASSERT, Condition.SMOKE, "d-1")


def stamp(mono_ms=1000, boot=BOOT, at_ms=1_800_000_000_000):
    return Stamp(at_ms=at_ms, mono_ms=mono_ms, boot=boot, synchronised=True, config_version=3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path):
    box = Outbox.open(path, "machine-1")
    yield box
    box.close()


def seqs(box, max_bytes=60_000):
    return [event.seq for event in box.batch(1, box.highest_seq, max_bytes).events]


def test_what_is_appended_comes_back_as_it_was(outbox):
    """Every field of an observation and of its stamp is in the event."""
    seen = Observation(EventKind.ASSERT, Condition.HEAT, "d-1", "bus-1", 61.5, None, "热")
    assert outbox.append([seen], stamp(), {"d-1": b"\x01state"}) == [1]
    boot, (event,), _ = outbox.batch(1, 1, 60_000)
    assert (boot, event.seq, event.kind, event.condition) == (BOOT, 1, EventKind.ASSERT, Condition.HEAT)
    assert (event.detector, event.bus, event.value, event.text) == ("d-1", "bus-1", 61.5, "热")
    assert (event.at_ms, event.mono_ms, event.synchronised, event.config_version) == (
        1_800_000_000_000, 1000, True, 3,
    )  # fmt: skip
    assert outbox.tracked() == {"d-1": b"\x01state"}


def test_numbers_go_on_after_everything_is_forgotten_and_after_a_restart(path):
    """A seq is never used again, unlike a rowid."""
    box = Outbox.open(path, "machine-1")
    assert box.append([CANARY] * 3, stamp()) == [1, 2, 3]
    box.forget(3)
    assert (box.depth, box.oldest_seq, box.highest_seq, box.oldest_unacked_at) == (0, 4, 3, None)
    stream = box.stream
    box.close()
    box = Outbox.open(path, "machine-1")
    assert box.append([CANARY], stamp()) == [4]
    assert (box.stream, box.oldest_seq, box.depth, box.report) == (stream, 4, 1, None)
    box.close()


def test_forget_never_reaches_beyond_what_was_written(outbox):
    """A wild acknowledgement cannot eat numbers of the future."""
    outbox.append([CANARY] * 2, stamp())
    outbox.forget(10**9)
    assert outbox.append([CANARY], stamp()) == [3]
    assert seqs_of(outbox, 1, 9) == [3]


def seqs_of(box, first, last):
    return [event.seq for event in box.batch(first, last, 60_000).events]


def test_a_batch_never_mixes_boots(outbox):
    """Monotonic stamps of two boots cannot be compared."""
    outbox.append([CANARY] * 2, stamp())
    outbox.append([CANARY] * 2, stamp(boot=OTHER_BOOT))
    assert [event.seq for event in outbox.batch(1, 4, 60_000).events] == [1, 2]
    assert outbox.batch(3, 4, 60_000).boot == OTHER_BOOT


def test_a_batch_is_cut_to_its_bytes_but_never_empty(outbox):
    """One event goes out even when it alone is more than the wish."""
    outbox.append([Observation(EventKind.NOTE, text="x" * 400)] * 10, stamp())
    assert len(outbox.batch(1, 10, 1200).events) == 2
    assert len(outbox.batch(1, 10, 10).events) == 1


def test_urgent_rows_are_found_whatever_lies_before_them(outbox):
    """Only asserts of smoke, heat and test are urgent."""
    outbox.append(
        [CANARY] * 50 + [SMOKE, Observation(EventKind.CLEAR, Condition.SMOKE, "d-1"), SMOKE], stamp()
    )
    assert outbox.urgent() == [51, 53]
    assert outbox.urgent(above=51) == [53]
    assert outbox.urgent(limit=1) == [53]
    outbox.forget(52)
    assert outbox.urgent() == [53]


def test_another_machine_starts_another_stream_and_keeps_the_rows(path):
    """A copied card must not speak in the name of the box it was copied from."""
    box = Outbox.open(path, "machine-1")
    box.append([CANARY] * 5, stamp())
    box.forget(2)
    before = box.batch(3, 5, 60_000).events
    stream = box.stream
    box.close()
    box = Outbox.open(path, "machine-2")
    assert box.stream != stream
    assert "another machine" in str(box.report)
    assert (box.oldest_seq, box.highest_seq, box.depth) == (1, 3, 3)
    after = box.batch(1, 3, 60_000).events
    assert [event.mono_ms for event in after] == [event.mono_ms for event in before]
    assert [event.seq for event in after] == [1, 2, 3]
    assert box.append([CANARY], stamp()) == [4]
    box.close()
    again = Outbox.open(path, "machine-2")
    assert (again.report, again.highest_seq) == (None, 4)
    again.close()


def test_a_new_stream_of_an_empty_outbox_begins_at_one(outbox):
    """Nothing is held, nothing is renumbered."""
    outbox.append([CANARY] * 5, stamp())
    outbox.forget(5)
    old = outbox.stream
    assert outbox.new_stream() == outbox.stream != old
    assert (outbox.highest_seq, outbox.oldest_seq) == (0, 1)
    assert outbox.append([CANARY], stamp()) == [1]


def test_a_damaged_file_is_set_aside_and_the_watch_goes_on(path):
    """Rubbish where the outbox was: a fresh one, a report, the old one kept."""
    path.write_bytes(b"this is no database at all, but it is longer than a header" * 100)
    for number in (1, 2):
        box = Outbox.open(path, "machine-1")
        assert f"outbox.db.corrupt-{number}" in str(box.report)
        assert box.append([SMOKE], stamp()) == [1]
        box.close()
        path.write_bytes(b"again" * 1000)
    assert (path.parent / "outbox.db.corrupt-1").read_bytes().startswith(b"this is no database")


def test_a_page_of_rubbish_inside_is_found_at_open(path):
    """A card that returns noise in the middle of the file is noticed before anything trusts it."""
    box = Outbox.open(path, "machine-1")
    for _ in range(40):
        box.append([Observation(EventKind.NOTE, text="y" * 400)] * 20, stamp())
    box.close()
    content = bytearray(path.read_bytes())
    for page in range(4, len(content) // 4096 - 1):
        content[page * 4096 : page * 4096 + 200] = random.Random(page).randbytes(200)
    path.write_bytes(bytes(content))
    box = Outbox.open(path, "machine-1")
    assert "damaged" in str(box.report)
    assert box.highest_seq == 800, "no number is given twice"
    assert box.append([SMOKE], stamp()) == [801]
    box.close()


def test_a_database_of_somebody_else_is_left_alone(path):
    """No file that is not ours is renamed or written."""
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE photos (name)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="is not an outbox"):
        Outbox.open(path, "machine-1")
    assert path.read_bytes()[100:] == before[100:]


def test_a_newer_schema_is_refused_and_left_alone(path):
    """An older agent does not guess at what a newer one wrote."""
    Outbox.open(path, "machine-1").close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StorageError, match="schema 99"):
        Outbox.open(path, "machine-1")


def test_an_observation_that_no_event_can_carry_writes_nothing_of_its_group(outbox):
    """All or nothing, also for our own mistakes."""
    with pytest.raises(Exception, match="without a condition"):
        outbox.append([CANARY, Observation(EventKind.ASSERT, None, "d-1")], stamp(), {"d-1": b"x"})
    assert (outbox.highest_seq, outbox.depth, outbox.tracked()) == (0, 0, {})
    assert outbox.append([CANARY], stamp()) == [1]


def test_a_huge_snapshot_becomes_several(outbox):
    """3,000 detectors do not fit one message; each part fits and none is lost."""
    states = {f"detector-with-a-long-name-{n:05}": (Condition.SMOKE,) if n % 2 else None for n in range(3000)}
    given = outbox.append([Observation(EventKind.SNAPSHOT, states=states)], stamp())
    assert len(given) > 1
    found = {}
    for seq in given:
        (event,) = outbox.batch(seq, seq, 60_000).events
        found.update(event.states)
    assert found == {name: None if each is None else list(each) for name, each in states.items()}


def test_a_remark_too_long_or_a_number_that_is_none_does_not_lose_the_alarm(outbox):
    """What is beside the point is cut to fit."""
    outbox.append(
        [Observation(EventKind.ASSERT, Condition.SMOKE, "d", value=float("nan"), text="a\0" * 900)], stamp()
    )
    (event,) = outbox.batch(1, 1, 60_000).events
    assert (event.value, len(event.text), "\0" in event.text) == (None, 500, False)


def test_commands_and_configuration_are_remembered(path):
    """Over a restart; only the newest thousand commands."""
    box = Outbox.open(path, "machine-1")
    assert box.config is None
    config = seal_config("e" * 32, 4, [], 60.0)
    box.save_config(config, b"standing")
    box.save_epoch("e" * 32)
    for number in range(1005):
        box.command_done(f"{number:032x}")
    box.command_done(f"{1004:032x}")
    box.close()
    box = Outbox.open(path, "machine-1")
    assert (box.config, box.epoch) == (config, "e" * 32)
    assert box.was_done(f"{1004:032x}")
    assert not box.was_done(f"{1:032x}")
    box.close()


def test_the_age_of_the_oldest_event_trusts_the_monotonic_clock(outbox):
    """A wall clock that steps from 1970 makes no event fifty years old."""
    outbox.append([CANARY], stamp(mono_ms=5000, at_ms=0))
    assert outbox.oldest_unacked_s(BOOT, 12_500, 1_800_000_000_000) == 7.5
    assert outbox.oldest_unacked_s(OTHER_BOOT, 0, 60_000) == 60.0
    assert outbox.oldest_unacked_at == 0


def test_many_threads_get_numbers_without_holes(outbox):
    """One lock, one order."""
    given: list[int] = []

    def work():
        for _ in range(25):
            given.extend(outbox.append([CANARY, SMOKE], stamp()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == list(range(1, 201))
    assert outbox.highest_seq == outbox.depth == 200


CHILD = """
import sys
from pathlib import Path
from edge_agent.observation import Observation, Stamp
from edge_agent.outbox import Outbox
from wire.messages import EventKind
box = Outbox.open(Path(sys.argv[1]), "machine-1")
n = 0
while True:
    n += 1
    group = [Observation(EventKind.CANARY)] * (n % 5 + 1)
    seqs = box.append(group, Stamp(0, n, "b" * 32, False), {"last": str(n).encode()})
    print(seqs[0], seqs[-1], n, flush=True)
    if n % 7 == 0:
        box.forget(seqs[0] - 1)
        print("forgot", seqs[0] - 1, flush=True)
"""


def test_kill_9_at_any_moment_loses_no_number_and_leaves_no_hole(path):
    """Fifteen times: every printed seq is there or forgotten, numbers go on, the state fits the rows."""
    chance = random.Random(20_26)
    expected_next = 1
    for _ in range(15):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(chance.randrange(1, 60))]
        child.kill()
        lines += child.stdout.read().splitlines()
        child.wait()
        child.stdout.close()
        printed = [line.split() for line in lines if line.count(" ") == 2 and not line.startswith("forgot")]
        assert int(printed[0][0]) == expected_next
        box = Outbox.open(path, "machine-1")
        assert box.report is None
        assert box.highest_seq >= int(printed[-1][1])
        held = seqs_of(box, box.oldest_seq, box.highest_seq)
        assert held == list(range(box.oldest_seq, box.highest_seq + 1))
        assert int(box.tracked()["last"]) - int(printed[-1][2]) in (0, 1)
        expected_next = box.highest_seq + 1
        box.close()
