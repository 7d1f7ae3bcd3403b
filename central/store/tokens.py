"""API tokens. Law of this file: only a token's hash is kept; the token is shown once, when it is made."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from psycopg.rows import DictRow, class_row

from central.store.errors import StoreRefused
from central.store.pool import Tx
from central.store.sql import queries

PREFIX = "swt_"
_SQL = queries("tokens")


@dataclass(frozen=True, slots=True)
class Token:
    """Who asks."""

    id: int
    name: str
    role: str
    """administrator, dispatcher, installer or viewer."""
    worker: str | None


async def make_token(
    tx: Tx, *, name: str, role: str, worker: str | None = None, valid: timedelta | None = None
) -> str:
    """A new token of 256 random bits. Raises StoreRefused when a valid token has this name already."""
    row = await (await tx.conn.execute(_SQL["name_in_use"], {"name": name, "at": tx.now})).fetchone()
    if row is not None and row["taken"]:
        raise StoreRefused(f"a token named {name!r} is in use; revoke it first or take another name")
    token = PREFIX + secrets.token_urlsafe(32)
    expires_at = None if valid is None else tx.now + valid
    await tx.conn.execute(
        _SQL["add"],
        {
            "hash": _hash(token),
            "name": name,
            "role": role,
            "worker": worker,
            "at": tx.now,
            "expires_at": expires_at,
        },
    )
    return token


async def find_token(tx: Tx, token: str) -> Token | None:
    """Whose token this is; None when unknown, expired or revoked. Looked up by hash: time tells nothing."""
    async with tx.conn.cursor(row_factory=class_row(Token)) as cursor:
        await cursor.execute(_SQL["find"], {"hash": _hash(token), "at": tx.now})
        return await cursor.fetchone()


async def revoke_token(tx: Tx, name: str) -> int:
    """End every token of this name; how many there were."""
    return (await tx.conn.execute(_SQL["revoke"], {"name": name, "at": tx.now})).rowcount


async def tokens(tx: Tx) -> list[DictRow]:
    """Every token ever made, without its secret."""
    return await (await tx.conn.execute(_SQL["all"])).fetchall()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
