"""Alarms, their log, and what a person must know of one. Law of this file: rows in, values out; no rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from central.engine.model import Alarm, AlarmState, Cause, Condition, Disposition, Reason, Severity
from central.store.pool import Tx, notify, one
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


@dataclass(frozen=True, slots=True)
class NewAlarm:
    """What an alarm is born with."""

    condition: Condition
    severity: Severity
    state: AlarmState
    area: str
    part: str
    event_at: datetime
    gateway: str | None = None
    grid: str | None = None
    building: str | None = None
    household: str | None = None
    placement: int | None = None
    address_known: bool = True
    late: bool = False
    event: int | None = None
    cleared_at: datetime | None = None
    detail: Mapping[str, Any] | None = None


_sql = queries("alarms")


async def alarm(tx: Tx, alarm_id: int) -> Alarm | None:
    """One alarm by its id."""
    row = await (await tx.conn.execute(_sql["columns_alarm"], {"id": alarm_id})).fetchone()
    return _alarm(row) if row else None


async def lock_alarm(tx: Tx, alarm_id: int) -> Alarm | None:
    """The same, held until the transaction ends."""
    row = await (await tx.conn.execute(_sql["lock_alarm"], {"id": alarm_id})).fetchone()
    return _alarm(row) if row else None


async def lock_open(tx: Tx, gateway: str | None, part: str, condition: Condition) -> Alarm | None:
    """The open alarm of one source (gateway, part, condition), held until the transaction ends."""
    row = await (
        await tx.conn.execute(
            _sql["lock_open"], {"gateway": gateway, "part": part, "condition": condition.value}
        )
    ).fetchone()
    return _alarm(row) if row else None


async def lock_latest(
    tx: Tx, gateway: str, part: str, condition: Condition, at: datetime, span: timedelta
) -> Alarm | None:
    """The open alarm of a source, else the last one begun by `at` and not closed over `span` before it.

    Held until the transaction ends.
    """
    key = {"gateway": gateway, "part": part, "condition": condition.value, "at": at, "span": span}
    row = await (await tx.conn.execute(_sql["lock_latest"], key)).fetchone()
    return _alarm(row) if row else None


async def lock_open_of_part(tx: Tx, part: str, condition: Condition | None = None) -> list[Alarm]:
    """Open alarms of a detector, whichever gateway told of it; held until the transaction ends."""
    cursor = await tx.conn.execute(
        _sql["lock_open_of_part"], {"part": part, "condition": condition.value if condition else None}
    )
    return [_alarm(row) for row in await cursor.fetchall()]


async def lock_open_life_of_gateway(tx: Tx, gateway: str, bus: str | None = None) -> list[Alarm]:
    """Active smoke and heat behind a gateway, or behind one of its buses; held until the transaction ends."""
    cursor = await tx.conn.execute(_sql["lock_open_life_of_gateway"], {"gateway": gateway, "bus": bus})
    return [_alarm(row) for row in await cursor.fetchall()]


async def open_alarms(tx: Tx) -> list[Alarm]:
    """Every alarm that is not closed, the gravest and oldest first."""
    return [_alarm(row) for row in await (await tx.conn.execute(_sql["open_alarms"])).fetchall()]


async def covered(tx: Tx, gateway: str | None, part: str, condition: Condition, at: datetime) -> bool:
    """Whether an alarm, open or closed, of the same source spans the moment `at`."""
    cursor = await tx.conn.execute(
        _sql["covering"], {"gateway": gateway, "part": part, "condition": condition.value, "at": at}
    )
    return await cursor.fetchone() is not None


async def insert(tx: Tx, new: NewAlarm) -> Alarm | None:
    """A new open alarm, linked to the one of the same source closed within the last day.

    None when another transaction opened it first.
    """
    key = {"gateway": new.gateway, "part": new.part, "condition": new.condition.value}
    last = await (await tx.conn.execute(_sql["last_closed"], {**key, "now": tx.now})).fetchone()
    values = {
        **key,
        "severity": new.severity.value,
        "area": new.area,
        "grid": new.grid,
        "building": new.building,
        "household": new.household,
        "placement": new.placement,
        "address_known": new.address_known,
        "state": new.state.value,
        "late": new.late,
        "opened_at": tx.now,
        "event_at": new.event_at,
        "event": new.event,
        "cleared_at": new.cleared_at,
        "linked_to": last["id"] if last else None,
        "detail": Jsonb(dict(new.detail or {})),
    }
    row = await (await tx.conn.execute(_sql["insert_alarm"], values)).fetchone()
    return _alarm(row) if row else None


async def save(tx: Tx, changed: Alarm) -> None:
    """Write back what the lifecycle may change."""
    await tx.conn.execute(
        _sql["save_alarm"],
        {
            "id": changed.id,
            "state": changed.state.value,
            "round": changed.round,
            "cleared_at": changed.cleared_at,
            "acknowledged_at": changed.acknowledged_at,
            "acknowledged_by": changed.acknowledged_by,
            "on_way_at": changed.on_way_at,
            "closed_at": changed.closed_at,
            "closed_by": changed.closed_by,
            "disposition": changed.disposition.value if changed.disposition else None,
            "cause": changed.cause.value if changed.cause else None,
            "remark": changed.remark,
        },
    )


async def set_detail(tx: Tx, alarm_id: int, detail: Mapping[str, Any]) -> None:
    """Replace what is said beside the alarm."""
    await tx.conn.execute(_sql["set_detail"], {"id": alarm_id, "detail": Jsonb(dict(detail))})


async def log(
    tx: Tx,
    alarm_id: int,
    what: str,
    reason: Reason,
    *,
    before: AlarmState | None = None,
    after: AlarmState | None = None,
    who: str = "system",
    from_where: str = "",
    event: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> int:
    """One line on the alarm's time line, and a wake-up on channel `alarm`; returns the line's id."""
    cursor = await tx.conn.execute(
        _sql["insert_log"],
        {
            "alarm": alarm_id,
            "at": tx.now,
            "what": what,
            "from_state": before.value if before else None,
            "to_state": after.value if after else None,
            "who": who,
            "from_where": from_where,
            "reason": reason.value,
            "event": event,
            "detail": Jsonb(dict(detail or {})),
        },
    )
    line = int(one(await cursor.fetchone())["id"])
    await notify(tx, "alarm", str(alarm_id))
    return line


async def timeline(tx: Tx, alarm_id: int) -> list[LogEntry]:
    """All that happened to an alarm, in order."""
    rows = await (await tx.conn.execute(_sql["timeline"], {"id": alarm_id})).fetchall()
    return [LogEntry(**row) for row in rows]


async def describe(tx: Tx, alarm_id: int) -> AlarmFacts | None:
    """What a message or page needs. It holds personal data: whoever shows it writes an audit row."""
    row = await (await tx.conn.execute(_sql["describe"], {"id": alarm_id})).fetchone()
    if row is None:
        return None
    cursor = await tx.conn.execute(_sql["residents"], {"household": row["household"]})
    residents = tuple(
        ResidentFacts(age=tx.now.year - birth_year if birth_year else None, **rest)
        for resident in await cursor.fetchall()
        for birth_year, rest in [(resident.pop("birth_year"), resident)]
    )
    return AlarmFacts(**_words(row), residents=residents)


def _alarm(row: dict[str, Any]) -> Alarm:
    return Alarm(**_words(row))


def _words(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "condition": Condition(row["condition"]),
        "severity": Severity(row["severity"]),
        "state": AlarmState(row["state"]),
        "disposition": Disposition(row["disposition"]) if row["disposition"] else None,
        "cause": Cause(row["cause"]) if row["cause"] else None,
    }
