"""Who wrote to us, what they were told of, and what they are answered. Law of this file: rows, no rules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from central.engine.policy import ONLOOKERS
from central.store.pool import Tx
from central.store.retention import PIECE
from central.store.sql import queries

_SQL = queries("replies")


class Sender(NamedTuple):
    """A worker who has the number."""

    worker: str
    language: str


class ToldOf(NamedTuple):
    """An open alarm of which somebody was told, and whether it still waits for a person."""

    alarm: int
    waits: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that is ours to send, and its try number (from 1)."""

    id: int
    channel: str
    address: str = field(repr=False)
    language: str
    text: str = field(repr=False)
    attempts: int
    made_at: datetime


async def senders(tx: Tx, forms: Collection[str]) -> list[Sender]:
    """Everybody who may take alarms and has the number, written in one of these forms.

    Spaces and hyphens in the registry do not matter.
    """
    values = {"forms": list(forms), "onlookers": sorted(ONLOOKERS)}
    rows = await (await tx.conn.execute(_SQL["senders"], values)).fetchall()
    return [Sender(row["id"], row["language"]) for row in rows]


async def told_of(tx: Tx, worker: str) -> list[ToldOf]:
    """The open alarms of which somebody was told in their present round, in order."""
    rows = await (await tx.conn.execute(_SQL["told"], {"worker": worker})).fetchall()
    return [ToldOf(row["id"], row["waits"]) for row in rows]


async def answer(tx: Tx, channel: str, address: str, language: str, text: str) -> None:
    """To be sent at once."""
    values = {"channel": channel, "address": address, "language": language, "text": text, "now": tx.now}
    await tx.conn.execute(_SQL["answer"], values)


async def claim(tx: Tx, channels: Collection[str], limit: int, hold: timedelta) -> list[Answer]:
    """Take up to `limit` answers of these channels; nobody else gets them for `hold`."""
    values = {"channels": list(channels), "limit": limit, "now": tx.now, "until": tx.now + hold}
    rows = await (await tx.conn.execute(_SQL["claim"], values)).fetchall()
    return [Answer(**row) for row in sorted(rows, key=lambda row: row["id"])]


async def end(
    tx: Tx,
    one: Answer,
    state: Literal["pending", "sent", "failed"],
    *,
    why: str = "",
    due_at: datetime | None = None,
) -> None:
    """How this try went; unless the claim ran out and somebody else has it now."""
    values = {"id": one.id, "attempts": one.attempts, "state": state, "why": why, "due_at": due_at}
    await tx.conn.execute(_SQL["end"], values)


async def forget(tx: Tx, keep: timedelta) -> int:
    """Delete answers made longer than `keep` ago; how many, at most a piece."""
    values = {"before": tx.now - keep, "piece": PIECE}
    return (await tx.conn.execute(_SQL["forget"], values)).rowcount
