"""Messages to people and every try to hand one over. Law of this file: a row for each, no rules.

A claim ends at `claimed_until`; after that the claimer is taken for dead and the message is tried again
with the same key. What was sent stays sent, whoever says so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from central.notifier.channel import Pace
from central.notifier.plan import Contact, Planned
from central.notifier.retry import longest_wait
from central.store.pool import Tx, notify, one
from central.store.rows import rows
from central.store.savepoint import in_one_go
from central.store.sql import queries

OutcomeWord = Literal["temporary", "permanent", "rate_limited"]
CLOSED = "the alarm is closed"
"""Why a message was called off."""
FOLDED = "another alarm stands for this one"
"""Or this."""
LONGEST_WAIT = {urgent: longest_wait(urgent=urgent) + timedelta(seconds=10) for urgent in (True, False)}
_SQL = queries("deliveries")


@dataclass(frozen=True, slots=True)
class Standing:
    """How the alarm of a message stands now."""

    alarm_state: str
    alarm_round: int
    acknowledged: bool
    disposed: bool
    offered_to: str | None = None
    """Who is asked to take it over."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message that is ours to send until `until`, and its try number `number` (from 1)."""

    id: int
    planned: Planned
    number: int
    made_at: datetime
    until: datetime
    language: str
    role: str
    """Of the worker: who may see residents depends on it."""
    worker_active: bool
    standing: Standing


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be sent."""

    waiting: int
    urgent: int
    overdue: int
    """Due for more than 30 s, and nobody is at it."""
    oldest_s: float


async def enqueue(tx: Tx, planned: Sequence[Planned]) -> int:
    """Plan messages for now; a key that is there already is left alone. Returns how many are new."""
    if not planned:
        return 0
    cursor = await tx.conn.execute(_SQL["enqueue"], {"rows": rows(planned), "now": tx.now})
    await notify(tx, "delivery")
    return cursor.rowcount


async def call_off(tx: Tx, alarms: Collection[int], reason: str = CLOSED) -> None:
    """What waits of these alarms, which are closed or folded, need not be sent any more."""
    await tx.conn.execute(_SQL["call_off"], {"alarms": list(alarms), "reason": reason})


async def claim(
    tx: Tx,
    channel: str | None,
    *,
    known: Sequence[str],
    urgent: bool,
    people: int,
    limit: int,
    hold: timedelta,
    pace: Pace,
    longest: timedelta | None = None,
    merges: bool = True,
) -> list[Claimed]:
    """Take up to `limit` due messages of a channel (None: of all not `known`), note the tries.

    Nobody else gets them for `hold`. Committing this before sending is what makes a dead worker visible.
    Where the channel `merges`, an address that bears no more at its `pace` is left alone. Nothing is put off
    for longer than `longest` (or the pace) for want of room.
    """
    until = tx.now + hold
    values = {
        "channel": channel,
        "known": list(known),
        "urgent": urgent,
        "people": people,
        "limit": limit,
        "now": tx.now,
        "until": until,
        "longest_wait": LONGEST_WAIT[urgent],
        "pause": (longest or pace.every) + timedelta(seconds=1),
        "every_s": pace.every.total_seconds(),
        "merges": merges,
    }
    async with in_one_go(tx):
        await tx.conn.execute(_SQL["as_written"])
        cursor = await tx.conn.execute(_SQL["claim"], values)
    taken = await cursor.fetchall()
    return [_claimed(row, until) for row in taken]


async def standing(tx: Tx, claimed: Claimed) -> tuple[bool, Standing]:
    """Lock the message; whether this try is still the last one, and how its alarm stands now."""
    row = one(await (await tx.conn.execute(_SQL["lock"], {"delivery": claimed.id})).fetchone())
    ours = row["state"] == "sending" and row["attempts"] == claimed.number
    return ours, _standing(row)


async def put_back(tx: Tx, claimed: Sequence[Claimed], due_at: datetime) -> None:
    """In the transaction that claimed them: these wait until `due_at`, and no try was made."""
    values = {"state": "pending", "reason": "", "due_at": due_at}
    await tx.conn.execute(_SQL["untried"], {**_tries(claimed), **values})


async def give_up(tx: Tx, claimed: Sequence[Claimed], reason: str) -> None:
    """In the transaction that claimed them: nobody needs these, for this reason, and no try was made."""
    values = {"state": "cancelled", "reason": reason, "due_at": None}
    await tx.conn.execute(_SQL["untried"], {**_tries(claimed), **values})


async def sent(
    tx: Tx, claimed: Sequence[Claimed], provider_id: str | None, receipt_due_at: datetime | None = None
) -> None:
    """The provider has taken the message: this ends them all, also when a claim had run out.

    By `receipt_due_at` it must have told that somebody has it; None: that is not waited for.
    """
    values = {"now": tx.now, "provider_id": provider_id, "receipt_due_at": receipt_due_at}
    await tx.conn.execute(_SQL["sent"], {**_tries(claimed), **values})


def _tries(claimed: Sequence[Claimed]) -> dict[str, list[int]]:
    ours = sorted(claimed, key=lambda one: one.id)
    return {"deliveries": [one.id for one in ours], "numbers": [one.number for one in ours]}


async def end_attempt(tx: Tx, claimed: Claimed, outcome: OutcomeWord, error: str) -> None:
    """Say how this try failed."""
    await tx.conn.execute(
        _SQL["end_attempt"],
        {
            "delivery": claimed.id,
            "number": claimed.number,
            "now": tx.now,
            "outcome": outcome,
            "error": error,
        },
    )


async def mark(
    tx: Tx,
    claimed: Claimed,
    state: Literal["pending", "failed", "cancelled"],
    *,
    reason: str = "",
    due_at: datetime | None = None,
) -> None:
    """Where the message stands when it was not sent; `due_at` is when a pending one is tried again."""
    await tx.conn.execute(
        _SQL["mark"],
        {"delivery": claimed.id, "state": state, "reason": reason, "due_at": due_at},
    )


async def contacts(tx: Tx, workers: Collection[str]) -> dict[str, tuple[Contact, ...]]:
    """All ways to reach people, first things first; who is not on duty any more is not in the answer."""
    found: dict[str, tuple[Contact, ...]] = {}
    for row in await (await tx.conn.execute(_SQL["contacts"], {"workers": list(workers)})).fetchall():
        worker = row.pop("worker")
        found[worker] = (*found.get(worker, ()), Contact(**row))
    return found


async def of_alarm(tx: Tx, alarm: int) -> list[dict[str, Any]]:
    """Every message of an alarm with its person's name and last error, in the order they were planned."""
    return await (await tx.conn.execute(_SQL["of_alarm"], {"alarm": alarm})).fetchall()


