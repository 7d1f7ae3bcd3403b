"""What each source last said, and where it hangs.

Law of this file: an older word never replaces a newer one (the caller asks `last` first); "watched" wants
proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from central.engine.decide import Seen
from central.engine.model import Condition
from central.store.pool import Tx
from central.store.sql import queries

_sql = queries("sources")


class Last(NamedTuple):
    """What the source said last, and whether the word in hand is older than that."""

    seen: Seen
    older: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part hangs, as far as the registry knows."""

    area: str
    grid: str | None = None
    building: str | None = None
    household: str | None = None
    placement: int | None = None
    known: bool = False
    """False: the last known home, or none at all."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Whether a detector that hangs in a home is watched. No personal data."""

    detector: str
    household: str
    building: str
    grid: str
    gateway: str
    bus: str
    state: Literal["watched", "unwatched", "alarm"]


async def last(
    tx: Tx, gateway: str, part: str, condition: Condition, *, stream: str, seq: int
) -> Last | None:
    """What the source said last about a condition; None when it never said anything."""
    cursor = await tx.conn.execute(
        _sql["last"],
        {"gateway": gateway, "part": part, "condition": condition.value, "stream": stream, "seq": seq},
    )
    row = await cursor.fetchone()
    return Last(Seen(row["state"]), bool(row["older"])) if row else None


async def say(
    tx: Tx,
    gateway: str,
    part: str,
    condition: Condition,
    seen: Seen,
    *,
    stream: str,
    seq: int,
    event_at: datetime,
) -> None:
    """Keep what the source says now."""
    await tx.conn.execute(
        _sql["say"],
        {
            "gateway": gateway,
            "part": part,
            "condition": condition.value,
            "state": seen.value,
            "stream": stream,
            "seq": seq,
            "event_at": event_at,
        },
    )


async def of_gateway(tx: Tx, gateway: str) -> dict[tuple[str, Condition], Seen]:
    """All that the parts of a gateway said last."""
    cursor = await tx.conn.execute(_sql["of_gateway"], {"gateway": gateway})
    return {(r["part"], Condition(r["condition"])): Seen(r["state"]) for r in await cursor.fetchall()}


async def home(tx: Tx, detector: str, at: datetime, area: str) -> Place:
    """The home of a detector at a moment; where it is unknown, only the `area` that told of it."""
    row = await (await tx.conn.execute(_sql["home"], {"detector": detector, "at": at})).fetchone()
    if row is None:
        return Place(area)
    return Place(
        row["area"], row["grid"], row["building"], row["household"], row["placement"], bool(row["known"])
    )


async def gateway_place(tx: Tx, gateway: str, area: str) -> Place:
    """Where a gateway stands; for one that is not registered, only the `area` that told of it."""
    row = await (await tx.conn.execute(_sql["gateway_place"], {"gateway": gateway})).fetchone()
    return Place(row["area"], row["grid"], row["building"], known=True) if row else Place(area)


async def owner(tx: Tx, detector: str) -> str | None:
    """The gateway that watches a detector now."""
    row = await (await tx.conn.execute(_sql["owner"], {"detector": detector})).fetchone()
    return str(row["gateway"]) if row else None


async def homes(tx: Tx, gateway: str, bus: str | None = None) -> list[str]:
    """Labels (building unit-room) of the homes behind a gateway or one of its lines."""
    cursor = await tx.conn.execute(_sql["homes"], {"gateway": gateway, "bus": bus})
    return [
        f"{r['building']} {'-'.join(x for x in (r['unit'], r['room']) if x)}" for r in await cursor.fetchall()
    ]


async def watch_state(tx: Tx) -> list[Watch]:
    """Every detector that hangs in a home: watched, unwatched or in alarm."""
    return [
        Watch(**row) for row in await (await tx.conn.execute(_sql["watch_state"], {"now": tx.now})).fetchall()
    ]
