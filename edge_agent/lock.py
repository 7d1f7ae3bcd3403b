"""One agent on a state folder, and whether one is there.

Law of this file: the kernel's lock on `agent.lock` is the truth; a file that lies there says nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_NAME = "agent.lock"


class AgentError(Exception):
    """The agent cannot run; the text says why and what to do."""


@contextlib.contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Hold the state folder for this process alone. Raises AgentError when another agent has it."""
    place = state_dir / _NAME
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = _open(place)
    except OSError as error:
        raise AgentError(f"{place}: {error.strerror}: give a state_dir that this user may write") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise AgentError(f"{state_dir}: another agent runs on it: stop that one first") from None
    try:
        yield
    finally:
        os.close(lock)


def _open(place: Path) -> int:
    try:
        return os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.ENOSPC, errno.EIO):
            raise
        return os.open(place, os.O_RDONLY | os.O_CLOEXEC)  # a dead card must not end the watch


@contextlib.contextmanager
def held_aside(state_dir: Path) -> Iterator[bool]:
    """True when no agent runs, and none can start until this ends; False when one runs.

    It makes no file: whoever asks may be another user than the agent. Raises AgentError when nobody can tell.
    """
    place = state_dir / _NAME
    try:
        lock = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    except OSError as error:
        raise AgentError(f"{place}: {error.strerror}: ask as the agent's user (or with sudo)") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            alone = False
        else:
            alone = True
        yield alone
    finally:
        os.close(lock)
