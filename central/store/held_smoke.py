"""Smoke that is taken for a walk test's, and until when.

Law of this file: a row each; whoever takes one out must say what it is.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from central.engine.model import Condition
from central.engine.walk_test import REAL_AFTER
from central.store.pool import Tx
from central.store.sources import Source
from central.store.sql import queries

_SQL = queries("held_smoke")


class HeldSmoke(Struct, frozen=True):
    """Smoke or heat of one source that is a test until `due_at`."""

    gateway: str
    part: str
    condition: Condition
    window: int
    area: str
    """Whose gateway told of it."""
    event: int
    event_at: datetime
    due_at: datetime

    @property
    def source(self) -> Source:
        """Who said it, and of what."""
        return Source(self.gateway, self.part, self.condition)


async def keep(tx: Tx, one: HeldSmoke) -> None:
    """From now on it is a test; where it is one already, the older stays."""
    values = {name: getattr(one, name) for name in one.__struct_fields__}
    await tx.conn.execute(_SQL["keep"], {**values, "condition": one.condition.value})


async def standing(tx: Tx, source: Source) -> bool:
    """Whether smoke of a source is a test now; its row is held."""
    return await (await tx.conn.execute(_SQL["standing"], _of(source))).fetchone() is not None


async def take(tx: Tx, source: Source) -> HeldSmoke | None:
    """The test smoke of a source, which is none any more."""
    found = await _fetch(tx, "take", **_of(source))
    return found[0] if found else None


async def take_of(tx: Tx, gateway: str, part: str | None) -> list[HeldSmoke]:
    """That of a detector, or of all behind a gateway, which is none any more."""
    return await _fetch(tx, "take_of", gateway=gateway, part=part)


async def take_due(tx: Tx, limit: int) -> list[HeldSmoke]:
    """What has been a test for long enough; rows that others hold are passed over."""
    return await _fetch(tx, "take_due", now=tx.now, limit=limit, longest=REAL_AFTER)


async def due_now(tx: Tx, window: int) -> None:
    """A walk test is ended: what is still there is looked at now."""
    await tx.conn.execute(_SQL["due_now"], {"window": window, "now": tx.now})


def _of(source: Source) -> dict[str, str]:
    return {"gateway": source.gateway, "part": source.part, "condition": source.condition.value}


async def _fetch(tx: Tx, statement: str, **values: Any) -> list[HeldSmoke]:
    rows = await (await tx.conn.execute(_SQL[statement], values)).fetchall()
    return [HeldSmoke(**{**row, "condition": Condition(row["condition"])}) for row in rows]
