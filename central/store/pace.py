"""How many messages an address still bears. Law of this file: buckets are rows, the same for all workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from central.notifier.channel import Pace
from central.store.pool import Tx, one
from central.store.sql import queries

_SQL = queries("pace")


class Granted(NamedTuple):
    """Messages that may go to an address now, and when the next one may."""

    messages: int
    next_at: datetime


async def take(
    tx: Tx, channel: str, pace: Pace, asked: Mapping[str, int], *, urgent: bool
) -> dict[str, Granted]:
    """Ask for messages by address; what is granted is taken from its bucket."""
    if not asked:
        return {}
    values = {
        "channel": channel,
        "urgent": urgent,
        "addresses": sorted(asked),
        "wanted": [asked[address] for address in sorted(asked)],
        "burst": pace.burst,
        "every_s": pace.every.total_seconds(),
        "now": tx.now,
    }
    rows = await (await tx.conn.execute(_SQL["take"], values)).fetchall()
    return {
        row["address"]: Granted(
            row["granted"],
            tx.now + timedelta(seconds=max(0.0, 1 - row["tokens"]) * pace.every.total_seconds()),
        )
        for row in rows
    }


async def take_under(
    tx: Tx, channel: str, paces: Sequence[Pace], asked: Mapping[str, int], *, urgent: bool
) -> dict[str, Granted]:
    """The same where several paces hold: what one of them grants is asked of the next.

    The first has the channel's own bucket; a token of it that a slower one lets lapse is back in a moment.
    """
    first, *slower = paces
    granted = await take(tx, channel, first, asked, urgent=urgent)
    for number, pace in enumerate(slower, 1):
        some = {address: one.messages for address, one in granted.items() if one.messages}
        for address, less in (await take(tx, f"{channel} {number}", pace, some, urgent=urgent)).items():
            next_at = max(less.next_at, granted[address].next_at)
            granted[address] = Granted(less.messages, next_at)
    return granted


async def next_at(tx: Tx, channel: str, pace: Pace, *, urgent: bool) -> datetime | None:
    """When the next address of a channel that bears no more does again; None when there is none."""
    values = {
        "channel": channel,
        "urgent": urgent,
        "every_s": pace.every.total_seconds(),
        "now": tx.now,
    }
    found: datetime | None = one(await (await tx.conn.execute(_SQL["next"], values)).fetchone())["at"]
    return found


async def forget(tx: Tx) -> int:
    """Delete buckets that have been full for a day; how many."""
    return (await tx.conn.execute(_SQL["forget"], {"before": tx.now - timedelta(days=1)})).rowcount
