"""Which alarms are folded into which. Law of this file: rows; `central.engine.folding` gives them meaning."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from central.engine.model import Alarm, Condition
from central.store.alarms import as_alarm
from central.store.pool import Tx, one
from central.store.sql import queries

_SQL = queries("folds")


class Orphan(NamedTuple):
    """A folded alarm whose parent is over, or which is over itself."""

    alarm: Alarm
    parent_closed_at: datetime | None
    by_person: bool
    """A person closed the parent."""


async def add(tx: Tx, folded: Mapping[int, int]) -> None:
    """These alarms (to their parents) are folded from now on."""
    values = {"alarms": list(folded), "parents": list(folded.values())}
    await tx.conn.execute(_SQL["add"], values)


async def drop(tx: Tx, alarms: Collection[int]) -> None:
    """These are folded no more."""
    await tx.conn.execute(_SQL["drop"], {"alarms": list(alarms)})


async def lock_orphans(tx: Tx, limit: int) -> list[Orphan]:
    """Folded alarms whose parent is closed or which are closed themselves, held."""
    rows = await (await tx.conn.execute(_SQL["lock_orphans"], {"limit": limit})).fetchall()
    found = []
    for row in rows:
        closed_at, closed_by = row.pop("parent_closed_at"), row.pop("parent_closed_by")
        found.append(Orphan(as_alarm(row), closed_at, closed_by not in (None, "system")))
    return found


async def lock_children_to_be(tx: Tx, area: str, since: datetime) -> list[Alarm]:
    """Open, untaken, unfolded alarms of silent gateways of an area since a moment, held."""
    values = {"area": area, "since": since, "condition": Condition.GATEWAY_SILENT.value}
    rows = await (await tx.conn.execute(_SQL["lock_children_to_be"], values)).fetchall()
    return [as_alarm(row) for row in rows]


async def lock_parents(tx: Tx) -> list[Alarm]:
    """Open incidents of whole areas, and of what was found to come and go, held."""
    return [as_alarm(row) for row in await (await tx.conn.execute(_SQL["lock_parents"])).fetchall()]


async def last_change(tx: Tx, gateway: str, part: str, conditions: Collection[Condition]) -> datetime | None:
    """When an alarm of these conditions of a part last opened or closed."""
    values = {"gateway": gateway, "part": part, "conditions": [one.value for one in conditions]}
    row = one(await (await tx.conn.execute(_SQL["last_change"], values)).fetchone())
    at: datetime | None = row["at"]
    return at


async def ended(
    tx: Tx, asked: Sequence[tuple[str | None, str, Condition]], since: datetime
) -> dict[tuple[str | None, str, Condition], int]:
    """How many alarms of these gateways, parts and conditions closed since a moment; none is not there."""
    values = {
        "gateways": [gateway or "" for gateway, _, _ in asked],
        "parts": [part for _, part, _ in asked],
        "conditions": [condition.value for _, _, condition in asked],
        "since": since,
    }
    rows = await (await tx.conn.execute(_SQL["ended"], values)).fetchall()
    return {asked[row["n"] - 1]: int(row["ended"]) for row in rows}


async def life_behind(tx: Tx, gateways: Collection[str]) -> set[str]:
    """Those behind which smoke or heat is not closed."""
    rows = await (await tx.conn.execute(_SQL["life_behind"], {"gateways": list(gateways)})).fetchall()
    return {row["gateway"] for row in rows}


async def standing(tx: Tx, parent: int) -> int:
    """How many of the alarms that are folded into one still stand."""
    row = one(await (await tx.conn.execute(_SQL["standing"], {"parent": parent})).fetchone())
    return int(row["standing"])
