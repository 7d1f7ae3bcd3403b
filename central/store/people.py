"""Who has a duty towards a place, and who is named.

Law of this file: it reads; `central.engine.roster` decides who of them is told.

An area that the registry does not know has no dispatcher of its own: then every dispatcher is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from central.engine.policy import CHINA, ONLOOKERS, named
from central.engine.roster import Holder, Leave, Shift, on_duty, present
from central.notifier.plan import Contact, Recipient
from central.store.pool import Tx, ask
from central.store.sql import queries

_sql = queries("people")
_DAY = timedelta(days=1)


class Duty(NamedTuple):
    """A duty towards a grid of an area; without a grid only what is owed to the area."""

    grid: str | None
    area: str
    target: str


class People:
    """Those who may be told of alarms at some places."""

    def __init__(self) -> None:
        self._holders: dict[Duty, dict[tuple[str, int | None], Holder]] = {}
        self._contacts: dict[str, dict[int, Contact]] = {}
        self._away: set[str] = set()
        self._onlookers: set[str] = set()
        self.leaves: list[Leave] = []
        """Who of them is away at some time."""

    def told(self, duty: Duty, at: datetime) -> list[Recipient]:
        """Those who are told at a moment for a duty or a person's name, each with contacts in their order."""
        worker = named(duty.target)
        if worker is None:
            held = [one for one in self.holders(duty) if one.worker not in self._onlookers]
            workers = on_duty(held, self.leaves, self.reachable, at)
        else:
            here = [worker] if worker in self.reachable else []
            workers = present(here, self.leaves, self.reachable, at) or here
        return [
            Recipient(
                one,
                tuple(c for _, c in sorted(self._contacts[one].items())),
                one not in self._onlookers,
            )
            for one in workers
        ]

    def holders(self, duty: Duty) -> list[Holder]:
        """Everybody who has a duty at some time."""
        return list(self._holders.get(duty, {}).values())

    @property
    def duties(self) -> Collection[Duty]:
        """What somebody has."""
        return self._holders.keys()

    @property
    def reachable(self) -> Collection[str]:
        """The workers who are active and have a contact."""
        return self._contacts.keys()

    def take(self, row: Mapping[str, Any]) -> None:
        """One row of the query."""
        worker = row["worker"]
        if row["role"] in ONLOOKERS:
            self._onlookers.add(worker)
        if row["leaves"] and worker not in self._away:
            self._away.add(worker)
            self.leaves += [
                Leave(worker, datetime.fromisoformat(begins), datetime.fromisoformat(ends), substitute)
                for begins, ends, substitute in row["leaves"]
            ]
        if row["rank"] is not None:
            contact = Contact(row["rank"], row["channel"], row["address"])
            self._contacts.setdefault(worker, {})[row["rank"]] = contact
        if row["target"] and named(row["target"]) is None:
            held = self._holders.setdefault(Duty(row["grid"], row["area"], row["target"]), {})
            if (worker, row["shift"]) not in held:
                shift = None if row["shift"] is None else shift_of(row)
                held[worker, row["shift"]] = Holder(worker, shift)


def shift_of(row: Mapping[str, Any]) -> Shift:
    """The shift of a row that has its columns."""
    return Shift(
        row["from_day"],
        row["to_day"],
        frozenset(row["weekdays"]),
        row["begins"],
        row["ends"],
        of_grid=row["of_grid"],
    )


async def learn(
    tx: Tx,
    people: People,
    places: Collection[tuple[str | None, str]],
    workers: Collection[str] = (),
    *,
    span: tuple[datetime, datetime] | None = None,
) -> None:
    """Look up who has a duty towards these (grid, area), and these workers; for now, or for a span."""
    since, until = span or (tx.now, tx.now)
    values = {
        "grids": [grid for grid, _ in places],
        "areas": [area for _, area in places],
        "named": list(workers),
        "since": since,
        "until": until,
        "first_day": since.astimezone(CHINA).date() - _DAY,  # a shift of yesterday may last into today
        "last_day": until.astimezone(CHINA).date(),
    }
    for row in await ask(tx, _sql["holders"], values):
        people.take(row)


async def names(tx: Tx, workers: Collection[str]) -> dict[str, str]:
    """What these workers are called."""
    rows = await (await tx.conn.execute(_sql["names"], {"workers": list(workers)})).fetchall()
    return {row["id"]: row["name"] for row in rows}


async def families(tx: Tx, area: str, household: str, channels: Sequence[str]) -> list[Recipient]:
    """The families of those who live somewhere, by their numbers; each is on record before anything is sent.

    They are told and take nothing. One number is told once.
    """
    values = {"area": area, "household": household, "channels": list(channels)}
    found = await (await tx.conn.execute(_sql["families"], values)).fetchall()
    return [
        Recipient(
            row["worker"],
            tuple(Contact(rank, channel, row["address"]) for rank, channel in enumerate(channels)),
            takes=False,
        )
        for row in found
    ]


async def forget_families(tx: Tx) -> int:
    """Take name and number of families that the registry does not have any more; how many."""
    await tx.conn.execute(_sql["forget_numbers"])
    return (await tx.conn.execute(_sql["forget_names"])).rowcount
