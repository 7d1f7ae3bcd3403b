"""The life of an alarm as one table, after ISA-18.2 / IEC 62682.

Law of this file: what is not in the table is not allowed, and changes nothing. The diagram in
`docs/reference/alarm-lifecycle.md` is made from the table by `diagram()`.

Two things differ from the standard's general machine, both for people's lives: the end of the cause never
ends a life alarm (smoke, heat), and an alarm may be "unknown" when its source cannot answer any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from central.engine.model import Alarm, AlarmState

_S = AlarmState


class Trigger(StrEnum):
    """What can happen to an alarm."""

    ASSERT = "assert"
    CLEAR = "clear"
    SOURCE_UNKNOWN = "source_unknown"
    ACKNOWLEDGE = "acknowledge"
    ON_WAY = "on_way"
    ON_SCENE = "on_scene"
    OFFER = "offer"
    ACCEPT = "accept"
    DECLINE = "decline"
    TAKE_OVER = "take_over"
    CLOSE = "close"
    STILL_ACTIVE = "still_active"
    """The time since the acknowledgement is over and the cause is still there."""


class When(StrEnum):
    """What must hold of the alarm besides its state."""

    LIFE = "life"
    OTHER = "other"
    TAKEN = "taken"
    """A person has acknowledged the present round."""
    UNTAKEN = "untaken"
    DISPOSED = "disposed"
    """A person has already said what it is."""
    UNDISPOSED = "undisposed"


@dataclass(frozen=True, slots=True)
class Row:
    """From a state, by a trigger, when all of `when` hold, to a state; perhaps as a new round."""

    start: AlarmState
    trigger: Trigger
    end: AlarmState
    when: tuple[When, ...] = ()
    new_round: bool = False
    """Nobody has it any more, what a person said of it is over, and the climb starts again."""


_T, _W = Trigger, When
_OPEN = tuple(state for state in AlarmState if state is not _S.CLOSED)
_HELD = {
    _S.ACTIVE_UNACKNOWLEDGED: _S.ACTIVE_ACKNOWLEDGED,
    _S.ACTIVE_ACKNOWLEDGED: _S.ACTIVE_ACKNOWLEDGED,
    _S.ACTIVE_UNKNOWN: _S.ACTIVE_UNKNOWN,
    _S.CLEARED_UNACKNOWLEDGED: _S.CLEARED_ACKNOWLEDGED,
    _S.CLEARED_ACKNOWLEDGED: _S.CLEARED_ACKNOWLEDGED,
}
"""From each open state to where it stands once somebody has it."""
TABLE: tuple[Row, ...] = (
    Row(_S.ACTIVE_UNACKNOWLEDGED, _T.ASSERT, _S.ACTIVE_UNACKNOWLEDGED),
    Row(_S.ACTIVE_UNACKNOWLEDGED, _T.CLEAR, _S.CLEARED_UNACKNOWLEDGED, (_W.LIFE,)),
    Row(_S.ACTIVE_UNACKNOWLEDGED, _T.CLEAR, _S.CLOSED, (_W.OTHER,)),
    Row(_S.ACTIVE_UNACKNOWLEDGED, _T.SOURCE_UNKNOWN, _S.ACTIVE_UNKNOWN),
    Row(_S.ACTIVE_UNACKNOWLEDGED, _T.ACKNOWLEDGE, _S.ACTIVE_ACKNOWLEDGED),
    Row(_S.ACTIVE_UNACKNOWLEDGED, _T.CLOSE, _S.CLOSED, (_W.OTHER,)),
    Row(_S.ACTIVE_ACKNOWLEDGED, _T.ASSERT, _S.ACTIVE_ACKNOWLEDGED),
    Row(_S.ACTIVE_ACKNOWLEDGED, _T.CLEAR, _S.CLEARED_ACKNOWLEDGED, (_W.LIFE, _W.UNDISPOSED)),
    Row(_S.ACTIVE_ACKNOWLEDGED, _T.CLEAR, _S.CLOSED, (_W.LIFE, _W.DISPOSED)),
    Row(_S.ACTIVE_ACKNOWLEDGED, _T.CLEAR, _S.CLOSED, (_W.OTHER,)),
    Row(_S.ACTIVE_ACKNOWLEDGED, _T.SOURCE_UNKNOWN, _S.ACTIVE_UNKNOWN, (_W.LIFE,), new_round=True),
    Row(_S.ACTIVE_ACKNOWLEDGED, _T.SOURCE_UNKNOWN, _S.ACTIVE_UNKNOWN, (_W.OTHER,)),
    Row(_S.ACTIVE_ACKNOWLEDGED, _T.CLOSE, _S.ACTIVE_ACKNOWLEDGED, (_W.LIFE,)),
    Row(_S.ACTIVE_ACKNOWLEDGED, _T.CLOSE, _S.CLOSED, (_W.OTHER,)),
    Row(_S.ACTIVE_ACKNOWLEDGED, _T.STILL_ACTIVE, _S.ACTIVE_UNACKNOWLEDGED, (_W.LIFE,), new_round=True),
    Row(_S.ACTIVE_UNKNOWN, _T.ASSERT, _S.ACTIVE_UNACKNOWLEDGED, (_W.UNTAKEN,)),
    Row(_S.ACTIVE_UNKNOWN, _T.ASSERT, _S.ACTIVE_UNACKNOWLEDGED, (_W.LIFE, _W.TAKEN), new_round=True),
    Row(_S.ACTIVE_UNKNOWN, _T.ASSERT, _S.ACTIVE_ACKNOWLEDGED, (_W.OTHER, _W.TAKEN)),
    Row(_S.ACTIVE_UNKNOWN, _T.CLEAR, _S.CLEARED_UNACKNOWLEDGED, (_W.LIFE, _W.UNTAKEN)),
    Row(_S.ACTIVE_UNKNOWN, _T.CLEAR, _S.CLEARED_ACKNOWLEDGED, (_W.LIFE, _W.TAKEN)),
    Row(_S.ACTIVE_UNKNOWN, _T.CLEAR, _S.CLOSED, (_W.OTHER,)),
    Row(_S.ACTIVE_UNKNOWN, _T.SOURCE_UNKNOWN, _S.ACTIVE_UNKNOWN),
    Row(_S.ACTIVE_UNKNOWN, _T.ACKNOWLEDGE, _S.ACTIVE_UNKNOWN, (_W.UNTAKEN,)),
    Row(_S.ACTIVE_UNKNOWN, _T.CLOSE, _S.CLOSED),
    Row(_S.CLEARED_UNACKNOWLEDGED, _T.ASSERT, _S.ACTIVE_UNACKNOWLEDGED, new_round=True),
    Row(_S.CLEARED_UNACKNOWLEDGED, _T.CLEAR, _S.CLEARED_UNACKNOWLEDGED),
    Row(_S.CLEARED_UNACKNOWLEDGED, _T.SOURCE_UNKNOWN, _S.CLEARED_UNACKNOWLEDGED),
    Row(_S.CLEARED_UNACKNOWLEDGED, _T.ACKNOWLEDGE, _S.CLEARED_ACKNOWLEDGED),
    Row(_S.CLEARED_UNACKNOWLEDGED, _T.CLOSE, _S.CLOSED),
    Row(_S.CLEARED_ACKNOWLEDGED, _T.ASSERT, _S.ACTIVE_UNACKNOWLEDGED, new_round=True),
    Row(_S.CLEARED_ACKNOWLEDGED, _T.CLEAR, _S.CLEARED_ACKNOWLEDGED),
    Row(_S.CLEARED_ACKNOWLEDGED, _T.SOURCE_UNKNOWN, _S.CLEARED_ACKNOWLEDGED),
    Row(_S.CLEARED_ACKNOWLEDGED, _T.CLOSE, _S.CLOSED),
    # Whoever is on the way, is there or takes it over has it. An offer changes nothing but who was asked.
    *(Row(state, trigger, _HELD[state]) for state in _OPEN for trigger in (_T.ON_WAY, _T.ON_SCENE)),
    *(Row(state, trigger, _HELD[state]) for state in _OPEN for trigger in (_T.ACCEPT, _T.TAKE_OVER)),
    *(Row(state, trigger, state) for state in _OPEN for trigger in (_T.OFFER, _T.DECLINE)),
)


_ORDER = {state: number for number, state in enumerate(AlarmState)}


def find(alarm: Alarm, trigger: Trigger) -> Row | None:
    """The one row that applies; None when the table has none."""
    holds = {
        _W.LIFE if alarm.life else _W.OTHER,
        _W.TAKEN if alarm.acknowledged else _W.UNTAKEN,
        _W.DISPOSED if alarm.disposition else _W.UNDISPOSED,
    }
    rows = [
        row
        for row in TABLE
        if row.start is alarm.state and row.trigger is trigger and holds.issuperset(row.when)
    ]
    assert len(rows) <= 1, f"the table is ambiguous: {rows}"
    return rows[0] if rows else None


def diagram() -> str:
    """The table as a mermaid state diagram; rows that change nothing are left out.

    Triggers that lead the same way stand on one arrow.
    """
    arrows: dict[tuple[AlarmState, AlarmState, str], list[str]] = {}
    for row in TABLE:
        if row.start is row.end and row.trigger in (_T.ASSERT, _T.CLEAR, _T.SOURCE_UNKNOWN):
            continue
        words = f" [{', '.join(when.value for when in row.when)}]" if row.when else ""
        if row.new_round:
            words += " / new round"
        arrows.setdefault((row.start, row.end, words), []).append(row.trigger.value)
    lines = ["stateDiagram-v2", f"    [*] --> {_S.ACTIVE_UNACKNOWLEDGED.value}: assert"]
    for (start, end, words), triggers in sorted(arrows.items(), key=lambda arrow: _ORDER[arrow[0][0]]):
        lines.append(f"    {start.value} --> {end.value}: {', '.join(triggers)}{words}")
    lines.append(f"    {_S.CLOSED.value} --> [*]")
    return "\n".join(lines)
