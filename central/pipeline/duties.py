"""Once a day for each area, as one alarm: uncovered hours, people and channels that cannot be used.

Law of this file: it decides nothing. The alarm follows what is found and ends with it; while there is any it
is told anew each day, and whoever closes it is left in peace until the next. A policy that cannot be read is
an alarm at once, and ends when it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import msgspec
from msgspec import Struct

from central.engine.book import Key
from central.engine.model import Condition, Reason
from central.engine.policy import CHINA
from central.engine.roster import uncovered
from central.pipeline.own import end_own, raise_own
from central.pipeline.work import Work, together
from central.store import jobs, people, policies, rosters
from central.store.people import People
from central.store.pool import Tx

BEGINS = timedelta(hours=8)
"""After midnight: when those who can mend it are at work."""
AHEAD = timedelta(hours=48)
_TOLD = 10
_WHY = {
    "no_contact": "没有联系方式 / has no contact",
    "last_failed": "最近的消息均未送达 / none of the last messages arrived",
}


class Gap(Struct, frozen=True):
    """Hours in which nobody whom a roster names (or who has the duty at all) is there."""

    duty: str
    grids: list[str]
    """Empty: of the area as a whole."""
    begins: str
    """By China's clock, as ISO 8601."""
    ends: str


class Unreachable(Struct, frozen=True):
    """Somebody who is called in vain."""

    worker: str
    name: str
    role: str
    why: str
    """no_contact, or last_failed: none of their last messages was handed over."""


class Failing(Struct, frozen=True):
    """A channel by which most of the last day's tries failed."""

    channel: str
    tries: int
    failed: int
    why: str
    """Of the last one that failed."""


class Report(Struct, frozen=True):
    """What was found."""

    gaps: list[Gap]
    unreachable: list[Unreachable]
    channels: list[Failing] = []


async def look_ahead(tx: Tx) -> bool:
    """Look at one area that was not looked at today; False when there is none."""
    today = (tx.now - BEGINS).astimezone(CHINA).date()
    area = await rosters.to_look_at(tx, today)
    if area is None:
        return False
    found = [
        Unreachable(row["id"], row["name"], row["role"], "no_contact" if row["no_contact"] else "last_failed")
        for row in await rosters.unreachable(tx, area)
    ]
    channels = [
        Failing(row["channel"], row["tries"], row["failed"], row["why"] or "")
        for row in await rosters.failing_channels(tx, area)
    ]
    report = Report(await _gaps(tx, area), found, channels)
    await together(tx, partial(_tell, area=area, report=report))
    await rosters.keep_report(tx, area, today, msgspec.to_builtins(report))
    return True


async def judge_policies(tx: Tx) -> int:
    """Open an alarm for each policy that cannot be read, close that of each other one. Returns how many."""
    book = await policies.book(tx)
    alarmed = await policies.alarmed(tx)
    if not book.unreadable and not alarmed:
        return 0
    wrong = {
        f"policy:{key[0]}:{key[1].value}:{area}": (key, area)
        for key in book.unreadable
        for area in await _areas(tx, key)
    }
    new = {part: of for part, of in wrong.items() if part not in alarmed}
    over = alarmed - wrong.keys()
    if new or over:
        await together(tx, partial(_judge_policies, new=new, over=sorted(over), why=book.unreadable))
    return len(new) + len(over)


async def _gaps(tx: Tx, area: str) -> list[Gap]:
    places = await policies.places(tx, area=area)
    until = tx.now + AHEAD
    known = People()
    of = [(None, area), *((one.grid, area) for one in places if one.grid is not None)]
    await people.learn(tx, known, of, span=(tx.now, until))
    grids: dict[tuple[str, str, str], list[str]] = {}
    for duty in known.duties:
        for begin, end in uncovered(known.holders(duty), known.leaves, known.reachable, tx.now, until):
            hours = (
                begin.astimezone(CHINA).isoformat("T", "minutes"),
                end.astimezone(CHINA).isoformat("T", "minutes"),
            )
            held = grids.setdefault((duty.target, *hours), [])
            if duty.grid is not None:
                held.append(duty.grid)
    return [Gap(duty, sorted(of), begins, ends) for (duty, begins, ends), of in sorted(grids.items())]


async def _tell(work: Work, area: str, report: Report) -> None:
    part = f"duty:{area}"
    well = not report.gaps and not report.unreachable and not report.channels
    reason = Reason.ROSTER_WELL if well else Reason.TOLD_ANEW
    await end_own(work, condition=Condition.SYSTEM, gateway=None, part=part, reason=reason)
    if well:
        return
    await raise_own(
        work,
        condition=Condition.SYSTEM,
        gateway=None,
        part=part,
        area=area,
        reason=Reason.ROSTER_WANTING,
        detail={"text": "\n".join(_text(report)), **msgspec.to_builtins(report)},
    )


def _text(report: Report) -> Sequence[str]:
    gaps = [
        f"{one.duty}（{', '.join(one.grids[:_TOLD]) or '全街道'}）{one.begins} 至 {one.ends}"
        " 无人值班 / nobody covers it"
        for one in report.gaps
    ]
    lost = [f"{one.name}（{one.worker}）{_WHY[one.why]}" for one in report.unreachable]
    failing = [
        f"渠道 {one.channel} 过去一天 {one.tries} 次发送失败 {one.failed} 次"
        f" / {one.failed} of {one.tries} tries by this channel failed: {one.why}"
        for one in report.channels
    ]
    return [*_cut(gaps), *_cut(lost), *_cut(failing)]


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _TOLD else [*lines[:_TOLD], f"…… (+{len(lines) - _TOLD})"]


async def _areas(tx: Tx, key: Key) -> list[str]:
    """Whose people are told of a policy that cannot be read."""
    kind, _, name = key[0].partition(":")
    if kind == "area":
        return [name]
    if kind == "grid":
        return [one.area for one in await policies.places(tx, grid=name)]
    return await jobs.areas(tx)


async def _judge_policies(
    work: Work, new: dict[str, tuple[Key, str]], over: Sequence[str], why: dict[Key, str]
) -> None:
    for part, (key, area) in new.items():
        await raise_own(
            work,
            condition=Condition.SYSTEM,
            gateway=None,
            part=part,
            area=area,
            reason=Reason.POLICY_UNREADABLE,
            detail={
                "text": f"通知策略 {key[0]} {key[1].value} 无法读取，已改用上一级策略 / this policy cannot be"
                f" read, that of the larger place holds: {why[key][:300]}. Save it again: `admin policy set`",
            },
        )
    for part in over:
        reason = Reason.POLICY_READABLE
        await end_own(work, condition=Condition.SYSTEM, gateway=None, part=part, reason=reason)
