"""What else speaks for a fire, and how much sooner the next ones are called for it.

Law of this file: pure; it only raises. The first message never waits for it: an alarm opens and is told as
ever, and this is a second look at it. What it finds is added to what was found, within a round.

What weighs how much is ours, no standard's. Two detectors that agree are a confirmed alarm in EN 54-2 clause
7.12 and GB 50116 clause 4.1.6; there it lets machines act, here it only calls more people.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from central.engine.effects import Decision, Effect, Hasten, Notify, Purpose, Tell
from central.engine.model import Alarm, AlarmState, Grade, Ground, Reason
from central.engine.policy import Policy, Target

NEARBY = timedelta(minutes=5)
"""Two detectors of one building in smoke or heat within it, or at the same time, are neighbours in fire."""
RISE_WITHIN = timedelta(minutes=10)
RISE_C = 6.0
"""So many degrees more than the coolest of that span: no room does that by itself."""
HOT_C = 54.0
"""Where heat detectors of class A1 may call at the earliest (EN 54-5)."""
LOOK_EVERY = timedelta(seconds=15)
LOOK_CLOSELY = timedelta(minutes=10)
LOOK_LATER = timedelta(seconds=60)

_WEIGHT = {Ground.NEIGHBOUR: 2, Ground.RISING_HEAT: 2, Ground.HEAT_TOO: 2, Ground.SILENT: 1}
_HOUSEHOLD = 1
"""Whatever is said of the people there: they need more hands, it is no second witness."""
_WORDS = {
    Ground.BEDRIDDEN: (
        "卧床",
        "瘫痪",
        "不能行走",
        "无法行走",
        "bedridden",
        "paralysed",
        "paralyzed",
        "cannot walk",
    ),
    Ground.OXYGEN: ("氧", "呼吸机", "oxygen", "ventilator"),
    Ground.GAS: ("煤气", "燃气", "液化气", "天然气", "gas"),
}
"""What `needs` of a resident says in so many words; to find one too many only calls more people."""
_TELLS = {Grade.RAISED: 1, Grade.GRAVE: 2}
_COMMAND_CENTRE = (Target.DISPATCHER,)


class Around(Struct, frozen=True):
    """What is known around an alarm."""

    neighbours: int = 0
    """Other detectors of the building with smoke or heat that is not closed, now or within `NEARBY`."""
    heat_too: bool = False
    """The same detector has both smoke and heat."""
    coolest: float | None = None
    """Degrees Celsius, of the last `RISE_WITHIN`."""
    latest: float | None = None
    """The last of these."""
    needs: tuple[str, ...] = ()
    """What is said of each who lives there."""


def grounds(alarm: Alarm, around: Around) -> list[Ground]:
    """All that makes it graver than a detector that smells smoke, in the order of `Ground`."""
    needs = " ".join(around.needs).lower()
    holds = {
        Ground.NEIGHBOUR: around.neighbours > 0,
        Ground.RISING_HEAT: _hot(around),
        Ground.HEAT_TOO: around.heat_too,
        Ground.SILENT: alarm.state is AlarmState.ACTIVE_UNKNOWN,
    }
    said = {ground: any(word in needs for word in words) for ground, words in _WORDS.items()}
    return [ground for ground in Ground if (holds | said)[ground]]


def grade(found: list[Ground]) -> Grade:
    """How grave: one lesser ground raises it, a second witness or two lesser ones make it grave."""
    weight = sum(_WEIGHT.get(ground, 0) for ground in found)
    weight += _HOUSEHOLD if any(ground in _WORDS for ground in found) else 0
    return Grade.GRAVE if weight >= 2 else Grade.RAISED if weight else Grade.USUAL


def verify(alarm: Alarm, around: Around, policy: Policy, waiting: int | None, now: datetime) -> Decision:
    """A second look at smoke or heat. `waiting` is the step that is due next; None when none is."""
    if not alarm.life or alarm.state is AlarmState.CLOSED:
        return Decision(replace(alarm, verify_at=None), Reason.NO_LONGER_DUE)
    before = [Ground(word) for word in alarm.detail.get("grounds", ())]
    found = [ground for ground in Ground if ground in {*before, *grounds(alarm, around)}]
    reached = grade(found)
    after = replace(
        alarm, grade=reached, detail={**alarm.detail, "grounds": found} if found else alarm.detail
    )
    after = replace(after, verify_at=_again(after, now))
    if found == before:
        return Decision(after, Reason.NO_NEWS)
    effects = () if reached is alarm.grade else _widen(after, policy, waiting)
    return Decision(after, Reason.VERIFIED, effects, "raised")


def widened(policy: Policy, waiting: int, reached: Grade) -> int:
    """How many of the steps that wait are done at once.

    RAISED: the one behind the first. GRAVE: all that reach somebody who was not told yet.
    """
    if reached is Grade.RAISED:
        return 1 if waiting == 1 and len(policy.steps) > 1 else 0
    told = {target for step in policy.steps[:waiting] for target in step.targets}
    count = 0
    for step in policy.steps[waiting:]:
        if told.issuperset(step.targets):
            break
        told.update(step.targets)
        count += 1
    return count


def _widen(after: Alarm, policy: Policy, waiting: int | None) -> tuple[Effect, ...]:
    if after.acknowledged_by is not None:
        step = _TELLS[after.grade]
        owner = Tell(Purpose.RAISED, step, after.acknowledged_by)
        return owner, Notify(Purpose.RAISED, step, _COMMAND_CENTRE)
    return (Hasten(),) * (0 if waiting is None else widened(policy, waiting, after.grade))


def _hot(around: Around) -> bool:
    if around.latest is None:
        return False
    return around.latest >= HOT_C or (around.coolest is not None and around.latest - around.coolest >= RISE_C)


def _again(alarm: Alarm, now: datetime) -> datetime | None:
    """When to look again: closely at first, then while it is there. What is grave cannot become graver."""
    if alarm.grade is Grade.GRAVE:
        return None
    if now - alarm.opened_at < LOOK_CLOSELY:
        return now + LOOK_EVERY
    return None if alarm.cleared_at is not None else now + LOOK_LATER
