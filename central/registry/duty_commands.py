"""What `admin policy`, `admin shift` and `admin leave` do. Law of this file: the rules are beside it."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import msgspec

from central.engine.policy import CHINA
from central.engine.policy_body import MAX_BYTES
from central.registry import policies, rosters
from central.registry.commands import FROM_WHERE, numbered, print_table, say
from central.registry.errors import Problem, RegistryError
from central.registry.policies import Line
from central.registry.rosters import Away, Shift
from central.store import rosters as rows
from central.store.pool import Store

_PAGE = 1000
_WHEN = {
    "at_once": "立即 at once",
    "if_it_fails": "失败时 if it fails",
    "skipped": "无人，跳过 nobody: skipped",
}


async def policy_show(args: argparse.Namespace, store: Store) -> None:
    """What is saved; for a grid or an area what holds there."""
    async with store.transaction() as tx:
        if args.grid is None and args.area is None:
            held = await policies.listed(tx)
        else:
            held = await policies.holding(tx, area=args.area, grid=args.grid)
    if not held and not args.json:
        say("nothing is saved: the built-in holds everywhere (未保存任何策略，全部使用内置策略)")
        return
    if args.json:
        say(json.dumps(msgspec.to_builtins(held), ensure_ascii=False))
        return
    for one in held:
        changed = f"  {one.changed_by} {one.changed_at:%Y-%m-%d %H:%M} UTC" if one.changed_at else ""
        say(f"{one.scope}  {one.severity}{changed}")
        if one.unreadable:
            say(f"  cannot be read (无法读取): {one.unreadable}")
        say(json.dumps(one.policy, ensure_ascii=False, indent=2))


async def policy_set(args: argparse.Namespace, store: Store) -> None:
    """Save a policy from a file."""
    body = _body(args.file)
    async with store.transaction() as tx:
        warnings = await policies.save(
            tx,
            area=args.area,
            grid=args.grid,
            severity=args.severity,
            body=body,
            by=args.by,
            from_where=FROM_WHERE,
        )
    for warning in warnings:
        say(f"! {warning}", sys.stderr)
    say("saved; it holds within 5 s (已保存，5 秒内生效)")


async def policy_drop(args: argparse.Namespace, store: Store) -> None:
    """Take a policy away."""
    async with store.transaction() as tx:
        await policies.drop(
            tx, area=args.area, grid=args.grid, severity=args.severity, by=args.by, from_where=FROM_WHERE
        )
    say("dropped; that of the larger place holds again (已删除，恢复上一级策略)")


async def policy_simulate(args: argparse.Namespace, store: Store) -> None:
    """Who would get what when."""
    at = None if args.at is None else moment("--at", args.at)
    async with store.transaction() as tx:
        found = await policies.simulate(
            tx,
            area=args.area,
            grid=args.grid,
            condition=args.condition,
            at=at,
            body=None if args.file is None else _body(args.file),
        )
    if not args.json:
        say(
            f"{found.condition} ({found.severity}) {found.grid or found.area}"
            f" {found.at.astimezone(CHINA):%Y-%m-%d %H:%M} — policy (策略): {found.policy}"
        )
    head = ("after 时间", "step 步骤", "person 人员", "channel 渠道", "address 地址", "when 方式")
    print_table(args, msgspec.to_builtins(found), head, [_cells(line) for line in found.lines])
    for warning in found.warnings:
        say(f"! {warning}", sys.stderr)


async def shift_add(args: argparse.Namespace, store: Store) -> None:
    """Put a shift on the roster."""
    shift = Shift(
        worker=args.worker,
        duty=args.duty,
        area=args.area,
        grid=args.grid,
        weekdays=_weekdays(args.weekdays),
        begins=_clock("--begins", args.begins),
        ends=_clock("--ends", args.ends),
        from_day=_day("--from-day", args.from_day),
        to_day=None if args.to_day is None else _day("--to-day", args.to_day),
    )
    async with store.transaction() as tx:
        number = await rosters.add_shift(tx, shift, by=args.by, from_where=FROM_WHERE)
    say(f"shift {number}: saved (已保存)")


async def shift_drop(args: argparse.Namespace, store: Store) -> None:
    """Take a shift off the roster."""
    async with store.transaction() as tx:
        await rosters.drop_shift(tx, args.number, by=args.by, from_where=FROM_WHERE)
    say("dropped (已删除)")


async def shift_list(args: argparse.Namespace, store: Store) -> None:
    """The roster."""
    async with store.transaction() as tx:
        found = await numbered(lambda after: rows.shifts(tx, after=after, limit=_PAGE))
    names = ("id", "worker", "duty", "area", "grid", "weekdays", "begins", "ends", "from_day", "to_day")
    lines = [tuple(_plain(row[name]) for name in names) for row in found]
    print_table(args, found, names, lines)


async def leave_add(args: argparse.Namespace, store: Store) -> None:
    """A worker is away."""
    away = Away(
        worker=args.worker,
        begins=moment("--begins", args.begins),
        ends=moment("--ends", args.ends),
        substitute=args.substitute,
    )
    async with store.transaction() as tx:
        number = await rosters.add_leave(tx, away, by=args.by, from_where=FROM_WHERE)
    say(f"leave {number}: saved (已保存)")


async def leave_drop(args: argparse.Namespace, store: Store) -> None:
    """Take leave off again."""
    async with store.transaction() as tx:
        await rosters.drop_leave(tx, args.number, by=args.by, from_where=FROM_WHERE)
    say("dropped (已删除)")


async def leave_list(args: argparse.Namespace, store: Store) -> None:
    """Leave that is not over."""
    async with store.transaction() as tx:
        found = await numbered(lambda after: rows.leaves(tx, after=after, limit=_PAGE))
    names = ("id", "worker", "begins", "ends", "substitute")
    print_table(args, found, names, [tuple(row[name] for name in names) for row in found])


def _plain(cell: Any) -> Any:
    """Weekdays as they are typed, hours without seconds."""
    if isinstance(cell, list):
        return ",".join(map(str, cell))
    return f"{cell:%H:%M}" if isinstance(cell, time) else cell


def _cells(line: Line) -> tuple[Any, ...]:
    hours, rest = divmod(line.after_s, 3600)
    step = f"{line.step} again 重复" if line.repeat else str(line.step)
    person = None if line.worker is None else f"{line.name} ({line.worker})"
    after = f"+{hours}:{rest // 60:02}:{rest % 60:02}"
    return after, step, person, line.channel, line.address, _WHEN[line.when]


def _body(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _wrong(str(path), error.strerror or str(error), "Name a file with a policy as JSON.") from None


def moment(place: str, text: str) -> datetime:
    """What was typed, by China's clock where it has no zone. Raises RegistryError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(place, f"{text!r} is no moment", "Write 2026-10-01T03:00, China's clock.") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=CHINA)


def _clock(place: str, text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise _wrong(place, f"{text!r} is no time of day", "Write HH:MM, China's clock.") from None


def _day(place: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _wrong(place, f"{text!r} is no day", "Write 2026-10-01.") from None


def _weekdays(text: str) -> tuple[int, ...]:
    """`1-5`, `6,7`, `1,3-5`."""
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not (first in set("1234567") and (last or first) in set("1234567")):
            raise _wrong("--weekdays", f"{text[:40]!r}", "1 (Monday) to 7 (Sunday), such as 1-5 or 6,7.")
        days.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(days))


def _wrong(place: str, what: str, mend: str) -> RegistryError:
    return RegistryError([Problem(place, what, "参数不对", mend)])
