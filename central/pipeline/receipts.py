"""What a provider tells of a message, and what is done when it tells nothing in time.

Law of this file: a thing told twice, or of a message that nobody sent, changes nothing and is on record. A
press of 1 takes the alarms that the call named, in the round that it named, and no others; a call that was
only answered counts as nothing. Whoever was not reached is told by their next channel at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from central import metrics
from central.engine.model import Act, ActKind, NotAllowed, Reason
from central.notifier.plan import Planned, fall_back
from central.notifier.told import How, Pressed, Reply, Status, Told
from central.pipeline.people import act
from central.pipeline.replies import take_reply
from central.store import alarms, deliveries, receipts
from central.store.alarms import Line
from central.store.pool import Tx
from central.store.receipts import Named

UNKNOWN: Final = receipts.UNKNOWN
"""No message of ours has this name (yet: the outcome of its sending may be on its way to the database)."""
REPEATED: Final = "repeated"
RECEIVED: Final = "received"
NOTHING: Final = "nothing"
NEXT: Final = "next channel"
TAKEN: Final = "taken"
REFUSED: Final = "refused"
_AT_ONCE = 200


async def take(tx: Tx, channel: str, told: Told) -> str:
    """Do what was told of a message by the provider behind `channel`; the word for what it led to."""
    noted = await receipts.note(tx, channel, told.once)
    if not noted.new:
        return REPEATED
    outcome: str = UNKNOWN
    if isinstance(told, Reply):
        outcome = await take_reply(tx, channel, told)
    elif found := await receipts.named(tx, channel, told.id):
        if isinstance(told, Status):
            outcome = await _ended(tx, found, told)
        else:
            outcome = await _pressed(tx, channel, found, told)
    await receipts.conclude(tx, noted, outcome)
    return outcome


async def overdue(tx: Tx) -> int:
    """Tell by their next channel all whose receipt did not come in time; how many are needed still."""
    late = await receipts.missing(tx, _AT_ONCE)
    await _next(tx, late, Reason.NO_RECEIPT, {})
    return len(late)


async def _ended(tx: Tx, found: Sequence[Named], told: Status) -> str:
    match told.how:
        case How.RECEIVED:
            await receipts.settle(tx, found, "received")
            return RECEIVED
        case How.ANSWERED:
            return NOTHING
        case How.FAILED:
            lost = [one for one in found if one.receipt in ("", "none")]
            await receipts.settle(tx, lost, "failed")
            again = [one.planned for one in lost if one.needed]
            await _next(tx, again, Reason.NOT_RECEIVED, {"code": told.code})
            return NEXT if again else NOTHING


async def _pressed(tx: Tx, channel: str, found: Sequence[Named], told: Pressed) -> str:
    meant = [
        one
        for one in found
        if told.takes
        and one.planned.purpose == "alarm"
        and one.planned.round == one.alarm_round
        and one.may_take
    ]
    if not meant:
        return NOTHING
    await receipts.settle(tx, meant, "received")
    outcome: str = REFUSED
    for alarm, worker in dict.fromkeys((one.planned.alarm, one.planned.worker) for one in meant):
        try:
            await act(tx, alarm, Act(ActKind.ACKNOWLEDGE), worker, f"key 1, {channel}")
            outcome = TAKEN
        except NotAllowed:  # somebody else has it, or it is closed
            continue
    return outcome


async def _next(tx: Tx, lost: Sequence[Planned], reason: Reason, detail: dict[str, str]) -> None:
    """The worker looks whether each is still needed before it sends."""
    ways = await deliveries.contacts(tx, {one.worker for one in lost})
    following: list[Planned] = []
    lines: list[Line] = []
    for one in lost:
        instead = fall_back(one, ways.get(one.worker, ()))
        if instead is not None:
            following.append(instead)
        else:
            metrics.UNREACHABLE.labels(one.purpose).inc()
        said = {"worker": one.worker, "channel": one.channel, **detail}
        lines.append(
            Line(
                one.alarm,
                "not_received",
                reason,
                detail=said if instead is None else {**said, "instead": instead.channel},
            )
        )
    await deliveries.enqueue(tx, following)
    if lines:
        await alarms.log(tx, lines)
