"""Readings. Law of this file: in by binary COPY, in the same transaction as the cursors of their lanes.

Rows are packed here from columns, in PostgreSQL's binary COPY format (its documentation of COPY, "Binary
Format"): psycopg's row by row writer costs several times what the database itself needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from struct import Struct

from central.store.pool import Tx

COPY = (
    "COPY readings (at, received_at, series, smoke, temperature, battery, contamination, status)"
    " FROM STDIN (FORMAT BINARY)"
)
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
_FIELDS = 8
_NULL = -1
_EPOCH_MS = 946_684_800_000
"""PostgreSQL counts time from 2000-01-01 UTC."""
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings that came together, as columns of one length; an empty one is all null.

    `series` are the numbers of `central.store.series`. Times are ms since 1970, UTC. Floats must fit a
    float4, a status 32 bits.
    """

    received_ms: int
    series: Sequence[int]
    at_ms: Sequence[int]
    smoke: Sequence[float | None] = ()
    temperature: Sequence[float | None] = ()
    battery: Sequence[float | None] = ()
    contamination: Sequence[float | None] = ()
    status: Sequence[int | None] = ()


async def copy(tx: Tx, batches: Iterable[Columns]) -> None:
    """Store rows."""
    async with tx.conn.cursor() as cursor, cursor.copy(COPY) as copy_in:
        gathered = bytearray(HEADER)
        for batch in batches:
            gathered += packed(batch)
            if len(gathered) >= _PIECE:
                await copy_in.write(bytes(gathered))
                gathered.clear()
        await copy_in.write(bytes(gathered + TRAILER))


def packed(columns: Columns) -> bytes:
    """The rows in the binary COPY format, without header and trailer."""
    values = (
        columns.smoke,
        columns.temperature,
        columns.battery,
        columns.contamination,
        columns.status,
    )
    at = [(ms - _EPOCH_MS) * 1000 for ms in columns.at_ms]
    received = (columns.received_ms - _EPOCH_MS) * 1000
    if any(None in column for column in values):
        whole = (column or repeat(None, len(at)) for column in values)
        return b"".join(map(_row, at, repeat(received), columns.series, *whole))
    fields: list[Iterable[object]] = [
        *(repeat(_FIELDS), repeat(8), at, repeat(8), repeat(received), repeat(4), columns.series)
    ]
    for column in values:
        fields += [repeat(4), column] if column else [repeat(_NULL)]
    return b"".join(map(_layout(tuple(bool(column) for column in values)).pack, *fields))


def _row(at: int, received: int, series: int, *values: float | None) -> bytes:
    fields: list[object] = [_FIELDS, 8, at, 8, received, 4, series]
    for value in values:
        fields += [_NULL] if value is None else [4, value]
    return _layout(tuple(value is not None for value in values)).pack(*fields)


@cache
def _layout(there: tuple[bool, ...]) -> Struct:
    """The number of fields, then length and value of each; of a null only the length, -1."""
    values = ("i" + kind if one else "i" for one, kind in zip(there, "ffffi", strict=True))
    return Struct(">hiqiqii" + "".join(values))
