"""One child process: started with its log in a file, stopped, killed, and never left behind.

A watcher (a shell that waits on a pipe) ends the child when this program goes without a word, so neither
Ctrl-C nor kill -9 of the caller leaves a server running. A pipe and not PR_SET_PDEATHSIG, because that one
fires when the *thread* ends that started the child.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_STEP_S = 0.02
# Waits for the caller's end, asks politely for ten seconds, then insists.
_WATCH = """
read -r _
kill -s "$2" "$1" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; kill -s 0 "$1" 2>/dev/null || exit 0; done
kill -s KILL "$1" 2>/dev/null
"""


class PartError(Exception):
    """A part that does not start or stop; the message says why, where, and the mend."""


@dataclass(frozen=True)
class RunAs:
    """The user a child runs as when the caller is root."""

    uid: int
    gid: int


class Child:
    """A process under supervision. `start` may be called again after the process has ended."""

    def __init__(self, name: str, log: Path, *, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(
        self,
        command: Sequence[str],
        ready: Callable[[int], bool],
        *,
        timeout_s: float = 30.0,
        run_as: RunAs | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start and return when `ready(pid)` says so.

        Raises PartError with the end of the log when the process ends or is not ready in time.
        """
        if self.pid is not None:
            return
        self._release()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
                start_new_session=True,  # Ctrl-C reaches the caller, who stops the parts in order
                user=run_as.uid if run_as else None,
                group=run_as.gid if run_as else None,
                extra_groups=[] if run_as else None,
            )
        self._watcher = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                _WATCH,
                "watch",
                str(self._process.pid),
                self._stop_signal.name.removeprefix("SIG"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(int(timeout_s / _STEP_S)):
            if self._process.poll() is not None:
                status = self._process.returncode
                self._release()
                raise PartError(f"{self.name} ended at once with status {status}; {self._log_end()}")
            if ready(self._process.pid):
                return
            time.sleep(_STEP_S)
        self.kill9()
        raise PartError(f"{self.name} was not ready within {timeout_s:.0f} s; {self._log_end()}")

    def stop(self, timeout_s: float = 30.0) -> None:
        """Ask to stop, wait, insist after `timeout_s`, like `kill9`. Nothing to do is no error."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill9()
        self._release()

    def kill9(self) -> None:
        """Kill the process and its children where they stand, as a power cut would.

        Raises PartError when a child does not end even so.
        """
        try:
            self._kill_tree()
        finally:
            self._release()

    def _kill_tree(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGSTOP)  # or it makes another child while they are counted
        children = child_pids(self._process.pid)
        self._process.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        for _ in range(500):
            if not any(is_alive(pid) for pid in children):
                return
            time.sleep(_STEP_S)
        left = " ".join(str(pid) for pid in children if is_alive(pid))
        raise PartError(
            f"{self.name}: its children {left} were killed and do not end; is a disk hanging? "
            f"See: ps -o pid,stat,wchan,args -p {left.replace(' ', ',')}"
        )

    def _release(self) -> None:
        if self._watcher is not None:
            self._watcher.kill()  # before its pipe closes: it must not act on a number that is free again
            self._watcher.wait()
            if self._watcher.stdin:
                self._watcher.stdin.close()
            self._watcher = None
        if self._process is not None and self._process.poll() is not None:
            self._process = None

    def _log_end(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-12:]
        except OSError as error:
            return f"its log {self.log} cannot be read: {error}"
        return f"the end of {self.log}:\n" + "\n".join(lines)


def child_pids(pid: int) -> list[int]:
    """The direct children of a process."""
    return [number for number in process_numbers() if _parent(number) == pid]


def process_numbers() -> list[int]:
    """The ids of all processes of this moment; any of them may be gone by the time it is looked at."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208  (no stat of each)


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return None


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in {
            "Z",
            "X",
        }
    except OSError:
        return False
