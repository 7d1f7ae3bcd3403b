"""Questions about the whole: how the fleet does, and how much of the time its parts were there.

Law of this file: times are those of the centre's record; bounded in rows and in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from central.store.pool import Tx, one
from central.store.questions import down_of, down_parts, limit_time, rows_placed
from central.store.spans import Span, clipped, merged, seconds
from central.store.sql import queries

LONGEST_UPTIME = timedelta(days=400)
_SQL = queries("questions")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Counts of everything that hangs or stands somewhere now."""

    detectors: int
    watched: int
    alarm: int
    unwatched: int
    gateways: int
    gateways_silent: int
    gateways_never_heard: int
    conditions: dict[str, int]
    """Detectors in which a condition is present."""
    unknown: dict[str, int]
    """Detectors of which nobody can say."""


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """What a gateway said of itself in its last heartbeat; null before the first."""

    id: str
    area: str
    name: str
    heard_at: datetime | None
    silent_since: datetime | None
    version: str | None
    outbox_depth: int | None
    oldest_unacked_event_s: float | None
    readings_dropped: int | None
    storage_error: str | None
    config_error: str | None
    detectors: int
    conditions: list[str]
    """Of the gateway and its lines; those of a line end with `bus:` and its id."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """How long a part was to be there, and how long it was not, in seconds."""

    id: str
    expected_s: float
    down_s: float
    ratio: float | None
    """Null: it was not to be there at all."""
    outages: int
    causes: dict[str, float]
    """Seconds of each cause; causes may overlap."""


async def fleet(tx: Tx) -> Fleet:
    """The whole at this moment."""
    await limit_time(tx)
    detectors = one(await (await tx.conn.execute(_SQL["fleet_detectors"], {"now": tx.now})).fetchone())
    gateways = one(await (await tx.conn.execute(_SQL["fleet_counts"])).fetchone())
    rows = await (await tx.conn.execute(_SQL["fleet_conditions"])).fetchall()
    return Fleet(
        **detectors,
        gateways=gateways["gateways"],
        gateways_silent=gateways["silent"],
        gateways_never_heard=gateways["never_heard"],
        conditions={row["condition"]: row["n"] for row in rows if row["state"] == "present"},
        unknown={row["condition"]: row["n"] for row in rows if row["state"] == "unknown"},
    )


async def gateways(
    tx: Tx, *, area: str | None = None, after: str = "", limit: int = 100
) -> list[GatewayHealth]:
    """Gateways by id behind `after`."""
    await limit_time(tx)
    cursor = await tx.conn.execute(_SQL["fleet_gateways"], {"area": area, "after": after, "limit": limit})
    return [GatewayHealth(**row) for row in await cursor.fetchall()]


async def detector_uptime(
    tx: Tx,
    begin: datetime,
    end: datetime,
    *,
    detector: str | None = None,
    gateway: str | None = None,
    after: str = "",
    limit: int = 100,
) -> list[Uptime]:
    """Detectors by id: expected while they hang somewhere; away with their line or gateway, too."""
    await limit_time(tx)
    end = min(end, tx.now)
    placed = await rows_placed(tx, begin, end, detector=detector, gateway=gateway, after=after, limit=limit)
    down = await down_of(tx, placed, begin, end) if placed else {}
    windows: dict[str, list[Span]] = {}
    away: dict[str, list[Span]] = {}
    for row in placed:
        window = Span(row["from"], row["to"])
        windows.setdefault(row["detector"], []).append(window)
        for part in (row["detector"], f"bus:{row['bus']}", ""):
            spans = clipped(down.get((row["gateway"], part), ()), [window])
            away.setdefault(row["detector"], []).extend(spans)
    return [_uptime(part, window, away.get(part, [])) for part, window in windows.items()]


async def gateway_uptime(
    tx: Tx, begin: datetime, end: datetime, *, gateway: str | None = None, after: str = "", limit: int = 100
) -> list[Uptime]:
    """Gateways by id: expected from their registration until they retire."""
    await limit_time(tx)
    end = min(end, tx.now)
    values = {"from": begin, "to": end, "gateway": gateway, "after": after, "limit": limit}
    rows = await (await tx.conn.execute(_SQL["gateways_of"], values)).fetchall()
    down = await down_parts(tx, [(row["gateway"], "") for row in rows], begin, end) if rows else {}
    found = []
    for row in rows:
        window = [Span(row["from"], row["to"])]
        spans = list(clipped(down.get((row["gateway"], ""), ()), window))
        found.append(_uptime(row["gateway"], window, spans))
    return found


def _uptime(part: str, windows: list[Span], away: list[Span]) -> Uptime:
    expected, whole = seconds(windows), merged(away)
    causes: dict[str, float] = {}
    for cause in sorted({span.why for span in away}):
        causes[cause] = seconds(merged(span for span in away if span.why == cause))
    down = seconds(whole)
    return Uptime(part, expected, down, 1 - down / expected if expected else None, len(whole), causes)
