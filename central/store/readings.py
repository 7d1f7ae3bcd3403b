"""Readings. Law of this file: in by binary COPY, in the same transaction as the cursors of their lanes.

Rows are packed here from columns, in PostgreSQL's binary COPY format (its documentation of COPY, "Binary
Format"): written row by row they cost several times what the database itself needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, repeat
from struct import Struct, error, pack
from typing import Any

from central.store.pool import Tx
from central.time_slice import TimeSlice

COPY = (
    "COPY readings (at, received_at, series, smoke, temperature, battery, contamination, status)"
    " FROM STDIN (FORMAT BINARY)"
)
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
_FIELDS = 8
_NULL = -1
EPOCH_MS = 946_684_800_000
"""PostgreSQL counts time from 2000-01-01 UTC: this many ms after 1970."""
_KINDS = "ffffi"
_LITTLE = sys.byteorder == "little"
_AT_ONCE = 8
"""Batches written in one piece: their rows fit a processor's cache."""
_There = tuple[bool, ...]
"""Which of the values that may be null are there."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings that came together, as columns of one length; an empty one is all null.

    `series` are the numbers of `central.store.series`. Times are µs as PostgreSQL counts them (`EPOCH_MS`).
    Floats must fit a float4, a status 32 bits.
    """

    received_us: int
    series: list[int]
    at_us: list[int]
    smoke: list[float | None] = field(default_factory=list)
    temperature: list[float | None] = field(default_factory=list)
    battery: list[float | None] = field(default_factory=list)
    contamination: list[float | None] = field(default_factory=list)
    status: list[int | None] = field(default_factory=list)

    @property
    def values(self) -> tuple[list[float | None] | list[int | None], ...]:
        """The columns that may hold nothing."""
        return (self.smoke, self.temperature, self.battery, self.contamination, self.status)


async def copy(tx: Tx, batches: Sequence[Columns]) -> None:
    """Store rows; in which order they go in is not said."""
    time_slice = TimeSlice()
    async with tx.conn.cursor() as cursor, cursor.copy(COPY) as copy_in:
        await copy_in.write(HEADER)
        for piece in packed(batches):
            await copy_in.write(piece)
            await time_slice.give_way()  # writing into a buffer that has room lets nobody else have a turn
        await copy_in.write(TRAILER)


def packed(batches: Sequence[Columns]) -> Iterator[bytes]:
    """The rows in the binary COPY format, without header and trailer, in pieces."""
    alike: dict[_There, list[tuple[bytes, ...]]] = {}
    for batch in batches:
        try:
            columns = _native(batch)
        except error:  # a column that has nulls here and there
            yield b"".join(_rows(batch))
            continue
        there = tuple(bool(column) for column in batch.values)
        waiting = alike.setdefault(there, [])
        waiting.append(columns)
        if len(waiting) == _AT_ONCE:
            yield _block(alike.pop(there), there)
    for there, few in alike.items():
        yield _block(few, there)


def _native(batch: Columns) -> tuple[bytes, ...]:
    """Each column as the processor has numbers; empty where all are null."""
    rows = len(batch.series)
    received = _pack("q", [batch.received_us]) * rows
    values = (_pack(kind, column) for kind, column in zip(_KINDS, batch.values, strict=True))
    return _pack("q", batch.at_us), received, _pack("i", batch.series), *values


def _pack(kind: str, column: Sequence[Any]) -> bytes:
    return pack(f"{len(column)}{kind}", *column)


def _block(batches: Sequence[tuple[bytes, ...]], there: _There) -> bytes:
    """Rows that lack the same values, written column by column into copies of one row."""
    layout = _layout(there)
    blank = layout.pack(
        *(_FIELDS, 8, 0, 8, 0, 4, 0),
        *chain.from_iterable((4, 0) if one else (_NULL,) for one in there),
    )
    columns = [b"".join(column) for column in zip(*batches, strict=True)]
    rows = bytearray(blank * (len(columns[0]) // 8))
    for offset, width, column in zip((6, 18, 30), (8, 8, 4), columns, strict=False):
        _write(rows, layout.size, offset, width, column)
    offset = 34
    for one, column in zip(there, columns[3:], strict=True):
        offset += 4
        if one:
            _write(rows, layout.size, offset, 4, column)
            offset += 4
    return bytes(rows)


def _write(rows: bytearray, size: int, offset: int, width: int, column: bytes) -> None:
    """Put a column at `offset` of each of the rows of `size` bytes, most significant byte first."""
    for each in range(width):
        rows[offset + each :: size] = column[width - 1 - each if _LITTLE else each :: width]


def _rows(batch: Columns) -> Iterator[bytes]:
    whole = (column or repeat(None, len(batch.series)) for column in batch.values)
    for at, series, *values in zip(batch.at_us, batch.series, *whole, strict=True):
        fields = [_FIELDS, 8, at, 8, batch.received_us, 4, series]
        for value in values:
            fields += [_NULL] if value is None else [4, value]
        yield _layout(tuple(value is not None for value in values)).pack(*fields)


@cache
def _layout(there: _There) -> Struct:
    """The number of fields, then length and value of each; of a null only the length, -1."""
    values = ("i" + kind if one else "i" for one, kind in zip(there, _KINDS, strict=True))
    return Struct(">hiqiqii" + "".join(values))
