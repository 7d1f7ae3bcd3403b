"""Windows, opened and ended. Law of this file: it checks, saves and notes who did it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from central.engine.window import LONGEST, WindowKind
from central.registry.check import missing
from central.registry.errors import MissingError, Problem, RegistryError
from central.store import audit, gateway_commands, windows
from central.store.pool import Tx
from wire.codec import encode
from wire.messages import Action, Command

MOST_DETECTORS = 200
MOST_WALKED = 64
"""Nobody tries out more in half an hour; and one command names them all."""
WHY_MAX = 200
COMMAND_LASTS = timedelta(seconds=60)
"""A gateway that cannot be told within it is not told any more: somebody opens another walk test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWindow:
    """Detectors that somebody works on, or that are out of service. Times with a zone."""

    kind: str
    """maintenance, out_of_service, walk_test."""
    detectors: tuple[str, ...]
    """By name, of one area."""
    why: str
    ends: datetime
    """Of what is out of service: when it is looked at again."""
    begins: datetime | None = None
    """Null: now."""
    person: str | None = None
    """The worker on site, who is told of smoke at once; maintenance and a walk test need one."""


async def open_window(tx: Tx, new: NewWindow, *, by: str, from_where: str = "") -> int:
    """Its number. Raises RegistryError, MissingError."""
    if problems := [*_faults(new, new.begins or tx.now, tx.now)]:
        raise RegistryError(problems)
    begins = max(new.begins or tx.now, tx.now)
    areas = await windows.areas_of(tx, new.detectors)
    absent = [missing("detectors", "detector", one) for one in new.detectors if one not in areas]
    if absent:
        raise MissingError(absent)
    hung = {area for area in areas.values() if area is not None}
    if len(hung) != 1 or None in areas.values():
        raise RegistryError(
            [
                Problem(
                    "detectors",
                    "they do not all hang in homes of one area",
                    "探测器必须都已安装且在同一街道",
                    "Place them first; open one window for each area.",
                )
            ]
        )
    if new.person is not None and not await windows.reachable(tx, new.person):
        raise RegistryError(
            [
                Problem(
                    "person",
                    f"{new.person} is no worker on duty with a contact",
                    "现场人员未登记、不在岗或没有联系方式",
                    "Name somebody who can be told of smoke at once.",
                )
            ]
        )
    row = {
        "kind": new.kind,
        "area": hung.pop(),
        "begins": begins,
        "ends": new.ends,
        "why": new.why.strip(),
        "person": new.person,
        "by": by,
    }
    number = await windows.add(tx, row, set(new.detectors))
    if new.kind == WindowKind.WALK_TEST:
        await _tell_gateways(tx, new, number, by)
    detail = {"kind": new.kind, "detectors": sorted(set(new.detectors)), "why": new.why.strip()}
    await audit.note(
        tx, who=by, action="open_window", subject=f"window:{number}", from_where=from_where, detail=detail
    )
    return number


async def end_window(tx: Tx, number: int, *, by: str, from_where: str = "") -> None:
    """End it now: what waited for its end is told. Raises MissingError."""
    if not await windows.end(tx, number, by):
        raise MissingError(
            [
                Problem(
                    "id",
                    f"there is no window {number} to end",
                    "没有这个窗口，或已结束",
                    "See `window list`.",
                )
            ]
        )
    await audit.note(tx, who=by, action="end_window", subject=f"window:{number}", from_where=from_where)


async def _tell_gateways(tx: Tx, new: NewWindow, number: int, by: str) -> None:
    """Each gateway is told which of its detectors are tried out; until it is, smoke is smoke."""
    expires_at = tx.now + COMMAND_LASTS
    for gateway, detectors in (await gateway_commands.gateways_of(tx, set(new.detectors))).items():
        command = Command(
            id=uuid.uuid4().hex,
            action=Action.WALK_TEST,
            expires_ms=round(expires_at.timestamp() * 1000),
            window=str(number),
            detectors=detectors,
            lasts_s=(new.ends - tx.now).total_seconds(),
        )
        await gateway_commands.order(
            tx, id_=command.id, gateway=gateway, body=encode(command), by=by, expires_at=expires_at
        )


def _faults(new: NewWindow, begins: datetime, now: datetime) -> Iterator[Problem]:
    if new.kind not in set(WindowKind):
        yield Problem(
            "kind", f"{new.kind[:40]!r} is unknown", "未知的类别", f"One of: {', '.join(WindowKind)}."
        )
        return
    kind = WindowKind(new.kind)
    most = MOST_WALKED if kind is WindowKind.WALK_TEST else MOST_DETECTORS
    if not 1 <= len(set(new.detectors)) <= most:
        yield Problem(
            "detectors",
            f"{len(set(new.detectors))} detectors",
            "探测器数量不对",
            f"Name 1 to {most} of them; a whole line or gateway cannot be meant.",
        )
    if not 1 <= len(new.why.strip()) <= WHY_MAX:
        yield Problem("why", "says nothing or too much", "请写明事由", f"1 to {WHY_MAX} characters.")
    for name, at in (("begins", begins), ("ends", new.ends)):
        if at.tzinfo is None:
            yield Problem(name, f"{at} has no zone", "时间缺少时区", "Write 2026-10-01T08:00+08:00.")
            return
    if not begins < new.ends or new.ends <= now:
        yield Problem(
            "ends", "is over before it begins", "结束时间不对", "Give a time that is still to come."
        )
    elif new.ends - max(begins, now) > LONGEST[kind]:
        hours = LONGEST[kind].total_seconds() / 3600
        yield Problem("ends", "is too far away", "时间太长", f"At most {hours:g} hours; open another then.")
    if kind is WindowKind.WALK_TEST and new.begins is not None:
        yield Problem("begins", "a walk test begins now", "步行测试只能立即开始", "Leave it out.")
    if kind is not WindowKind.OUT_OF_SERVICE and new.person is None:
        yield Problem(
            "person", "is missing", "缺少现场人员", "Say who is on site: they are told of smoke at once."
        )
