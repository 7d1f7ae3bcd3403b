"""Who would be told when, if nobody answered.

Law of this file: pure; the engine itself climbs, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from central.engine.decide import begin
from central.engine.due import fire, pass_over
from central.engine.effects import Cancel, DueKind, Effect, Notify, Schedule
from central.engine.model import Alarm, AlarmState, Condition
from central.engine.policy import SEVERITY, Policy, last_resort

Who = Callable[[str, datetime], Sequence[str]]
"""A target and a moment in, the workers whom it reaches then out."""


class Told(Struct, frozen=True):
    """One step at one moment. Without `workers` nobody could be told, and the next step is done at once."""

    at: datetime
    step: int
    """From 0; one more than the policy has is the first repeat of its last."""
    targets: tuple[str, ...]
    workers: tuple[str, ...]


def rehearse(policy: Policy, condition: Condition, at: datetime, who: Who) -> list[Told]:
    """All steps of an alarm that opens at `at` and that nobody takes, to the first repeat of the last one."""
    return _Rehearsal(policy, condition, at, who).run()


class _Rehearsal:
    """Does what decisions want, as `central.pipeline.carry_out` does it, with one row and no messages."""

    def __init__(self, policy: Policy, condition: Condition, at: datetime, who: Who) -> None:
        self._policy, self._now, self._who = policy, at, who
        state = AlarmState.ACTIVE_UNACKNOWLEDGED
        self._alarm = Alarm(0, condition, SEVERITY[condition], "", "", state, at, at)
        self._due: Schedule | None = None
        self._told: list[Told] = []

    def run(self) -> list[Told]:
        self._do(begin(self._policy, self._now, life=self._alarm.life))
        while (row := self._due) is not None and row.step <= len(self._policy.steps):
            self._now = max(self._now, row.at)
            decision = fire(self._alarm, DueKind.STEP, row.step, row.at, self._policy, self._now)
            self._do(decision.effects)
        return self._told

    def _do(self, effects: Sequence[Effect], *, passing: bool = False) -> None:
        for effect in effects:
            match effect:
                case Schedule():
                    waits = passing and self._due is not None and self._due.step >= effect.step
                    self._due = self._due if waits else effect
                case Cancel():
                    self._due = None
                case Notify():
                    self._tell(effect, passing=passing)

    def _tell(self, notify: Notify, *, passing: bool) -> None:
        targets = notify.targets
        workers = self._reached(targets)
        if not workers and self._alarm.life and (others := last_resort(self._policy, notify.step)):
            targets = others
            workers = self._reached(targets)
        told = Told(self._now, notify.step, targets, workers)
        self._told.append(told)
        if not told.workers:
            following = pass_over(notify.step, self._policy, self._now)
            self._do(following, passing=passing or notify.step == 0)

    def _reached(self, targets: Sequence[str]) -> tuple[str, ...]:
        found = (worker for target in targets for worker in self._who(target, self._now))
        return tuple(dict.fromkeys(found))
