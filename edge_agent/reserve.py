"""Room on the disk that is kept for an alarm: a file that is given up when nothing else can be written.

Law of this file: the room is real (allocated, not sparse), and failing to keep it is no error: the disk may
be full already.
"""

from __future__ import annotations

import os
from pathlib import Path


class Reserve:
    """`size` bytes at `path`; 0 keeps none."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    @property
    def held(self) -> bool:
        """Whether the room is there to be given up."""
        try:
            return self._size > 0 and self._path.stat().st_size >= self._size
        except OSError:
            return False

    def keep(self) -> bool:
        """Take the room if the disk has twice as much; whether it is held now."""
        if self._size == 0 or self.held:
            return self.held
        try:
            if free_bytes(self._path.parent) < 2 * self._size:
                return False
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, self._size)
            finally:
                os.close(handle)
        except OSError:
            self.release()
        return self.held

    def release(self) -> bool:
        """Give the room up; False when there was none to give."""
        was_held = self.held
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return False
        return was_held


def free_bytes(folder: Path) -> int:
    """What this user may still write to the disk under `folder`. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
