"""What goes to a fire-brigade centre, and in which words of GB/T 26875.3.

Law of this file: pure. Only smoke and heat are fire; a test never is. An alarm is a fire there until a person
has closed it here, whatever the detector says meanwhile: like a panel, which keeps a fire until its reset.
Whatever is sent of a detector holds all that was told of it and still stands, so no news ends another's.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from enum import StrEnum

from msgspec import Struct

from central.engine.model import Alarm, AlarmState, Condition, Disposition
from gb26875.data import (
    FIRE_ALARM_SYSTEM,
    PHOTOELECTRIC_SMOKE_DETECTOR,
    TEMPERATURE,
    TEXT_BYTES,
    Analogue,
    ComponentState,
    Done,
    Kind,
    Operation,
    State,
    Thing,
    TransmitterOperation,
    text_bytes,
)
from gb26875.frame import TimeTag

ROLL_CALL = "roll_call:"
"""Before the centre's id: the part of an alarm that asks a person for an answer to a roll call."""

BITS: dict[Condition, State] = {
    Condition.SMOKE: State.FIRE,
    Condition.HEAT: State.FIRE,
    Condition.FAULT: State.FAULT,
    Condition.NO_RESPONSE: State.FAULT,
    Condition.REMOVED: State.FAULT,
    Condition.LOW_BATTERY: State.POWER_FAULT,
    Condition.MAINS_LOST: State.POWER_FAULT,
    Condition.ISOLATED: State.SHIELDED,
}
"""Conditions that are told, and by which bit; the standard has none for a detector's battery."""

_WORDS: dict[Condition, str] = {
    Condition.SMOKE: "感烟火警",
    Condition.HEAT: "感温火警",
    Condition.FAULT: "故障",
    Condition.NO_RESPONSE: "无应答",
    Condition.REMOVED: "被拆除",
    Condition.LOW_BATTERY: "电池欠压",
    Condition.MAINS_LOST: "主电失电",
    Condition.ISOLATED: "屏蔽",
}


_EARLIEST, _LATEST = datetime(2000, 1, 2, tzinfo=UTC), datetime(2099, 12, 30, tzinfo=UTC)
"""Time tags reach no further; a clock that is so wrong must not keep a fire back."""


class What(StrEnum):
    """Kinds of news; the words of the table `forward`."""

    FIRE = "fire"
    STATE = "state"
    """Something other than a fire began."""
    OVER = "over"
    """The alarm is closed."""
    CONFIRM = "confirm"
    """A person has taken it."""
    ANALOGUE = "analogue"
    ROLL_CALL = "roll_call"


class News(Struct, frozen=True):
    """Something of one alarm that centres may be told."""

    alarm: int
    area: str
    what: What
    round: int
    at: datetime
    firm: bool = False
    """A person says that it burns, or it has climbed past the first who was called."""
    once: bool = False
    """Only for centres that have not been told of this alarm's fire."""
    centre: str | None = None
    """Only for this one."""


class Row(Struct, frozen=True):
    """News that waits for one centre, with what is to be said of the detector."""

    id: int
    alarm: int
    what: What
    condition: Condition
    component: str
    area: str
    building: str | None
    happened_at: datetime
    serial: int | None
    """Of an exchange that began and was cut off."""
    system: int | None
    zone: int | None
    point: int | None
    """None: the component has no address yet."""
    building_name: str | None
    door: str
    spot: str
    standing: list[Condition]
    """Of this component: told to this centre, and not closed."""
    temperature: float | None

    @property
    def urgent(self) -> bool:
        """Whether everything else must wait."""
        return self.what is What.FIRE


def news(before: Alarm | None, after: Alarm, what: str | None, now: datetime) -> list[News]:
    """What a change of an alarm is to centres, in order. `what` is the word on its time line."""
    taken = after.acknowledged and not (before is not None and before.acknowledged)
    if after.condition is Condition.SYSTEM and after.part.startswith(ROLL_CALL):
        centre = after.part.removeprefix(ROLL_CALL).partition(":")[0]
        return [_of(after, What.ROLL_CALL, now, centre=centre)] if taken else []
    if not _told(after):
        return []
    found: list[News] = []
    if what in ("opened", "re_asserted"):
        at = after.event_at if what == "opened" else now
        found.append(_of(after, What.FIRE if after.life else What.STATE, at))
        if after.life:
            found.append(_of(after, What.ANALOGUE, at))
    if after.life and after.disposition is Disposition.REAL_FIRE:
        found.append(_of(after, What.FIRE, after.event_at, firm=True, once=True))
    if taken and what in ("acknowledged", "on_way", "on_scene", "accepted", "taken_over"):
        found.append(_of(after, What.CONFIRM, now))
    if what == "closed":
        found.append(_of(after, What.OVER, now))
    return found


