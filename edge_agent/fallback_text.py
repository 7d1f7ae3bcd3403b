"""What the agent says when it calls by itself; pure.

Law of this file: where, what and what to do, Chinese first; never who lives there. An SMS is one part of 70
characters that stands by itself: a long one travels in parts, and where one part is lost all is. Homes that
do not fit go into the next message; only the words of one home too long for any message are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsm.pdu import units
from wire.messages import Condition

_ACT = "中心无应答，请立即前往并拨打119"
_ENGLISH = {
    frozenset({Condition.SMOKE}): "SMOKE! Go, call 119",
    frozenset({Condition.HEAT}): "HEAT! Go, call 119",
}
_CHINESE = {frozenset({Condition.SMOKE}): "烟雾报警", frozenset({Condition.HEAT}): "高温报警"}
_BOTH = ("烟雾高温报警", "FIRE! Go, call 119")
_CUT = "…"


@dataclass(frozen=True, slots=True)
class Line:
    """One fire as it is told: `place` in the registry's words, `when` as `HH:MM` or ''."""

    condition: Condition
    place: str
    when: str = ""


def title(lines: Sequence[Line]) -> str:
    """One line: what burns, and where it was seen first."""
    more = f" 等{len(_places(lines))}处" if len(_places(lines)) > 1 else ""
    return f"【{_kind(lines)[0]}】{lines[0].place}{more}"


def pack(lines: Sequence[Line], limit: int | None = None) -> tuple[str, int]:
    """A text, and how many of the lines (from the first) it tells of: at least one, all without a limit."""
    for count in range(len(lines), 0, -1):
        text = _text(lines[:count])
        if limit is None or units(text) <= limit:
            longer = f"{text} {_kind(lines[:count])[1]}"
            return (longer if limit is None or units(longer) <= limit else text), count
    first = lines[0]
    room = limit or 0
    place = first.place
    while place and units(_text([Line(first.condition, place + _CUT, first.when)])) > room:
        place = place[:-1]
    return _text([Line(first.condition, place + _CUT, first.when)]), 1


def _text(lines: Sequence[Line]) -> str:
    places = _places(lines)
    many = f"{len(places)}处：" if len(places) > 1 else ""
    return f"【{_kind(lines)[0]}】{many}{'；'.join(places)} {_ACT}"


def _places(lines: Sequence[Line]) -> list[str]:
    """Each home once, with the moment of its first line."""
    found: dict[str, str] = {}
    for line in lines:
        found.setdefault(line.place, line.when)
    return [f"{place} {when}".rstrip() for place, when in found.items()]


def _kind(lines: Sequence[Line]) -> tuple[str, str]:
    kinds = frozenset(line.condition for line in lines)
    return (_CHINESE.get(kinds, _BOTH[0]), _ENGLISH.get(kinds, _BOTH[1]))
