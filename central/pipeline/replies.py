"""Somebody wrote back. Law of this file: only a number that one worker alone has may take an alarm.

The first has it; whoever writes after them is told who. A stranger is neither heard nor answered.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from central.engine.model import Act, ActKind, NotAllowed
from central.notifier.channel import Pace
from central.notifier.fitting import e164, national
from central.notifier.render import home
from central.notifier.replies import REFUSED, SHARED, TAKEN, Meaning, instead, understand
from central.notifier.told import Reply
from central.pipeline.people import act
from central.store import alarms, pace, replies
from central.store.pool import Tx

STRANGER: Final = "stranger"
_ANSWERS = Pace(5, timedelta(minutes=1))
"""To one number: two machines must not write to each other for ever."""


async def take_reply(tx: Tx, channel: str, reply: Reply) -> str:
    """Do what somebody wrote and leave them an answer; the word for what it led to."""
    number = e164(reply.number)
    found = await replies.senders(tx, _forms(number)) if number else []
    if number is None or not found:
        return STRANGER
    language = found[0].language
    if len(found) > 1:
        await _answer(tx, channel, number, language, SHARED.of(language))
        return "shared"
    worker = found[0].worker
    known = await replies.told_of(tx, worker)
    waiting = [one.alarm for one in known if one.waits]
    understood = understand(reply.text, waiting, [one.alarm for one in known if not one.waits])
    if understood.alarm is None:
        listed = [one.alarm for one in known] if understood.meaning is Meaning.OTHERS else waiting
        text = instead(understood, await _homes(tx, listed, language), language)
        await _answer(tx, channel, number, language, text)
        return understood.meaning
    outcome, words, why = "taken", TAKEN, ""
    try:
        await act(tx, understood.alarm, Act(ActKind.ACKNOWLEDGE), worker, f"SMS, {channel}")
    except NotAllowed as refused:
        outcome, words, why = "refused", REFUSED, refused.zh if language == "zh" else refused.en
    homes = await _homes(tx, [understood.alarm], language)
    text = words.of(language).format(home=homes[understood.alarm], why=why)
    await _answer(tx, channel, number, language, text)
    return outcome


async def _answer(tx: Tx, channel: str, number: str, language: str, text: str) -> None:
    if not text:
        return
    granted = await pace.take(tx, f"answer {channel}", _ANSWERS, {number: 1}, urgent=True)
    if granted[number].messages:
        await replies.answer(tx, channel, number, language, text)


async def _homes(tx: Tx, wanted: Collection[int], language: str) -> dict[int, str]:
    """Each alarm by its home, without anybody's name."""
    found = await alarms.describe_all(tx, wanted) if wanted else {}
    return {
        one.id: " ".join(
            part for part in (one.building_name, home(one.unit, one.floor, one.room, language)) if part
        )
        or f"#{one.id}"
        for one in found.values()
    }


def _forms(number: str) -> list[str]:
    """How a number may stand in the registry."""
    return [number, national(number), number.removeprefix("+")]
