"""Policies: kept, and played through before they are kept.

Law of this file: what is saved reaches somebody in every grid that has homes, for smoke and heat also by its
last step, which is repeated. The rules of a policy on its own are `central.engine.policy_body`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from central.engine.book import Book, Key, names_of, scope
from central.engine.model import Condition, Severity
from central.engine.policy import SEVERITY, Policy, policy_for
from central.engine.policy_body import PolicyError, read, write
from central.engine.rehearse import Told, rehearse
from central.notifier.plan import Notice, Planned, Recipient, fall_back, plan
from central.registry.check import missing
from central.registry.errors import MissingError, Problem, RegistryError
from central.store import audit, people, policies
from central.store import registry as rows
from central.store.people import Duty, People
from central.store.policies import Homes
from central.store.pool import Tx

BUILT_IN = "built-in"
GIVEN = "given"
PLACES_TOLD = 10
"""Of so many places a refusal speaks; the mend is the same for the rest."""
_EXAMPLE = {
    Severity.LIFE: Condition.SMOKE,
    Severity.UNWATCHED: Condition.GATEWAY_SILENT,
    Severity.CARE: Condition.LOW_BATTERY,
    Severity.NOTE: Condition.TEST,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One message that would be sent, or one step that would reach nobody (then without a person)."""

    after_s: int
    """Seconds after the alarm."""
    step: int
    """From 1."""
    repeat: bool
    worker: str | None
    name: str | None
    channel: str | None
    address: str | None
    """Masked."""
    when: str
    """at_once; if_it_fails (the channels before it); skipped (nobody can be told)."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """Who would get what when, if nobody answered; to the first repeat of the last step."""

    condition: str
    severity: str
    area: str
    grid: str | None
    at: datetime
    policy: str
    """Whose it is: grid:<id>, area:<id>, everywhere, built-in, or given."""
    lines: list[Line]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Held:
    """A policy on record, or one that holds at a place."""

    scope: str
    severity: str
    policy: Any
    changed_at: datetime | None = None
    changed_by: str | None = None
    unreadable: str | None = None
    """What is wrong with it; then it is passed over."""


async def listed(tx: Tx) -> list[Held]:
    """All policies on record."""
    found = await policies.on_record(tx)
    wrong = _book(found).unreadable
    return [
        Held(
            row["scope"],
            row["severity"],
            row["body"],
            row["changed_at"],
            row["changed_by"],
            wrong.get((row["scope"], Severity(row["severity"]))),
        )
        for row in found
    ]


async def holding(tx: Tx, *, area: str | None, grid: str | None) -> list[Held]:
    """What holds at a place for each severity that calls anybody. Raises MissingError."""
    place = await _place(tx, area, grid)
    book = _book(await policies.on_record(tx))
    held = []
    for severity in (Severity.LIFE, Severity.UNWATCHED, Severity.CARE):
        of, policy = book.holds(severity, place.area, place.grid) or (
            BUILT_IN,
            policy_for(_EXAMPLE[severity]),
        )
        held.append(Held(of, severity.value, write(policy)))
    return held


async def save(
    tx: Tx,
    *,
    area: str | None,
    grid: str | None,
    severity: str,
    body: Any,
    by: str,
    from_where: str = "",
) -> list[str]:
    """Keep a policy for a grid, an area or everywhere; returns what is worth a second look.

    Raises RegistryError with everything that is wrong, also when it would reach nobody.
    """
    key = _key(area, grid, severity)
    policy = _read(body, key[1])
    names = sorted(names_of(policy))
    if absent := [
        missing("tell", "worker", name) for name in names if not await rows.known(tx, "worker", name)
    ]:
        raise MissingError(absent)
    places = await policies.places(tx, area=area, grid=grid)
    if not places:
        raise MissingError([_no_place(area, grid)])
    first = places[0]
    empty = _of_homes(places)
    if key[1] is Severity.LIFE and grid is None:  # smoke whose address is unknown is of the area alone
        places += [Homes(one, None, 1) for one in dict.fromkeys(place.area for place in places)]
    known = People()
    await people.learn(tx, known, [(one.grid, one.area) for one in places], names_of(policy))
    unreached = [one for one in places if not _reaches(policy, key[1], known, one, tx.now)]
    if bad := [one for one in unreached if one.homes] or (unreached if len(unreached) == len(places) else []):
        raise RegistryError([_nobody(one, key[1]) for one in bad[:PLACES_TOLD]])
    await policies.save(tx, key, write(policy), by)
    await _note(tx, "save_policy", key, by, from_where, {"policy": write(policy)})
    return [*empty, *_of_names(policy, known, first, tx.now)]


async def drop(
    tx: Tx, *, area: str | None, grid: str | None, severity: str, by: str, from_where: str = ""
) -> None:
    """What holds for the larger place, or is built in, holds again. Raises MissingError."""
    key = _key(area, grid, severity)
    if not await policies.drop(tx, key):
        raise MissingError(
            [
                Problem(
                    "severity", f"{key[0]} has no policy for {severity}", "没有这条策略", "See `policy show`."
                )
            ]
        )
    await _note(tx, "drop_policy", key, by, from_where, {})


async def simulate(
    tx: Tx,
    *,
    area: str | None,
    grid: str | None,
    condition: str,
    at: datetime | None = None,
    body: Any = None,
) -> Simulation:
    """Play an alarm through that nobody takes: by the policy that holds, or by the one given.

    Raises RegistryError when the policy is wrong, MissingError when there is no such place.
    """
    if condition not in set(Condition):
        raise RegistryError(
            [
                Problem(
                    "condition",
                    f"{condition[:40]!r} is unknown",
                    "未知的报警类型",
                    f"One of: {', '.join(Condition)}.",
                )
            ]
        )
    told = Condition(condition)
    severity = SEVERITY[told]
    place = await _place(tx, area, grid)
    at = _moment(tx.now if at is None else at)
    if body is not None:
        of, policy = GIVEN, _read(body, severity)
    else:
        book = _book(await policies.on_record(tx))
        of, policy = book.holds(severity, place.area, place.grid) or (BUILT_IN, policy_for(told))
    known = People()
    await people.learn(
        tx, known, [(place.grid, place.area)], names_of(policy), span=(at, at + _longest(policy))
    )
    steps = rehearse(
        policy,
        told,
        at,
        lambda target, now: [one.worker for one in _told(known, place, target, now) if one.takes],
    )
    by_duty = {worker for one in steps for worker in one.workers}
    named = await people.names(tx, sorted(by_duty | names_of(policy)))
    lines = [line for one in steps for line in _lines(one, policy, known, place, at, named)]
    warnings = [
        *_of_homes([place]),
        *_of_steps(steps, policy, severity),
        *_of_names(policy, known, place, at),
    ]
    return Simulation(condition, severity.value, place.area, place.grid, at, of, lines, warnings)


def masked(address: str) -> str:
    """Enough of an address to know it again: 138****5678, w***@example.org."""
    name, at, host = address.rpartition("@")
    if at:
        return f"{name[:1]}***@{host}"
    if len(address) >= 11:
        return f"{address[:3]}****{address[-4:]}"
    return f"{address[:1]}***"


def _lines(
    told: Told, policy: Policy, known: People, place: Homes, at: datetime, named: dict[str, str]
) -> Iterator[Line]:
    count = len(policy.steps)
    line = Line(
        after_s=round((told.at - at).total_seconds()),
        step=min(told.step, count - 1) + 1,
        repeat=told.step >= count,
        worker=None,
        name=None,
        channel=None,
        address=None,
        when="skipped",
    )
    if not told.workers:
        yield line
    parallel = policy.at(told.step).parallel
    people_of = {one.worker: one for target in told.targets for one in _told(known, place, target, told.at)}
    notice = Notice(alarm=0, purpose="alarm", round=1, step=told.step, urgent=True)
    for one in plan(notice, list(people_of.values()), parallel=parallel):
        yield _line(line, one, named, "at_once")
        after: Planned | None = one
        while not parallel and after is not None:
            after = fall_back(after, people_of[one.worker].contacts)
            if after is not None:
                yield _line(line, after, named, "if_it_fails")


def _line(line: Line, message: Planned, named: dict[str, str], when: str) -> Line:
    return replace(
        line,
        worker=message.worker,
        name=named.get(message.worker, message.worker),
        channel=message.channel,
        address=masked(message.address),
        when=when,
    )


def _told(known: People, place: Homes, target: str, at: datetime) -> list[Recipient]:
    return known.told(Duty(place.grid, place.area, target), at)


def _reaches(policy: Policy, severity: Severity, known: People, place: Homes, at: datetime) -> bool:
    steps = policy.steps[-1:] if severity is Severity.LIFE else policy.steps
    return any(
        one.takes for step in steps for target in step.targets for one in _told(known, place, target, at)
    )


def _of_homes(places: Sequence[Homes]) -> list[str]:
    empty = [one.grid or one.area for one in places if not one.homes]
    if not empty:
        return []
    more = f" (+{len(empty) - PLACES_TOLD})" if len(empty) > PLACES_TOLD else ""
    return [f"没有登记住户 / no homes are registered: {', '.join(empty[:PLACES_TOLD])}{more}"]


def _of_steps(steps: Sequence[Told], policy: Policy, severity: Severity) -> Iterator[str]:
    if not policy.steps:
        yield "此类报警不通知任何人 / nobody is called for this condition"
    elif not any(one.workers for one in steps):
        yield "无人可通知 / nobody can be told: register workers with contacts for this grid"
    for one in steps:
        if not one.workers and one.step < len(policy.steps):
            yield (
                f"第 {one.step + 1} 步无人可通知，将立即跳过 / step {one.step + 1} reaches nobody and is"
                f" skipped at once: {', '.join(one.targets)}"
            )
    last = [one for one in steps if one.step >= len(policy.steps) - 1]
    if severity is Severity.LIFE and last and not last[-1].workers:
        yield "最后一步（重复执行）无人可通知 / the last step, which is repeated, reaches nobody"


def _of_names(policy: Policy, known: People, place: Homes, at: datetime) -> Iterator[str]:
    for name in sorted(names_of(policy)):
        if not _told(known, place, f"worker:{name}", at):
            yield f"无法通知 {name} / {name} cannot be reached: not active, or no contact"


def _longest(policy: Policy) -> timedelta:
    last = policy.steps[-1].delay if policy.steps else timedelta()
    # Each step may be put off to the end of quiet hours.
    return last + (policy.repeat or timedelta()) + timedelta(days=len(policy.steps) + 1)


def _read(body: Any, severity: Severity) -> Policy:
    try:
        return read(body, severity)
    except PolicyError as error:
        raise RegistryError([Problem(*fault) for fault in error.faults]) from None


def _key(area: str | None, grid: str | None, severity: str) -> Key:
    if area is not None and grid is not None:
        raise RegistryError(
            [
                Problem(
                    "area",
                    "is given beside a grid",
                    "街道与网格只能填一个",
                    "Give one of them, or neither for everywhere.",
                )
            ]
        )
    if severity not in set(Severity):
        raise RegistryError(
            [
                Problem(
                    "severity",
                    f"{severity[:40]!r} is unknown",
                    "未知的级别",
                    "One of: life, unwatched, care.",
                )
            ]
        )
    return scope(area, grid), Severity(severity)


async def _place(tx: Tx, area: str | None, grid: str | None) -> Homes:
    """The grid, or the area itself."""
    if area is None and grid is None:
        raise RegistryError([Problem("grid", "is missing", "缺少网格", "Name a grid, or an area.")])
    places = await policies.places(tx, area=None if grid is not None else area, grid=grid)
    if not places:
        raise MissingError([_no_place(area, grid)])
    return places[0] if grid is not None else Homes(places[0].area, None, sum(one.homes for one in places))


def _moment(at: datetime) -> datetime:
    if at.tzinfo is None or not 1990 <= at.year <= 2200:
        raise RegistryError(
            [
                Problem(
                    "at",
                    f"{at.isoformat()} has no zone, or lies too far",
                    "时间不对",
                    "Such as 2026-10-01T03:00:00+08:00.",
                )
            ]
        )
    return at


def _no_place(area: str | None, grid: str | None) -> Problem:
    if grid is not None:
        return missing("grid", "grid", grid)
    if area is not None:
        return missing("area", "area", area)
    return Problem("", "no area is registered", "尚未登记街道", "Import the registry first.")


def _nobody(place: Homes, severity: Severity) -> Problem:
    where = f"grid {place.grid}" if place.grid is not None else f"area {place.area}"
    which = "its last step reaches" if severity is Severity.LIFE else "it reaches"
    return Problem(
        "steps",
        f"{which} nobody in {where}",
        f"{place.grid or place.area}：无人可通知",
        "Name a duty that somebody active with a contact has there (dispatcher), or register one.",
    )


def _book(found: Sequence[Any]) -> Book:
    return Book({(row["scope"], Severity(row["severity"])): row["body"] for row in found})


async def _note(tx: Tx, action: str, key: Key, by: str, from_where: str, detail: dict[str, Any]) -> None:
    subject = f"policy:{key[0]}:{key[1].value}"
    await audit.note(tx, who=by, action=action, subject=subject, from_where=from_where, detail=detail)
