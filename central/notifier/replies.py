"""What a text message that somebody sent back means, and what they are answered.

Law of this file: pure; a reply that could mean two alarms means none, and is answered with what to do.
Answers are short: an approved template takes 35 characters of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from central.notifier.words import Words

_REPLY = re.compile(r"(?P<word>1(?![0-9])|收到|接警|ok)?[ ,，.。、:：#-]*(?P<number>[0-9]{1,9})?[ .。!！]*")
_SHOWN = 5


class Meaning(StrEnum):
    """What a reply is."""

    TAKE = "take"
    OTHERS = "others"
    """All that the person was told of is taken already."""
    WHICH = "which"
    """Several alarms wait for this person."""
    NO_SUCH = "no_such"
    """It names a number that waits for nobody."""
    UNCLEAR = "unclear"
    NOTHING = "nothing"
    """Nothing is open of which this person was told."""


@dataclass(frozen=True, slots=True)
class Understood:
    """What is to be done: `alarm` is taken, or the answer says why none is."""

    meaning: Meaning
    alarm: int | None = None


def understand(text: str, waiting: Sequence[int], taken: Sequence[int] = ()) -> Understood:
    """What somebody means of whom `waiting` alarms want to be taken, and who was told of `taken` ones too.

    `1` or 收到 takes the only one that waits; with a number behind it, or the number alone, that one.
    """
    known = {*waiting, *taken}
    if not known:
        return Understood(Meaning.NOTHING)
    found = _REPLY.fullmatch(unicodedata.normalize("NFKC", text).strip().lower())
    if found is None or not (found["word"] or found["number"]):
        return Understood(Meaning.UNCLEAR)
    if found["number"]:
        number = int(found["number"])
        return Understood(Meaning.TAKE, number) if number in known else Understood(Meaning.NO_SUCH)
    if len(waiting) == 1:
        return Understood(Meaning.TAKE, waiting[0])
    return Understood(Meaning.WHICH if waiting else Meaning.OTHERS)


TAKEN = Words("{home} 已由您接警", "You have taken {home}")
REFUSED = Words("{home}：{why}", "{home}: {why}")
SHARED = Words("此号码登记了多人，请用链接接警", "Several people have this number: use the link")
_WHICH = Words("请回复1和编号：{list}", "Reply 1 and a number: {list}")
_UNCLEAR = Words("没看懂。接警请回复1和编号：{list}", "Not understood. Reply 1 and a number: {list}")
_NO_SUCH = Words("没有这个编号。请回复1和编号：{list}", "No such number. Reply 1 and one of: {list}")
_OTHERS = Words("都已有人接警：{list}", "All are taken already: {list}")


def instead(understood: Understood, homes: Mapping[int, str], language: str) -> str:
    """What is answered to a reply that takes nothing; `homes` names the alarms by number. '': no answer.

    Somebody of whom nothing is wanted is not answered: two machines would write to each other for ever.
    """
    words = {
        Meaning.WHICH: _WHICH,
        Meaning.UNCLEAR: _UNCLEAR,
        Meaning.NO_SUCH: _NO_SUCH,
        Meaning.OTHERS: _OTHERS,
    }.get(understood.meaning)
    if words is None:
        return ""
    between = ", " if language == "en" else "，"
    listed = [f"{number} {home}" for number, home in sorted(homes.items())[:_SHOWN]]
    return words.of(language).format(list=between.join(listed))
