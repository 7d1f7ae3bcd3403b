"""The short random address in a message: one person, the alarms it names. Law: only its hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from central.store.pool import Tx
from central.store.sql import queries

_BYTES = 12  # 96 bits: 16 URL-safe characters that cannot be guessed
_SQL = queries("links")


class LinkState(StrEnum):
    """What a link is worth now."""

    GOOD = "good"
    EXPIRED = "expired"
    REVOKED = "revoked"
    """Taken back, or its person is no longer on duty."""


@dataclass(frozen=True, slots=True)
class Link:
    """Whose link it is and for which alarms. Only `state` GOOD may show or do anything."""

    alarms: tuple[int, ...]
    """At least one, in the order of its message."""
    worker: str
    worker_name: str
    role: str
    """Of the worker: who may see residents depends on it."""
    language: str
    """`zh` or `en`."""
    delivery: int | None
    made_at: datetime
    expires_at: datetime
    state: LinkState


async def make_link(
    tx: Tx, alarms: Sequence[int], worker: str, delivery: int | None, valid: timedelta
) -> str:
    """A new token of 16 URL-safe characters, good for `valid`. It is not stored and cannot be shown again."""
    token = secrets.token_urlsafe(_BYTES)
    first, *more = alarms
    await tx.conn.execute(
        _SQL["make"],
        {
            "hash": _hash(token),
            "alarm": first,
            "worker": worker,
            "delivery": delivery,
            "now": tx.now,
            "expires_at": tx.now + valid,
        },
    )
    if more:
        await tx.conn.execute(_SQL["add_alarms"], {"hash": _hash(token), "alarms": more})
    return token


async def find_link(tx: Tx, token: str) -> Link | None:
    """The link of a token; None when there never was one. Looked up by hash, so time tells nothing."""
    row = await (await tx.conn.execute(_SQL["find"], {"hash": _hash(token)})).fetchone()
    if row is None:
        return None
    revoked, active = row.pop("revoked_at"), row.pop("active")
    alarms = (row.pop("alarm"), *row.pop("more"))
    if revoked is not None or not active:
        state = LinkState.REVOKED
    else:
        state = LinkState.GOOD if row["expires_at"] > tx.now else LinkState.EXPIRED
    return Link(alarms=alarms, **row, state=state)


async def revoke_links(tx: Tx, worker: str) -> int:
    """Take back every link of a person; how many there were."""
    return (await tx.conn.execute(_SQL["revoke_of_worker"], {"worker": worker, "now": tx.now})).rowcount


async def forget_links(tx: Tx, keep: timedelta) -> int:
    """Delete links that expired longer than `keep` ago; how many."""
    return (await tx.conn.execute(_SQL["forget"], {"before": tx.now - keep})).rowcount


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
