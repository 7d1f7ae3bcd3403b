"""Alarms, their log, and what a person must know of one. Law of this file: rows in, values out; no rules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from central.engine.model import Alarm, AlarmState, Cause, Condition, Disposition, Grade, Reason, Severity
from central.store.pool import Tx, ask
from central.store.rows import rows
from central.store.savepoint import at_once
from central.store.sql import queries


@dataclass(frozen=True, slots=True)
class ResidentFacts:
    """One person who lives where it burns. Personal data: whoever shows it writes an audit row."""

    id: str
    name: str
    age: int | None
    """Years, give or take one (only the year of birth is kept)."""
    phone: str
    lives_alone: bool
    needs: str
    family_name: str
    family_phone: str


@dataclass(frozen=True, slots=True)
class AlarmFacts:
    """All that a message or page says of an alarm. Names are '' or None where the registry has none."""

    id: int
    condition: Condition
    severity: Severity
    state: AlarmState
    round: int
    late: bool
    address_known: bool
    area: str
    area_name: str | None
    community: str | None
    community_name: str | None
    grid: str | None
    grid_name: str | None
    building: str | None
    building_name: str | None
    address: str | None
    lon: float | None
    lat: float | None
    household: str | None
    unit: str | None
    floor: int | None
    room: str | None
    spot: str | None
    """Where in the home the detector hangs."""
    gateway: str | None
    gateway_name: str | None
    part: str
    opened_at: datetime
    event_at: datetime
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_name: str | None
    on_way_at: datetime | None
    closed_at: datetime | None
    closed_by: str | None
    closed_name: str | None
    disposition: Disposition | None
    cause: Cause | None
    remark: str
    linked_to: int | None
    detail: Mapping[str, Any]
    """gateway_silent, bus_down: `homes` (labels) and `count` left unwatched; system: `text`."""
    residents: tuple[ResidentFacts, ...]
    on_scene_at: datetime | None = None
    offered_to: str | None = None
    """Who was asked to take it over and has not answered."""
    offered_name: str | None = None
    offered_by_name: str | None = None
    offered_at: datetime | None = None
    grade: Grade = Grade.USUAL
    """How much more speaks for a fire than the detector that called; `detail` has its `grounds`."""

    def without_residents(self) -> AlarmFacts:
        """The same for those who need not know who lives there."""
        return replace(self, residents=())


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of an alarm's time line."""

    id: int
    alarm: int
    at: datetime
    what: str
    from_state: str | None
    to_state: str | None
    who: str
    who_name: str | None
    from_where: str
    reason: str
    event: int | None
    detail: Mapping[str, Any]


class Line(Struct, frozen=True):
    """A new line for an alarm's time line."""

    alarm: int
    what: str
    reason: Reason
    from_state: AlarmState | None = None
    to_state: AlarmState | None = None
    who: str = "system"
    from_where: str = ""
    event: int | None = None
    detail: Mapping[str, Any] = {}


_sql = queries("alarms")


async def alarm(tx: Tx, alarm_id: int) -> Alarm | None:
    """One alarm by its id."""
    row = await (await tx.conn.execute(_sql["columns_alarm"], {"id": alarm_id})).fetchone()
    return _alarm(row) if row else None


async def lock_alarms(tx: Tx, ids: Collection[int]) -> list[Alarm]:
    """Alarms by their ids, held until the transaction ends."""
    return [_alarm(row) for row in await _fetch(tx, "lock_alarms", ids=list(ids))]


async def lock_open(
    tx: Tx, parts: Collection[tuple[str | None, str]], detectors: Collection[str] = ()
) -> list[Alarm]:
    """Open alarms of parts of gateways (None: the centre), and of detectors whichever gateway told of them.

    Held until the transaction ends.
    """
    gateways, names = [gateway or "" for gateway, _ in parts], [part for _, part in parts]
    found = await _fetch(tx, "lock_open", gateways=gateways, parts=names, detectors=list(detectors))
    return [_alarm(row) for row in found]


async def lock_latest(
    tx: Tx, gateway: str, part: str, condition: Condition, at: datetime, span: timedelta
) -> Alarm | None:
    """The open alarm of a source, else the last one begun by `at` and not closed over `span` before it.

    Held until the transaction ends.
    """
    key = {"gateway": gateway, "part": part, "condition": condition.value, "at": at, "span": span}
    row = await (await tx.conn.execute(_sql["lock_latest"], key)).fetchone()
    return _alarm(row) if row else None


async def lock_open_life_of_gateways(
    tx: Tx, gateways: Collection[str], bus: str | None = None
) -> list[Alarm]:
    """Active smoke and heat behind gateways, or behind a bus of theirs; held until the transaction ends."""
    found = await _fetch(tx, "lock_open_life_of_gateways", gateways=list(gateways), bus=bus)
    return [_alarm(row) for row in found]


