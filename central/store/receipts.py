"""What providers tell of messages that they have taken. Law of this file: rows, no rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, NamedTuple

from central.engine.policy import ONLOOKERS
from central.notifier.plan import Planned
from central.store.deliveries import planned_of
from central.store.pool import Tx, one
from central.store.retention import PIECE
from central.store.sql import queries

ReceiptWord = Literal["received", "failed"]
UNKNOWN = "unknown"
"""The outcome of what was told of a message that is not on record: told again it is looked at again."""
_SQL = queries("receipts")


class Noted(NamedTuple):
    """A row of what was told, and whether anything is to be done about it."""

    id: int
    new: bool


@dataclass(frozen=True, slots=True)
class Named:
    """One message that a provider has taken."""

    id: int
    planned: Planned
    state: str
    receipt: str
    alarm_round: int
    needed: bool
    """Somebody still waits for what it asks."""
    may_take: bool
    """The person is on duty, and of a role that may take alarms."""


async def note(tx: Tx, channel: str, once: str) -> Noted:
    """Write down that this was told; a repeat is only counted, unless it led nowhere so far."""
    values = {"channel": channel, "once": once, "now": tx.now}
    row = one(await (await tx.conn.execute(_SQL["note"], values)).fetchone())
    return Noted(row["id"], row["times"] == 1 or row["outcome"] == UNKNOWN)


async def conclude(tx: Tx, noted: Noted, outcome: str) -> None:
    """What it led to."""
    await tx.conn.execute(_SQL["conclude"], {"id": noted.id, "outcome": outcome})


async def named(tx: Tx, channel: str, provider_id: str) -> list[Named]:
    """All messages that went out under a provider's name for them: more than one when they were merged."""
    values = {"channel": channel, "provider_id": provider_id, "onlookers": sorted(ONLOOKERS)}
    found = await (await tx.conn.execute(_SQL["named"], values)).fetchall()
    return [
        Named(
            row["id"],
            planned_of(row),
            row["state"],
            row["receipt"],
            row["alarm_round"],
            row["needed"],
            row["may_take"],
        )
        for row in found
    ]


async def settle(tx: Tx, found: Sequence[Named], receipt: ReceiptWord) -> None:
    """What became of these; they are waited for no longer."""
    await tx.conn.execute(_SQL["settle"], {"deliveries": [one.id for one in found], "receipt": receipt})


async def missing(tx: Tx, limit: int) -> list[Planned]:
    """Take up to `limit` messages whose receipt did not come in time; returns those still needed."""
    values = {"now": tx.now, "limit": limit}
    found = await (await tx.conn.execute(_SQL["missing"], values)).fetchall()
    return [planned_of(row) for row in sorted(found, key=lambda row: row["id"]) if row["needed"]]


async def forget(tx: Tx, keep: timedelta) -> int:
    """Delete what was told longer than `keep` ago; how many, at most a piece."""
    values = {"before": tx.now - keep, "piece": PIECE}
    return (await tx.conn.execute(_SQL["forget"], values)).rowcount
