"""Readings on disk: a folder of small compressed files, written only in an outage.

Law of this file: a file is whole or it is not there; one that cannot be read any more is dropped and counted,
never sent. The oldest give way when the folder takes more than it may. Methods block (call them through a
thread) and may be called from any thread; failures of the disk are OSError.
"""

from __future__ import annotations

import os
import re
import threading
import zlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from wire.codec import decode, encode
from wire.errors import RemoteError
from wire.messages import ReadingBatch
from wire.topics import Channel

_NAME = re.compile(r"(\d{12})-([0-9a-f]{32})-(\d{1,16})-(\d{1,4})\.z")
_MOST_BYTES = 300_000
"""More than any batch unpacks to."""


class Segment(NamedTuple):
    """One file: rows `first` to `last` of a stream. They sort in the order in which they were written."""

    number: int
    stream: str
    first: int
    rows: int

    @property
    def last(self) -> int:
        """The highest row in it."""
        return self.first + self.rows - 1

    @property
    def name(self) -> str:
        """Its file's name."""
        return f"{self.number:012}-{self.stream}-{self.first}-{self.rows}.z"


class Spool:
    """The segments in `folder`, which is made with the first of them."""

    def __init__(self, folder: Path, *, look_only: bool = False) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._sizes: dict[Segment, int] = {}
        self.rows_dropped = 0
        """Readings that gave way or could not be read, since the start."""
        for path in folder.glob("*"):
            found = _NAME.fullmatch(path.name)
            if found is not None:
                segment = Segment(int(found[1]), found[2], int(found[3]), int(found[4]))
                self._sizes[segment] = _size(path)
            elif path.suffix == ".part" and not look_only:
                path.unlink(missing_ok=True)

    @property
    def segments(self) -> list[Segment]:
        """All that is held, oldest first."""
        with self._lock:
            return sorted(self._sizes)

    @property
    def bytes(self) -> int:
        """What they take on disk."""
        with self._lock:
            return sum(-(-size // 4096) * 4096 for size in self._sizes.values())

    def write(self, batch: ReadingBatch) -> Segment:
        """Put rows on disk. A power cut may take the newest file, but leaves no half one."""
        with self._lock:
            number = max((segment.number for segment in self._sizes), default=0) + 1
            segment = Segment(number, batch.stream, batch.first_seq, len(batch.t))
            packed = zlib.compress(encode(batch), 6)
            part = self._folder / f"{number}.part"
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                with part.open("wb") as file:
                    file.write(packed)
                    file.flush()
                    os.fsync(file.fileno())
                part.rename(self._folder / segment.name)
            except OSError:
                part.unlink(missing_ok=True)
                raise
            self._sizes[segment] = len(packed)
            return segment

    def read(self, segment: Segment) -> ReadingBatch | None:
        """Its rows; None (and it is dropped) when the file is gone or damaged."""
        try:
            unpacker = zlib.decompressobj()
            payload = unpacker.decompress((self._folder / segment.name).read_bytes(), _MOST_BYTES)
            batch = decode(Channel.READINGS, payload) if unpacker.eof else None
        except (OSError, zlib.error, RemoteError):
            batch = None
        if isinstance(batch, ReadingBatch) and (batch.stream, batch.first_seq, len(batch.t)) == (
            segment.stream,
            segment.first,
            segment.rows,
        ):
            return batch
        self._drop(segment)
        return None

    def forget(self, segment: Segment) -> None:
        """The centre has all of it."""
        with self._lock:
            self._sizes.pop(segment, None)
        (self._folder / segment.name).unlink(missing_ok=True)

    def shrink(self, most_bytes: int) -> bool:
        """Drop the oldest until the rest takes at most so much; whether any went."""
        went = False
        while self.bytes > most_bytes:
            self._drop(self.segments[0])
            went = True
        return went

    def _drop(self, segment: Segment) -> None:
        self.rows_dropped += segment.rows
        self.forget(segment)


def _size(path: Path) -> int:
    """0 for a file that cannot even be looked at: reading it will show."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def part_of(batch: ReadingBatch, first: int, last: int) -> ReadingBatch:
    """Rows `first` to `last` of a batch that holds them."""
    start, end = first - batch.first_seq, last - batch.first_seq + 1
    columns = ("t", "detector", "smoke", "temperature", "battery", "contamination", "status")
    return msgspec.structs.replace(
        batch, first_seq=first, **{name: getattr(batch, name)[start:end] for name in columns}
    )
