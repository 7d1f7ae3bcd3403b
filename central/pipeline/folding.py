"""One fault, one message: what stands for what, and what becomes of it when that is over.

Law of this file: it asks the rows what `central.engine.folding` needs to know, and withholds messages, never
state. Smoke, heat and tests never come here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from central.engine import folding
from central.engine.effects import DueKind
from central.engine.folding import Fold
from central.engine.model import Alarm, AlarmState, Condition, Reason
from central.pipeline.own import end_own, note_fold, raise_own
from central.pipeline.work import Work, together
from central.store import deliveries, folds, leases
from central.store.alarms import Line
from central.store.due import DueRow
from central.store.leases import Silent
from central.store.pool import Tx
from central.store.sources import Place

_HOMES_KEPT = 200
"""An incident of a whole area names so many homes and counts the others."""
_AT_ONCE = 1000


async def fold_of(
    work: Work, condition: Condition, gateway: str, part: str, place: Place | None, area: str
) -> Fold | None:
    """How a new alarm of a part of a gateway is folded; None: it is told."""
    if condition not in folding.UP_AND_DOWN or await _burns(work, condition, gateway, part):
        return None
    if condition in folding.CHILDREN:
        parent = await work.open_alarm(gateway, "", Condition.GATEWAY_SILENT)
        if parent is not None:
            return Fold(parent=parent.id)
        settling = folding.after_return(condition, await work.returned(gateway), work.now)
        if settling is not None:
            return settling
    return await unstable(work, condition, gateway, part, place, area)


async def unstable(
    work: Work, condition: Condition, gateway: str, part: str, place: Place | None, area: str
) -> Fold | None:
    """Into the incident that says that it comes and goes, opened where this is one time too many."""
    known = await work.open_alarm(gateway, part, Condition.UNSTABLE)
    if known is not None:
        return Fold(parent=known.id)
    ended = await work.ended((gateway, part, condition), work.now - folding.FLAPS_WITHIN)
    if not folding.unstable(ended):
        return None
    minutes = round(folding.FLAPS_WITHIN.total_seconds() / 60)
    opened = await raise_own(
        work,
        condition=Condition.UNSTABLE,
        gateway=gateway,
        part=part,
        area=area,
        reason=Reason.UP_AND_DOWN,
        detail={
            "text": f"{minutes} 分钟内时断时续 {ended + 1} 次，不再逐次通知 / up and down {ended + 1} times"
            f" in {minutes} min ({condition.value}): no more single messages until it is steady",
            "flaps": ended + 1,
            "of": condition.value,
        },
        place=place,
    )
    return Fold(parent=opened.id)


async def fold_areas(
    work: Work, silent: Sequence[Silent], homes: Mapping[str, Sequence[str]], burning: Collection[str]
) -> dict[str, Fold | None]:
    """By area, how a gateway that has just fallen silent is folded, unless smoke is behind it."""
    areas = sorted({one.area for one in silent})
    fallen = await leases.fallen(work.tx, areas, work.now - folding.WITHIN)
    most = folding.to_count(max(fallen.values(), default=0))
    counted = await leases.count(work.tx, areas, most)
    found: dict[str, Fold | None] = {}
    for area in areas:
        if folding.area_wide(fallen.get(area, 0), counted[area]):
            new = [one.gateway for one in silent if one.area == area and one.gateway not in burning]
            incident = await _incident(work, area, {gateway: homes.get(gateway, ()) for gateway in new})
            found[area] = Fold(parent=incident.id)
        elif counted[area] >= folding.AT_LEAST:
            found[area] = Fold(until=work.now + folding.GATHER)
        else:
            found[area] = None
    return found


async def settle(tx: Tx) -> bool:
    """End incidents whose cause is over; judge again what was folded into any. True: there is more."""
    return await together(tx, _settle)


async def _burns(work: Work, condition: Condition, gateway: str, part: str) -> bool:
    if condition is Condition.NO_RESPONSE:
        return any(alarm.life for alarm in await work.open_of_detector(part))
    return gateway in await work.life_behind([gateway])


async def _incident(work: Work, area: str, new: Mapping[str, Sequence[str]]) -> Alarm:
    """The incident of the whole area, opened or with more in it."""
    part = f"silence:{area}"
    before = await work.open_alarm(None, part, Condition.SYSTEM)
    names = [home for behind in new.values() for home in behind]
    if before is not None:
        grown = _detail(
            [*before.detail.get("homes", ()), *names],
            int(before.detail.get("count", 0)) + len(names),
            int(before.detail.get("gateways", 0)) + len(new),
        )
        after = replace(before, detail={**before.detail, **grown})
        work.save(after)
        return after
    earlier = await folds.lock_children_to_be(work.tx, area, work.now - folding.WITHIN)
    burning = await work.life_behind([one.gateway for one in earlier if one.gateway is not None])
    earlier = [one for one in earlier if one.gateway not in burning]
    before_them = [str(home) for one in earlier for home in one.detail.get("homes", ())]
    opened = await raise_own(
        work,
        condition=Condition.SYSTEM,
        gateway=None,
        part=part,
        area=area,
        reason=Reason.AREA_SILENT,
        detail=_detail([*before_them, *names], len(before_them) + len(names), len(earlier) + len(new)),
        fold=Fold(until=work.now + folding.GATHER),
    )
    for one in earlier:
        note_fold(work, one, Fold(parent=opened.id))
        work.cancel(one.id, DueKind.STEP)
    if earlier:
        await deliveries.call_off(work.tx, [one.id for one in earlier], deliveries.FOLDED)
    return opened


def _detail(homes: Sequence[str], count: int, gateways: int) -> dict[str, object]:
    return {
        "text": f"{gateways} 个网关几乎同时失联：停电或断网？ / {gateways} gateways fell silent within two"
        " minutes: a power cut, or the network?",
        "homes": list(homes[:_HOMES_KEPT]),
        "count": count,
        "gateways": gateways,
    }


async def _settle(work: Work) -> bool:
    for parent in await folds.lock_parents(work.tx):
        work.adopt(parent)
        ends = _steady if parent.condition is Condition.UNSTABLE else _over
        await ends(work, parent)
    await work.write()
    return await _judge_again(work) == _AT_ONCE


async def _steady(work: Work, parent: Alarm) -> None:
    assert parent.gateway is not None, "of a part of a gateway"
    changed_at = await folds.last_change(work.tx, parent.gateway, parent.part, folding.UP_AND_DOWN)
    if changed_at is not None and work.now - changed_at < folding.QUIET:
        return
    await end_own(
        work, condition=parent.condition, gateway=parent.gateway, part=parent.part, reason=Reason.STEADY
    )


async def _over(work: Work, parent: Alarm) -> None:
    """An area's incident ends when so many are back that it would not begin, and stay so."""
    still = await folds.standing(work.tx, parent.id)
    counted = await leases.count(work.tx, [parent.area], folding.to_count(still))
    since = parent.detail.get("settling_s")
    wide = folding.area_wide(still, counted[parent.area])
    now_s = work.now.timestamp()
    if wide or since is None:
        mark = None if wide else now_s
        if mark != since:
            work.save(replace(parent, detail={**parent.detail, "settling_s": mark}))
    elif now_s - float(since) >= folding.SETTLE.total_seconds():
        await end_own(
            work, condition=parent.condition, gateway=None, part=parent.part, reason=Reason.HEARD_AGAIN
        )


async def _judge_again(work: Work) -> int:
    """What was folded into something that is over is told if it still stands when things have settled.

    A person who closed the parent has dealt with all that it stood for.
    """
    orphans = await folds.lock_orphans(work.tx, _AT_ONCE)
    for alarm, closed_at, by_person in orphans:
        if alarm.state is AlarmState.CLOSED or closed_at is None or by_person:
            continue
        at = max(work.now, closed_at + folding.SETTLE)
        await work.schedule(alarm.id, DueKind.STEP, DueRow(alarm.round, 0, at), only_forward=False)
        work.log(Line(alarm.id, "judged_again", Reason.JUDGED_AGAIN, detail={"at": at.isoformat()}))
    if orphans:
        await folds.drop(work.tx, [one.alarm.id for one in orphans])
    return len(orphans)