async def unanswered_life(tx: Tx) -> bool:
    """Whether smoke or heat waits for somebody to take it."""
    return bool((await _fetch(tx, "unanswered_life"))[0]["waits"])


async def gateways_of_unknown_life(tx: Tx, gateways: Collection[str]) -> set[str]:
    """Those behind which smoke or heat became unknown."""
    cursor = await tx.conn.execute(_sql["gateways_of_unknown_life"], {"gateways": list(gateways)})
    return {row["gateway"] for row in await cursor.fetchall()}


async def covered(tx: Tx, gateway: str | None, part: str, condition: Condition, at: datetime) -> bool:
    """Whether an alarm, open or closed, of the same source spans the moment `at`."""
    cursor = await tx.conn.execute(
        _sql["covering"], {"gateway": gateway, "part": part, "condition": condition.value, "at": at}
    )
    return await cursor.fetchone() is not None


async def last_closed(
    tx: Tx, asked: Sequence[tuple[str | None, str, Condition]]
) -> dict[tuple[str | None, str, Condition], int]:
    """By gateway, part and condition the alarm that was closed last, where that was less than a day ago."""
    values = {
        "gateways": [gateway or "" for gateway, _, _ in asked],
        "parts": [part for _, part, _ in asked],
        "conditions": [condition.value for _, _, condition in asked],
    }
    found = await _fetch(tx, "last_closed", **values, now=tx.now)
    return {asked[row["n"] - 1]: int(row["id"]) for row in found}


async def reserve(tx: Tx, count: int) -> list[int]:
    """Ids for so many new alarms, ascending."""
    return [int(row["id"]) for row in await _fetch(tx, "reserve", count=count)]


async def insert(tx: Tx, new: Sequence[Alarm]) -> Callable[[], bool]:
    """Write new alarms. What is returned says whether some were not, as somebody else opened them first.

    It knows that when the statement has been answered: within `in_one_go`, after it.
    """
    cursor = await tx.conn.execute(_sql["insert"], {"rows": rows(new)})
    return lambda: 0 <= cursor.rowcount < len(new)


async def save(tx: Tx, changed: Sequence[Alarm]) -> None:
    """Write back what the lifecycle may change."""
    await tx.conn.execute(_sql["save"], {"rows": rows(changed)})


async def log(tx: Tx, lines: Sequence[Line]) -> None:
    """Write lines on time lines, in order, and wake whoever listens on channel `alarm`."""
    await tx.conn.execute(_sql["log"], {"rows": rows(lines), "now": tx.now})
    await tx.conn.execute(_sql["wake"], {"ids": sorted({line.alarm for line in lines})})


async def timeline(tx: Tx, alarm_id: int) -> list[LogEntry]:
    """All that happened to an alarm, in order."""
    return [LogEntry(**row) for row in await _fetch(tx, "timeline", id=alarm_id)]


async def describe(tx: Tx, alarm_id: int) -> AlarmFacts | None:
    """What a message or page needs. It holds personal data: whoever shows it writes an audit row."""
    return (await describe_all(tx, [alarm_id])).get(alarm_id)


async def describe_all(tx: Tx, ids: Collection[int]) -> dict[int, AlarmFacts]:
    """The same of several alarms, by id; one that is not there is left out."""
    described: list[dict[str, Any]] = []
    residents: dict[str, list[ResidentFacts]] = {}
    living_there: list[dict[str, Any]] = []

    async def describe() -> None:
        described.extend(await _fetch(tx, "describe", ids=list(ids)))

    async def who_lives_there() -> None:
        living_there.extend(await _fetch(tx, "residents", ids=list(ids)))

    await at_once(describe(), who_lives_there())
    for resident in living_there:
        birth_year, household = resident.pop("birth_year"), resident.pop("household")
        age = tx.now.year - birth_year if birth_year else None
        residents.setdefault(household, []).append(ResidentFacts(age=age, **resident))
    return {
        row["id"]: AlarmFacts(**_words(row), residents=tuple(residents.get(row["household"], ())))
        for row in described
    }


def as_alarm(row: dict[str, Any]) -> Alarm:
    """A whole row of the table `alarm`."""
    return _alarm(row)


async def _fetch(tx: Tx, statement: str, **values: object) -> list[dict[str, Any]]:
    return await ask(tx, _sql[statement], values)


def _alarm(row: dict[str, Any]) -> Alarm:
    # Columns of a newer database that this program does not know yet are none of its business.
    known = {name: row[name] for name in Alarm.__struct_fields__}
    return Alarm(**_words(known))


def _words(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "condition": Condition(row["condition"]),
        "severity": Severity(row["severity"]),
        "state": AlarmState(row["state"]),
        "grade": Grade(row["grade"]),
        "disposition": Disposition(row["disposition"]) if row["disposition"] else None,
        "cause": Cause(row["cause"]) if row["cause"] else None,
    }
