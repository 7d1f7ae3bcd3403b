"""Who may use a part's folder: one program at a time, and what an earlier one left running is ended first."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

from simulator.parts.child import PartError, is_alive, process_numbers


class FolderLock:
    """An advisory lock on `folder`, held from start to stop; the kernel drops it if the holder dies."""

    def __init__(self, folder: Path, what: str) -> None:
        self._folder = folder
        self._what = what
        self._fd: int | None = None

    def take(self, match: str) -> None:
        """Take the lock and end what a killed holder left: processes whose command line has `match` in it.

        Raises PartError when another program holds it.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PartError(
                f"{self._what} cannot use {self._folder} ({error.strerror}): "
                f"give it to this user or choose another folder"
            ) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(fd, 20).decode("ascii", "replace").strip()
            os.close(fd)
            raise PartError(
                f"{self._what} on {self._folder} is already run by process {holder or 'unknown'}: "
                f"stop that one or choose another folder"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._fd = fd
        try:
            self._end_leftovers(match)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the folder back. Nothing to do is no error."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _end_leftovers(self, match: str) -> None:
        for number, ask in enumerate([signal.SIGINT] + [None] * 400 + [signal.SIGKILL] + [None] * 100):
            left = _processes(match)
            if not left:
                return
            for pid in left:
                if ask is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, ask)
            time.sleep(0.025 if number else 0.0)
        raise PartError(
            f"{self._what} on {self._folder}: an earlier run does not end: kill process {_processes(match)}"
        )


def _processes(match: str) -> list[int]:
    """Living processes that were started on this folder (their argument is `match`)."""
    found = []
    wanted = match.encode()
    for pid in process_numbers():
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") and is_alive(pid):
                found.append(pid)
    return found
