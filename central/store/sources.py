"""What each source last said, and where it hangs.

Law of this file: an older word never replaces a newer one (the caller looks at `words` first);
"watched" wants proof.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from msgspec import Struct

from central.engine.decide import Seen
from central.engine.model import Condition
from central.store.pool import Tx, ask
from central.store.rows import rows as as_rows
from central.store.sql import queries

_sql = queries("sources")


class Source(NamedTuple):
    """Who may say something, and about what."""

    gateway: str
    part: str
    condition: Condition


class Word(Struct, frozen=True):
    """What a source said last: by which event, and since when that event's stream is known."""

    seen: Seen
    stream: str
    seq: int
    event_at: datetime
    began: datetime | None

    def newer_than(self, stream: str, seq: int, began: datetime | None) -> bool:
        """Whether a word of `stream` at `seq` is older: in one stream by seq, else by which began first."""
        if stream == self.stream:
            return seq < self.seq
        return began is not None and self.began is not None and began < self.began


class Place(Struct, frozen=True):
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


async def words(tx: Tx, asked: Collection[Source]) -> dict[Source, Word]:
    """What these sources said last; one that never said anything is not in the answer."""
    of = list(asked)
    values = {
        "gateways": [source.gateway for source in of],
        "parts": [source.part for source in of],
        "conditions": [source.condition.value for source in of],
    }
    return {
        of[r["n"] - 1]: Word(Seen(r["state"]), r["stream"], r["seq"], r["event_at"], r["began"])
        for r in await ask(tx, _sql["words"], values)
    }


async def say(tx: Tx, said: Mapping[Source, Word]) -> None:
    """Keep what the sources say now."""
    await tx.conn.execute(
        _sql["say"],
        {
            "rows": as_rows(
                [
                    {
                        "gateway": source.gateway,
                        "part": source.part,
                        "condition": source.condition,
                        "state": word.seen,
                        "stream": word.stream,
                        "seq": word.seq,
                        "event_at": word.event_at,
                    }
                    for source, word in said.items()
                ]
            )
        },
    )


async def said(tx: Tx, asked: Collection[Source]) -> dict[Source, Seen]:
    """What these sources said last; one that never said anything is not in the answer."""
    return {source: word.seen for source, word in (await words(tx, asked)).items()}


async def of_gateway(tx: Tx, gateway: str) -> dict[tuple[str, Condition], Seen]:
    """All that the parts of a gateway said last."""
    cursor = await tx.conn.execute(_sql["of_gateway"], {"gateway": gateway})
    return {(r["part"], Condition(r["condition"])): Seen(r["state"]) for r in await cursor.fetchall()}


async def homes_at(tx: Tx, asked: Collection[tuple[str, datetime]]) -> dict[tuple[str, datetime], Place]:
    """The home of each detector at a moment; what is not known at all is not in the answer."""
    detectors, moments = [name for name, _ in asked], [at for _, at in asked]
    rows = await ask(tx, _sql["homes_at"], {"detectors": detectors, "moments": moments})
    return {
        (r["detector"], r["at"]): Place(
            r["area"], r["grid"], r["building"], r["household"], r["placement"], bool(r["known"])
        )
        for r in rows
    }


async def gateway_place(tx: Tx, gateway: str, area: str) -> Place:
    """Where a gateway stands; for one that is not registered, only the `area` that told of it."""
    return (await gateway_places(tx, [gateway])).get(gateway) or Place(area)


async def gateway_places(tx: Tx, gateways: Collection[str]) -> dict[str, Place]:
    """Where gateways stand; one that is not registered is not in the answer."""
    cursor = await tx.conn.execute(_sql["gateway_places"], {"gateways": list(gateways)})
    return {
        row["id"]: Place(row["area"], row["grid"], row["building"], known=True)
        for row in await cursor.fetchall()
    }


async def owners(tx: Tx, detectors: Collection[str]) -> dict[str, str]:
    """The gateways that watch detectors now; one that hangs nowhere is not in the answer."""
    cursor = await tx.conn.execute(_sql["owners"], {"detectors": list(detectors)})
    return {r["detector"]: r["gateway"] for r in await cursor.fetchall()}


async def homes(tx: Tx, gateway: str, bus: str | None = None) -> list[str]:
    """Labels (building unit-room) of the homes behind a gateway or one of its lines."""
    return (await homes_of(tx, [gateway], bus)).get(gateway, [])


async def homes_of(tx: Tx, gateways: Collection[str], bus: str | None = None) -> dict[str, list[str]]:
    """The same of several gateways; one without homes is not in the answer."""
    cursor = await tx.conn.execute(_sql["homes"], {"gateways": list(gateways), "bus": bus})
    found: dict[str, list[str]] = {}
    for row in await cursor.fetchall():
        label = f"{row['building']} {'-'.join(x for x in (row['unit'], row['room']) if x)}"
        found.setdefault(row["gateway"], []).append(label)
    return found


async def watch_state(tx: Tx) -> list[Watch]:
    """Every detector that hangs in a home: watched, unwatched or in alarm."""
    return [
        Watch(**row) for row in await (await tx.conn.execute(_sql["watch_state"], {"now": tx.now})).fetchall()
    ]