async def attempts(tx: Tx, delivery: int) -> list[dict[str, Any]]:
    """Every try of a message, in order."""
    return await (await tx.conn.execute(_SQL["attempts"], {"delivery": delivery})).fetchall()


async def backlog(tx: Tx) -> Backlog:
    """What is due and not yet handed over."""
    row = one(await (await tx.conn.execute(_SQL["backlog"], {"now": tx.now})).fetchone())
    return Backlog(**row)


async def open_by_severity(tx: Tx) -> dict[str, int]:
    """How many alarms are not closed, for each severity."""
    found = await (await tx.conn.execute(_SQL["open_by_severity"])).fetchall()
    return {row["severity"]: row["n"] for row in found}


def planned_of(row: dict[str, Any]) -> Planned:
    """The message of a row that has its columns."""
    return Planned(**{name: row[name] for name in Planned.__struct_fields__})


def _standing(row: dict[str, Any]) -> Standing:
    return Standing(
        row["alarm_state"], row["alarm_round"], row["acknowledged"], row["disposed"], row["offered_to"]
    )


def _claimed(row: dict[str, Any], until: datetime) -> Claimed:
    return Claimed(
        id=row["id"],
        planned=planned_of(row),
        number=row["number"],
        made_at=row["made_at"],
        until=until,
        language=row["language"],
        role=row["role"],
        worker_active=row["worker_active"],
        standing=_standing(row),
    )