def raised(alarm: Alarm) -> list[News]:
    """Somebody further up is called for it."""
    if not (alarm.life and _told(alarm)):
        return []
    return [
        _of(alarm, What.FIRE, alarm.event_at, firm=True, once=True),
        _of(alarm, What.ANALOGUE, alarm.event_at),
    ]


def standing(alarm: Alarm, *, climbed: bool, now: datetime) -> list[News]:
    """An alarm that is open, for centres that were not told when it opened."""
    if alarm.state is AlarmState.CLOSED:
        return []
    return [*news(None, alarm, "opened", now), *(raised(alarm) if climbed else [])]


def unit(row: Row, fire_state: int) -> tuple[Kind, Thing]:
    """What a packet carries of a row whose component has an address. `fire_state`: 0x0003 or 0x0002."""
    at = TimeTag.of(min(max(row.happened_at, _EARLIEST), _LATEST))
    system, zone, point = row.system or 0, row.zone or 0, row.point or 0
    if row.what is What.ROLL_CALL:
        return Kind.TRANSMITTER_OPERATION, TransmitterOperation(Done.ROLL_CALL_ANSWER, 0, at)
    if row.what is What.CONFIRM:
        return Kind.OPERATION, Operation(FIRE_ALARM_SYSTEM, system, Done.CONFIRM, 0, at)
    if row.what is What.ANALOGUE:
        value = round(max(-273.0, min(3200.0, row.temperature or 0.0)) * 10)
        thing = Analogue(
            FIRE_ALARM_SYSTEM, system, PHOTOELECTRIC_SMOKE_DETECTOR, zone, point, TEMPERATURE, value, at
        )
        return Kind.ANALOGUE, thing
    return Kind.COMPONENT_STATE, ComponentState(
        FIRE_ALARM_SYSTEM,
        system,
        PHOTOELECTRIC_SMOKE_DETECTOR,
        zone,
        point,
        state_word(row.what, row.condition, row.standing, fire_state),
        text_bytes(describe(row)),
        at,
    )


def state_word(what: What, condition: Condition, still: Collection[Condition], fire_state: int) -> int:
    """The component's state: all that stands, and for its own news what it is about."""
    state = State(0)
    for one in still:
        state |= BITS.get(one, State(0))
    if what in (What.FIRE, What.STATE):
        state |= BITS[condition]
    if state & State.FIRE and not fire_state & State.NORMAL:
        return int(state)
    return int(state | State.NORMAL)


def describe(row: Row) -> str:
    """Where it is and what; whatever the building is called, the door and the word fit into 31 bytes."""
    word = "恢复" if row.what is What.OVER else _WORDS.get(row.condition, "")
    building = row.building_name or ""
    if not building and not row.door:
        return f"{row.component[: TEXT_BYTES - _size(word) - 1]} {word}"
    spot = f" {row.spot}" if row.spot else ""
    tail = f"{row.door}{spot} {word}"
    if _size(tail) > TEXT_BYTES:
        tail = f"{row.door} {word}"
    while building and _size(building) + _size(tail) > TEXT_BYTES:
        building = building[:-1]
    return f"{building}{tail}"


def _size(text: str) -> int:
    return len(text.encode("gb18030", "replace"))


def _told(alarm: Alarm) -> bool:
    """Fire whoever smelled it; anything else only of detectors."""
    if alarm.life:
        return True
    return alarm.condition in BITS and alarm.part != "" and not alarm.part.startswith("bus:")


def _of(
    alarm: Alarm,
    what: What,
    at: datetime,
    *,
    firm: bool = False,
    once: bool = False,
    centre: str | None = None,
) -> News:
    return News(alarm.id, alarm.area, what, alarm.round, at, firm, once, centre)
