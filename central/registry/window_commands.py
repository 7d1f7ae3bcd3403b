"""What `admin window` does. Law of this file: the rules are in `windows`."""

from __future__ import annotations

import argparse
from typing import Any

from central.engine.policy import CHINA
from central.registry import windows
from central.registry.commands import FROM_WHERE, numbered, print_table, say
from central.registry.duty_commands import moment
from central.registry.windows import NewWindow
from central.store import windows as rows
from central.store.pool import Store

_PAGE = 1000


async def window_open(args: argparse.Namespace, store: Store) -> None:
    """Say that detectors are worked on or out of service."""
    new = NewWindow(
        kind=args.kind,
        detectors=tuple(args.detector),
        why=args.why,
        begins=None if args.begins is None else moment("--begins", args.begins),
        ends=moment("--ends", args.ends),
        person=args.person,
    )
    async with store.transaction() as tx:
        number = await windows.open_window(tx, new, by=args.by, from_where=FROM_WHERE)
    say(f"window {number}: open; smoke and heat are told as ever (已登记；火警照常通知)")


async def window_end(args: argparse.Namespace, store: Store) -> None:
    """End it before its time: what waited is told."""
    async with store.transaction() as tx:
        await windows.end_window(tx, args.number, by=args.by, from_where=FROM_WHERE)
    say("ended (已结束)")


async def window_list(args: argparse.Namespace, store: Store) -> None:
    """Windows that are not over; what is out of service stays listed until it is ended."""
    async with store.transaction() as tx:
        found = await numbered(lambda after: rows.listed(tx, past=args.past, after=after, limit=_PAGE))
    head = (
        "id",
        "kind 类别",
        "from 起",
        "to 至",
        "person 现场",
        "detectors 探测器",
        "why 事由",
        "state 状态",
    )
    print_table(args, found, head, [_cells(row) for row in found])


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    span = (f"{row[name].astimezone(CHINA):%Y-%m-%d %H:%M}" for name in ("begins", "ends"))
    if row["overdue"]:
        state = "look again 待复查"
    else:
        state = "ended 已结束" if row["ended_at"] else "open 进行中" if row["open"] else ""
    return row["id"], row["kind"], *span, row["person"], " ".join(row["detectors"]), row["why"], state
