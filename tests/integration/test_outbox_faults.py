"""Every write and every flush of the outbox fails once, in the kernel: what is left is a readable outbox.

strace makes the n-th call of one kind of a child answer EIO or ENOSPC. All indices take
one strace: its counter runs for each process, and child i uses up what comes before its own fault on a file
of no meaning.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.outbox import Outbox
from edge_agent.outbox_file import held_events
from tests.harness.programs import require_program

ROOT = Path(__file__).parents[2]
MOST = 300
"""More calls of one kind than the scenario makes."""
SHORT = 8
"""So many indices of each kind and error in `make test`; `make soak` takes all."""

CHILDREN = """
import json, os, sqlite3, sys
from contextlib import suppress
from pathlib import Path
from edge_agent.config import OutboxSettings
from edge_agent.observation import Observation, Stamp
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from wire.messages import Condition, EventKind

folder, call, most, indices = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])

def stamp(n):
    return Stamp(1_800_000_000_000, n * 1000, "b" * 32, True)

def scenario(place):
    box = Outbox.open(place / "outbox.db", "m-1", limits=OutboxSettings(10_000_000, 50_000))
    told, ever = [], False
    for n in range(25):
        box.append([Observation(EventKind.ASSERT, Condition.FAULT, f"d-{n}")] * 3, stamp(n), {"d": b"%d" % n})
        box.append([Observation(EventKind.ASSERT, Condition.SMOKE, f"d-{n}")], stamp(n))
        told.append(n)
        ever = ever or box.trouble is not None
        if n == 12:
            with suppress(sqlite3.Error):  # this one is the test's own call, and may meet the fault
                box._ledger._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if n % 6 == 5:
            box.tend(stamp(n))
    disk = box.trouble is None
    held = [e.detector for e in box.batch(box.oldest_seq, box.highest_seq, 10**6).events
            if e.condition is Condition.SMOKE]
    (place / "said").write_text(json.dumps({"disk": disk, "told": told, "held": held, "ever": ever}))
    box.close()

def use_up(count, place):
    spare = os.open(place / "spare", os.O_RDWR | os.O_CREAT)
    for _ in range(count):
        if call == "pwrite64": os.pwrite(spare, b"x", 0)
        elif call == "fdatasync": os.fdatasync(spare)
        elif call == "fsync": os.fsync(spare)
        elif call == "ftruncate": os.ftruncate(spare, 1)
    os.close(spare)

for index in indices:
    place = folder / str(index)
    place.mkdir()
    child = os.fork()
    if child == 0:
        code = 0
        try:
            use_up(most - index, place)
            scenario(place)
        except BaseException as error:
            (place / "failed").write_text(repr(error))
            code = 3
        finally:
            os._exit(code)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_a_fault_at_some_call_leaves_a_readable_outbox(call: str, error: str, tmp_path: Path) -> None:
    """A seeded choice of the indices; the whole range is in the long run."""
    chosen = random.Random(f"{call}{error}").sample(range(1, 120), SHORT)
    _run(call, error, sorted({1, 2, 3, *chosen}), tmp_path, lasting=False)


@pytest.mark.soak
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync", "ftruncate"])
def test_a_fault_at_every_call_leaves_a_readable_outbox(
    call: str, error: str, lasting: bool, tmp_path: Path
) -> None:
    """Each index once, the fault passing or lasting from then on."""
    _run(call, error, list(range(1, MOST)), tmp_path, lasting=lasting)


def _run(call: str, error: str, indices: list[int], folder: Path, *, lasting: bool) -> None:
    strace = require_program("strace", "strace")
    when = f"{MOST}+" if lasting else str(MOST)
    done = subprocess.run(
        [
            strace, "-f", "-qq", "-o", str(folder / "calls"), "-e", f"trace={call}",
            "-e", f"inject={call}:error={error}:when={when}",
            sys.executable, "-c", CHILDREN, str(folder), call, str(MOST), json.dumps(indices),
        ],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=3000,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    in_memory = at_last = 0
    for index in indices:
        place = folder / str(index)
        assert not (place / "failed").exists(), (index, (place / "failed").read_text())
        said = json.loads((place / "said").read_text())
        # While it ran nothing was missing, wherever it was kept.
        assert said["held"] == [f"d-{n}" for n in said["told"]], index
        in_memory, at_last = in_memory + said["ever"], at_last + (not said["disk"])
        path = place / "outbox.db"
        box = Outbox.open(path, "m-1")
        assert box.trouble is None
        assert [event["seq"] for event in held_events(path)] == list(
            range(box.oldest_seq, box.highest_seq + 1)
        )
        smokes = [e["detector"] for e in held_events(path) if e.get("condition") == "smoke"]
        assert smokes == [f"d-{n}" for n in range(len(smokes))], index
        if said["disk"]:
            assert smokes == said["held"], index
            assert box.tracked() == {"d": b"%d" % said["told"][-1]}
        box.close()
    met = (folder / "calls").read_text().count("(INJECTED)")
    print(f"{call} {error}: {met} faults met; into memory {in_memory}, there at the end {at_last}")
    assert met, "no fault was met: does this SQLite use another call?"
