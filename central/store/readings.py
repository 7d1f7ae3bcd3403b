"""Readings. Law of this file: in by binary COPY, in the same transaction as the cursors of their lanes.

Rows are packed here from columns, in PostgreSQL's binary COPY format (its documentation of COPY, "Binary
Format"): written row by row they cost several times what the database itself needs.
"""

from __future__ import annotations

import asyncio
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, repeat
from struct import Struct
from typing import Any

from central.store.pool import Tx

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
    async with tx.conn.cursor() as cursor, cursor.copy(COPY) as copy_in:
        await copy_in.write(HEADER)
        for piece in packed(batches):
            await copy_in.write(piece)
            await asyncio.sleep(0)  # writing into a buffer that has room lets nobody else have a turn
        await copy_in.write(TRAILER)


def packed(batches: Sequence[Columns]) -> Iterator[bytes]:
    """The rows in the binary COPY format, without header and trailer, in pieces."""
    alike: dict[_There, list[Columns]] = {}
    for batch in batches:
        if any(None in column for column in batch.values):
            yield b"".join(_rows(batch))
        else:
            there = tuple(bool(column) for column in batch.values)
            alike.setdefault(there, []).append(batch)
    for there, whole in alike.items():
        for at in range(0, len(whole), _AT_ONCE):
            yield _block(whole[at : at + _AT_ONCE], there)


def _block(batches: Sequence[Columns], there: _There) -> bytes:
    """Rows that lack the same values, written column by column into copies of one row."""
    layout = _layout(there)
    blank = layout.pack(
        *(_FIELDS, 8, 0, 8, 0, 4, 0),
        *chain.from_iterable((4, 0) if one else (_NULL,) for one in there),
    )
    rows = bytearray(blank * sum(len(batch.series) for batch in batches))
    received = array("q")
    for batch in batches:
        received += array("q", [batch.received_us]) * len(batch.series)
    _write(rows, layout.size, 6, _joined("q", [batch.at_us for batch in batches]))
    _write(rows, layout.size, 18, received)
    _write(rows, layout.size, 30, _joined("i", [batch.series for batch in batches]))
    offset = 34
    for number, (one, kind) in enumerate(zip(there, _KINDS, strict=True)):
        offset += 4
        if one:
            _write(rows, layout.size, offset, _joined(kind, [batch.values[number] for batch in batches]))
            offset += 4
    return bytes(rows)


def _joined(kind: str, columns: Sequence[list[Any]]) -> array[Any]:
    joined = array(kind)
    for column in columns:
        joined.fromlist(column)
    return joined


def _write(rows: bytearray, size: int, offset: int, column: array[Any]) -> None:
    """Put a column at `offset` of each of the rows of `size` bytes, most significant byte first."""
    if sys.byteorder == "little":
        column.byteswap()
    octets, width = column.tobytes(), column.itemsize
    for each in range(width):
        rows[offset + each :: size] = octets[each::width]


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
