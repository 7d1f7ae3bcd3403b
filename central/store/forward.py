"""News for fire-brigade centres, and the addresses by which they know detectors. Law of this file: no rules.

A row is written with the change it tells of, and stays until the centre has confirmed it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from central.engine.model import Condition
from central.forwarding import BITS, News, Row, What, standing
from central.store.alarms import as_alarm
from central.store.pool import Tx, one
from central.store.rows import rows
from central.store.sql import queries

_SQL = queries("forward")
_BEGINS = (What.FIRE, What.STATE, What.ROLL_CALL)


class Centre(Struct, frozen=True):
    """Whom alarms are passed on to; `area` '' stands for all."""

    id: str
    area: str
    only_firm: bool


class Address(NamedTuple):
    """By which a detector is known to every centre."""

    system: int
    zone: int
    point: int
    component: str
    """Detector id, or gateway/part of smoke that no detector was named for."""
    area: str
    building: str
    """Where it hung when the address was given; '' for nowhere known."""


class Standing(NamedTuple):
    """How it stands with one centre."""

    id: str
    area: str
    since: datetime
    proved_at: datetime | None
    waiting: int
    oldest_s: float
    oldest_fire_s: float


async def register(tx: Tx, centres: Sequence[Centre]) -> None:
    """These are all the centres there are; what ended while one was not among them is left for it."""
    await tx.conn.execute(_SQL["register"], {"rows": rows(centres), "now": tx.now})
    await tx.conn.execute(_SQL["retire"], {"ids": [centre.id for centre in centres]})
    await tx.conn.execute(_SQL["end_what_is_over"], {"now": tx.now})


async def add(tx: Tx, news: Sequence[News]) -> None:
    """Leave news for every centre that is to have it, in order; what is there already is left alone."""
    begins = [one for one in news if one.what in _BEGINS]
    goes_on = [one for one in news if one.what not in _BEGINS]
    for statement, part in (("begin", begins), ("go_on", goes_on)):
        if part:
            await tx.conn.execute(_SQL[statement], {"rows": rows(part), "now": tx.now})
    if news:
        await tx.conn.execute(_SQL["wake"])


async def catch_up(tx: Tx) -> int:
    """Leave news of open alarms that a centre should know of and does not. Returns of how many alarms."""
    conditions = [condition.value for condition in BITS]
    found = await (await tx.conn.execute(_SQL["untold"], {"conditions": conditions})).fetchall()
    news: list[News] = []
    for row in found:
        climbed = bool(row.pop("climbed"))
        news += standing(as_alarm(row), climbed=climbed, now=tx.now)
    await add(tx, news)
    return len(found)


async def waiting(tx: Tx, centre: str, *, urgent: bool, under_way: Collection[int], limit: int) -> list[Row]:
    """What may be sent to a centre now, the oldest first, each with an address."""
    values = {"centre": centre, "urgent": urgent, "under_way": list(under_way), "limit": limit, "now": tx.now}
    found = [_row(row) for row in await (await tx.conn.execute(_SQL["waiting"], values)).fetchall()]
    if any(_lacks_address(row) for row in found):
        await tx.conn.execute(_SQL["hold_addresses"])
        found = [await _addressed(tx, row) if _lacks_address(row) else row for row in found]
    return found


async def give_addresses(tx: Tx) -> None:
    """Give an address to every detector that hangs somewhere and has none."""
    await tx.conn.execute(_SQL["hold_addresses"])
    for row in await (await tx.conn.execute(_SQL["unaddressed"])).fetchall():
        await tx.conn.execute(_SQL["give_address"], {**row, "now": tx.now})


async def addresses(tx: Tx, component: str | None = None) -> list[Address]:
    """The addresses given so far, or that of one component."""
    cursor = await tx.conn.execute(_SQL["addresses"], {"component": component})
    return [Address(**row) for row in await cursor.fetchall()]


async def take_serial(tx: Tx, centre: str) -> int:
    """The serial number of a new packet to a centre."""
    cursor = await tx.conn.execute(_SQL["take_serial"], {"centre": centre})
    return int(one(await cursor.fetchone())["serial"])


async def sending(tx: Tx, row: int, serial: int) -> None:
    """A row goes out under this serial number; committed before it does."""
    await tx.conn.execute(_SQL["sending"], {"id": row, "serial": serial, "now": tx.now})


async def confirmed(tx: Tx, centre: str, ids: Sequence[int]) -> None:
    """The centre has confirmed these rows, or with none of them, anything else of ours."""
    await tx.conn.execute(_SQL["confirmed"], {"ids": list(ids), "now": tx.now})
    await tx.conn.execute(_SQL["proved"], {"centre": centre, "now": tx.now})


async def failed(tx: Tx, row: int) -> None:
    """The centre did not confirm a row, however often it was sent: it waits a while and goes out again."""
    await tx.conn.execute(_SQL["failed"], {"id": row, "now": tx.now})


async def nothing_to_say(tx: Tx, row: int) -> None:
    """A row about a value that nobody measured."""
    await tx.conn.execute(_SQL["nothing_to_say"], {"id": row})


async def fire_stands(tx: Tx, centre: str) -> bool:
    """Whether a fire that a centre was told of is not over."""
    return bool(
        one(await (await tx.conn.execute(_SQL["fire_stands"], {"centre": centre})).fetchone())["stands"]
    )


async def standing_of(tx: Tx, ids: Sequence[str]) -> list[Standing]:
    """How it stands with these centres."""
    cursor = await tx.conn.execute(_SQL["standing_of"], {"ids": list(ids), "now": tx.now})
    return [Standing(**row) for row in await cursor.fetchall()]


def _lacks_address(row: Row) -> bool:
    return row.point is None and row.what is not What.ROLL_CALL


async def _addressed(tx: Tx, row: Row) -> Row:
    values = {
        "component": row.component,
        "area": row.area,
        "building": row.building or "",
        "now": tx.now,
    }
    await tx.conn.execute(_SQL["give_address"], values)
    (given,) = await addresses(tx, row.component)
    return replace(row, system=given.system, zone=given.zone, point=given.point)


def _row(row: dict[str, Any]) -> Row:
    return Row(
        **{
            **row,
            "what": What(row["what"]),
            "condition": Condition(row["condition"]),
            "standing": [Condition(word) for word in row["standing"]],
        }
    )
