"""Starts the right version of the agent, and leaves one that does not prove itself.

Law of this file: standard library and `trial` only, no version's code; it is installed apart from all
versions and replaced only by the Debian package. What is asked for stands in `wanted.json` beside the
versions, written by root; what became of it in the state folder, so that going back works on a read-only
/opt. In doubt it starts an older version: a home is watched by something.

A version is a folder that `python3` can run. While one is on trial a second process sees that it does not run
too long; after that nothing of the launcher is left: it has become the agent.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge_agent.trial import VERSION, Choice, Memory, Wanted, choose

ROOT = Path("/opt/smokewatch")
STATE = Path("/var/lib/smokewatch")
PYTHON_FLAGS = "-ISu"
"""Isolated: neither the environment nor what else the box has comes between a version and its libraries."""
ATTEMPT_VARIABLE = "SMOKEWATCH_ATTEMPT"
"""Set for a version on trial: what it writes into the proof's file once the centre has acknowledged it."""
FOLDER_VARIABLE = "SMOKEWATCH_UPDATE_FOLDER"
"""Where the agent finds the note and leaves the proof."""
PROOF, NOTE, MEMORY = "update.proven", "update.note", "update.json"
LOOK_S = 10.0
END_S = 20.0
_MOST_BYTES = 4096

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """What the box says about its versions, and what follows."""

    wanted: Wanted | None
    memory: Memory
    proven: str | None
    choice: Choice | None


def look(root: Path, state: Path) -> Found:
    """Read all that decides; a file that is missing or spoilt counts as nothing said."""
    wanted = _read(root / "wanted.json", _wanted)
    memory = _read(state / MEMORY, _memory) or Memory()
    proven = _read(state / PROOF, str.strip)
    return Found(wanted, memory, proven, choose(wanted, memory, proven, installed(root)))


def installed(root: Path) -> set[str]:
    """The versions that could be started."""
    found = (root / "versions").glob("*/__main__.py")
    return {file.parent.name for file in found if VERSION.fullmatch(file.parent.name)}


def main(argv: Sequence[str], root: Path = ROOT, state: Path = STATE) -> int:
    """Become the chosen version's program. Comes back only when there is none: 1."""
    as_service = "STATE_DIRECTORY" in os.environ and argv[:1] == ["run"]
    state = Path(os.environ["STATE_DIRECTORY"]) if as_service else state
    found = look(root, state)
    if found.choice is not None:
        environment = dict(os.environ)
        choice = _prepared(found, found.choice, state, environment) if as_service else found.choice
        program = [sys.executable, PYTHON_FLAGS, str(root / "versions" / choice.version), *argv]
        os.execve(sys.executable, program, environment)  # noqa: S606 -- no shell is meant
    _say("error", "no version is installed: install the package smokewatch-edge again", root=str(root))
    return 1


def write_durably(path: Path, text: str) -> None:
    """Put a small file in place whole or not at all, over power cuts too. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    # The folder may belong to a less trusted user: never through a link laid there.
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        os.write(handle, text.encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_wanted(root: Path, wanted: Wanted) -> None:
    """Ask for a version from the next start on. Raises OSError."""
    write_durably(root / "wanted.json", json.dumps(asdict(wanted)) + "\n")


def watch(agent: int, lives: int, state: Path, memory: Memory) -> None:
    """End the agent when its trial is over without proof; come back when it has ended or is proven.

    `agent` is its process id, `lives` the reading end of a pipe that breaks when it ends.
    """
    ended = select.poll()
    ended.register(lives)
    while memory.left_s > 0:
        began = time.monotonic()
        gone = ended.poll(1000 * min(LOOK_S, memory.left_s) + 1)
        memory = memory.after(time.monotonic() - began)
        if _read(state / PROOF, str.strip) == memory.attempt:
            return
        with contextlib.suppress(OSError):  # a card that refuses now counts the starts only
            _remember(state, memory)
        if gone:
            return
    _say("error", "this version is not acknowledged by the centre in time: going back")
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(agent, number)
        if ended.poll(1000 * END_S):
            return


def _prepared(found: Found, choice: Choice, state: Path, environment: dict[str, str]) -> Choice:
    """All that goes before the start of the service."""
    choice = _remembered(found, choice, state)
    environment[FOLDER_VARIABLE] = str(state)
    environment.pop(ATTEMPT_VARIABLE, None)
    if choice.on_trial:
        environment[ATTEMPT_VARIABLE] = choice.memory.attempt
        _leave_behind(lambda agent, lives: watch(agent, lives, state, choice.memory))
    return choice


def _remembered(found: Found, choice: Choice, state: Path) -> Choice:
    """The choice, once it is on disk. A trial that cannot be counted could not end: the one before runs."""
    try:
        if choice.note is not None:
            _say("error", choice.note)
            write_durably(state / NOTE, choice.note)
        if choice.memory != found.memory:
            _remember(state, choice.memory)
    except OSError as error:
        _say("error", "the launcher cannot write its memory", folder=str(state), why=str(error))
        wanted = found.wanted
        if choice.on_trial and wanted is not None and wanted.fallback is not None:
            return Choice(wanted.fallback, found.memory)
    return choice


def _leave_behind(work: Callable[[int, int], None]) -> None:
    """Do `work` in a process of its own: nobody's child, so that the agent never has to reap it.

    It is given this process's id, and the end of a pipe whose other end this process keeps for as long as it
    lives, whatever program it becomes. (A pidfd would do, but not on the kernels of old boards.)
    """
    agent = os.getpid()
    lives, kept = os.pipe()
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        os.close(lives)
        os.set_inheritable(kept, True)
        return
    try:
        if os.fork() == 0:
            os.close(kept)
            work(agent, lives)
    finally:
        os._exit(0)


def _remember(state: Path, memory: Memory) -> None:
    write_durably(state / MEMORY, json.dumps(asdict(memory)) + "\n")


def _read(path: Path, meaning: Callable[[str], T]) -> T | None:
    # As little trusted as the folder: a link or a pipe laid there must not lead or hold anybody.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 -- by handle
            return meaning(file.read(_MOST_BYTES).decode())
    except (OSError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        return None


def _wanted(text: str) -> Wanted:
    said = _object(text)
    wanted = Wanted(str(said["version"]), said.get("fallback"), str(said.get("attempt", "")))
    if wanted.fallback is not None and not isinstance(wanted.fallback, str):
        raise ValueError(wanted.fallback)
    return wanted


def _memory(text: str) -> Memory:
    said = _object(text)
    gave_up = said["gave_up"]
    return Memory(
        str(said["attempt"]),
        max(0, int(said["starts"])),
        max(0.0, float(said["spent_s"])),
        None if gave_up is None else str(gave_up),
    )


def _object(text: str) -> Mapping[str, Any]:
    said = json.loads(text)
    if not isinstance(said, dict):
        raise TypeError(text)
    return said


def _say(level: str, event: str, **more: str) -> None:
    """One JSON line, as the agent writes them."""
    with contextlib.suppress(OSError):
        sys.stderr.write(json.dumps({"event": event, "level": level, **more}, ensure_ascii=False) + "\n")
        sys.stderr.flush()
