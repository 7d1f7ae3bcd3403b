"""Policies on record. Law of this file: rows and a short memory; what they mean is `central.engine.book`.

Every alarm asks which policy holds, so the answer is kept for a few seconds: whoever changes a policy is
heard that much later, and no transaction of events pays for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from central.engine.book import BUILT_IN, Book, Key
from central.engine.model import Severity
from central.store.pool import Tx
from central.store.sql import queries

FRESH = timedelta(seconds=5)
"""A change is heard after so long at the latest."""
_KEPT = "policies"
_SQL = queries("policies")


class _Kept(NamedTuple):
    edition: str
    book: Book
    at: datetime


class Homes(NamedTuple):
    """A place where alarms may be; `grid` None: an area that has no grid yet."""

    area: str
    grid: str | None
    homes: int


async def book(tx: Tx) -> Book:
    """All policies as they are, or were a few seconds ago. Not to be asked behind a `save`."""
    kept: _Kept = tx.kept.get(_KEPT) or _Kept("", BUILT_IN, tx.now - FRESH)
    if abs(tx.now - kept.at) < FRESH:  # another transaction that began later may have asked
        return kept.book
    rows = await (await tx.conn.execute(_SQL["changed"], {"known": kept.edition})).fetchall()
    if rows[0]["edition"] != kept.edition:
        kept = kept._replace(edition=rows[0]["edition"], book=_book(rows))
    tx.kept[_KEPT] = kept._replace(at=tx.now)
    return kept.book


async def on_record(tx: Tx) -> list[DictRow]:
    """Every policy that is saved: scope, severity, body, and who changed it when."""
    return await (await tx.conn.execute(_SQL["all"])).fetchall()


async def save(tx: Tx, key: Key, body: dict[str, Any], by: str) -> None:
    """The policy that holds for the scope and severity from now on."""
    row = {"scope": key[0], "severity": key[1], "body": Jsonb(body), "at": tx.now, "by": by}
    await tx.conn.execute(_SQL["save"], row)


async def drop(tx: Tx, key: Key) -> bool:
    """What holds for a larger place, or is built in, holds again; False when there was none."""
    return (await tx.conn.execute(_SQL["drop"], {"scope": key[0], "severity": key[1]})).rowcount == 1


async def places(tx: Tx, *, area: str | None = None, grid: str | None = None) -> list[Homes]:
    """The grids of a scope; none when there is no such place."""
    rows = await (await tx.conn.execute(_SQL["places"], {"area": area, "grid": grid})).fetchall()
    return [Homes(**row) for row in rows]


def _book(rows: list[DictRow]) -> Book:
    return Book(
        {(row["scope"], Severity(row["severity"])): row["body"] for row in rows if row["scope"] is not None}
    )


async def alarmed(tx: Tx) -> set[str]:
    """The parts of the open alarms about policies that cannot be read."""
    return {str(row["part"]) for row in await (await tx.conn.execute(_SQL["alarmed"], {})).fetchall()}
