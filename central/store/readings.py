"""Readings. Law of this file: in by binary COPY, in the same transaction as the cursors of their lanes.

Rows are packed here from columns, in PostgreSQL's binary COPY format (its documentation of COPY, "Binary
Format"): psycopg's row by row writer costs several times what the database itself needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain, repeat
from struct import Struct, pack

from central.store.pool import Tx

COPY = (
    "COPY readings (gateway, detector, at, received_at, smoke, temperature, battery, contamination, status)"
    " FROM STDIN (FORMAT BINARY)"
)
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
_FIELDS = 9
_NULL = -1
_EPOCH_MS = 946_684_800_000
"""PostgreSQL counts time from 2000-01-01 UTC."""
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings of one gateway, as columns of one length; an empty one is all null.

    Times are ms since 1970, UTC. Floats must fit a float4, a status 32 bits.
    """

    gateway: str
    received_ms: int
    detector: Sequence[str]
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
    heads = map(_head, repeat(columns.gateway), columns.detector)
    if any(None in column for column in values):
        tails: Iterable[bytes] = map(_tail, at, repeat(received), *(_or_nulls(c, len(at)) for c in values))
    else:
        fields: list[Iterable[object]] = [repeat(8), at, repeat(8), repeat(received)]
        for column in values:
            fields += [repeat(4), column] if column else [repeat(_NULL)]
        tails = map(_layout(tuple(bool(column) for column in values)).pack, *fields)
    return b"".join(chain.from_iterable(zip(heads, tails, strict=True)))


def _or_nulls(column: Sequence[float | None], rows: int) -> Iterable[float | None]:
    return column or repeat(None, rows)


def _tail(at: int, received: int, *values: float | None) -> bytes:
    fields: list[object] = [8, at, 8, received]
    for value in values:
        fields += [_NULL] if value is None else [4, value]
    return _layout(tuple(value is not None for value in values)).pack(*fields)


@cache
def _layout(there: tuple[bool, ...]) -> Struct:
    """Length and value of each field; of a null only the length, -1."""
    fields = ("i" + kind if one else "i" for one, kind in zip(there, "ffffi", strict=True))
    return Struct(">iqiq" + "".join(fields))


@lru_cache(maxsize=200_000)
def _head(gateway: str, detector: str) -> bytes:
    gw, det = gateway.encode(), detector.encode()
    return pack(f">hi{len(gw)}si{len(det)}s", _FIELDS, len(gw), gw, len(det), det)
