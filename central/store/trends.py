"""What the rules for early warnings read and keep. Law of this file: rows in, `central.trends` words out.

Days and hours are those of China's clock (UTC+8).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from central.store.pool import Tx
from central.store.rollups import CHINA
from central.store.rows import rows as as_rows
from central.store.sql import queries
from central.trends import Bucket, ClockSample, Finding, Hour, Metric, Rule

_SQL = queries("trends")
CLOCK_KEPT = timedelta(days=45)


class Part(NamedTuple):
    """A detector by the gateway that watches it, or ('' as part) the gateway itself."""

    gateway: str
    part: str


@dataclass(frozen=True, slots=True)
class Hung:
    """A detector that is to be judged."""

    of: Part
    area: str
    profile: str
    fitted_on: date


async def detectors_to_judge(tx: Tx, today: date, limit: int) -> list[Hung]:
    """Detectors that hang somewhere and were not judged today."""
    found = await _fetch(tx, "detectors_to_judge", today=today, limit=limit)
    return [Hung(Part(r["gateway"], r["part"]), r["area"], r["profile"], r["fitted_on"]) for r in found]


async def gateways_to_judge(tx: Tx, today: date, limit: int) -> list[tuple[Part, str]]:
    """Gateways that were not judged today, each with its area."""
    found = await _fetch(tx, "gateways_to_judge", today=today, limit=limit)
    return [(Part(r["gateway"], ""), r["area"]) for r in found]


async def note_judged(tx: Tx, parts: Iterable[Part], today: date) -> None:
    """They need not be judged again on this day."""
    await tx.conn.execute(_SQL["note_judged"], {**_columns(parts, "parts"), "today": today})


async def days(tx: Tx, parts: Collection[Part], since: date) -> dict[Part, dict[Metric, list[Bucket]]]:
    """Daily roll-ups from a day on, by metric; a day without values has no bucket."""
    found: dict[Part, dict[Metric, list[Bucket]]] = {part: {} for part in parts}
    for row in await _fetch(tx, "days", **_columns(parts, "detectors"), since=_midnight(since)):
        of = found[Part(row["gateway"], row["detector"])]
        for metric in (Metric.SMOKE, Metric.TEMPERATURE, Metric.BATTERY, Metric.CONTAMINATION):
            count = row[f"{metric.value}_n"]
            if count:
                of.setdefault(metric, []).append(Bucket(row["day"], *_values(row, metric), count))
    return found


async def smoke_hours(tx: Tx, parts: Collection[Part], since: date) -> dict[Part, list[Hour]]:
    """Hourly roll-ups of smoke from a day on."""
    found: dict[Part, list[Hour]] = {part: [] for part in parts}
    for row in await _fetch(tx, "smoke_hours", **_columns(parts, "detectors"), since=_midnight(since)):
        hour = Hour(row["day"], row["hour"], *_values(row, Metric.SMOKE), row["smoke_n"])
        found[Part(row["gateway"], row["detector"])].append(hour)
    return found


async def peers(tx: Tx, area: str, profile: str, limit: int) -> list[Part]:
    """Detectors of one model in one area."""
    found = await _fetch(tx, "peers", area=area, profile=profile, limit=limit)
    return [Part(row["gateway"], row["detector"]) for row in found]


async def findings(tx: Tx, parts: Collection[Part]) -> dict[Part, dict[Rule, Finding]]:
    """What holds of these parts, as of the last judgement."""
    found: dict[Part, dict[Rule, Finding]] = {part: {} for part in parts}
    for row in await _fetch(tx, "findings", **_columns(parts, "parts")):
        finding = msgspec.convert(row["body"], Finding)
        found[Part(row["gateway"], row["part"])][finding.rule] = finding
    return found


async def keep_findings(tx: Tx, kept: Mapping[Part, Iterable[Finding]]) -> None:
    """Replace what is on record of these parts."""
    await tx.conn.execute(_SQL["forget_findings"], _columns(kept, "parts"))
    values = [
        {"gateway": of.gateway, "part": of.part, "rule": finding.rule, "body": finding}
        for of, found in kept.items()
        for finding in found
    ]
    if values:
        await tx.conn.execute(_SQL["keep_findings"], {"rows": as_rows(values)})


async def homeless(tx: Tx, limit: int) -> list[tuple[Part, str]]:
    """Parts with findings that do not hang there any more, each with its area."""
    found = await _fetch(tx, "homeless", limit=limit)
    return [(Part(r["gateway"], r["part"]), r["area"]) for r in found]


class ClockNote(NamedTuple):
    """How far off a gateway's clock is now, in one boot of it."""

    gateway: str
    boot: str
    synchronised: bool
    offset_s: float


async def note_clocks(tx: Tx, notes: Sequence[ClockNote]) -> None:
    """Keep how far off clocks are; of each gateway one note an hour is kept."""
    if notes:
        values = {"rows": as_rows([note._asdict() for note in notes]), "at": tx.now}
        await tx.conn.execute(_SQL["note_clocks"], values)


async def clock_samples(tx: Tx, gateways: Sequence[str]) -> dict[str, list[ClockSample]]:
    """How far off the clocks of gateways were, of the boot that runs or when they were known to be right."""
    found: dict[str, list[ClockSample]] = {gateway: [] for gateway in gateways}
    values = {"gateways": list(gateways), "since": tx.now - CLOCK_KEPT}
    for row in await _fetch(tx, "clock_samples", **values):
        found[row["gateway"]].append(ClockSample(row["at"], row["offset_s"]))
    return found


async def forget_clock_samples(tx: Tx) -> int:
    """Delete what no rule looks at any more."""
    return (await tx.conn.execute(_SQL["forget_clock_samples"], {"before": tx.now - CLOCK_KEPT})).rowcount


async def _fetch(tx: Tx, statement: str, **values: object) -> list[dict[str, Any]]:
    return await (await tx.conn.execute(_SQL[statement], values)).fetchall()


def _columns(parts: Iterable[Part], name: str) -> dict[str, Any]:
    held = list(parts)
    return {"gateways": [of.gateway for of in held], name: [of.part for of in held]}


def _values(row: Mapping[str, Any], metric: Metric) -> tuple[float, float, float]:
    name = metric.value
    return row[f"{name}_min"], row[f"{name}_max"], row[f"{name}_sum"] / row[f"{name}_n"]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=CHINA)
