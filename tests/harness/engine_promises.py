"""What people were promised of alarms, checked after each thing that happens to a home.

Law of this file: it knows nothing of how the engine decides; docs/reference/alarm-lifecycle.md lists it all.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from central.engine.effects import DueKind
from central.engine.model import Alarm, AlarmState, Condition, Disposition
from central.engine.policy import CHINA, LIFE, Policy
from central.engine.transitions import Trigger, find
from central.notifier.plan import Planned
from central.store.due import DueRow
from tests.harness.engine_world import AREA, HOME
from tests.harness.memory_work import MemoryWork, done

BY_PERSON = frozenset(Disposition) - {Disposition.RETURNED_TO_NORMAL}
_ZERO = timedelta(0)


class Post(Struct):
    """One message on its way."""

    planned: Planned
    tries: int = 0
    state: str = "pending"
    due_at: datetime | None = None
    made_at: datetime | None = None


class Promises:
    """The checks, and what they must remember of what has been."""

    def __init__(self, work: MemoryWork) -> None:
        self.work = work
        self.says_yes: str | None = None
        """Who says by their own word that they take an alarm over."""
        self.ended_by: dict[int, set[str]] = {}
        """Who said what an alarm was, with a disposition that a person may give."""
        self.post: dict[str, Post] = {}
        """Every message, by its key."""
        self._closed: dict[int, Alarm] = {}
        self._gap = self._disposition = self._still = _ZERO
        """The longest that any policy for life that has held allowed."""
        self.note_policy()

    def doing(self, do: Callable[[], object], *, of: str | None = None, only: int | None = None) -> None:
        """Do it and check; only alarms of gateway `of` may be touched by it, or the alarm `only`."""
        work = self.work
        before, changes, lines = dict(work.alarms), len(work.changes), len(work.said)
        messages, steps = len(work.messages), self._steps()
        do()
        for alarm in work.alarms.values():
            was = before.get(alarm.id)
            if was is None or was == alarm or alarm.gateway is None:
                continue
            if of is not None:
                assert alarm.gateway == of, "a source ends or changes what it asserted itself, nothing else"
            if only is not None:
                assert alarm.id == only, "one act touches one alarm"
        for was, alarm in work.changes[changes:]:
            self._check_change(was, alarm, lines)
        for at, line in work.said[lines:]:
            self._check_line(at, line)
        for planned in work.messages[messages:]:
            self._check_message(planned)
        self._check_nobody(lines)
        self._check_climb(before, steps)
        self._check_alarms()

    def _steps(self) -> dict[int, DueRow]:
        """The step that waits, of each life alarm that nobody has."""
        return {
            alarm: row
            for (alarm, kind), row in self.work.due.items()
            if kind is DueKind.STEP and self.work.alarms[alarm].life
        }

    def _check_climb(self, before: dict[int, Alarm], steps: dict[int, DueRow]) -> None:
        now = self._steps()
        for alarm, row in steps.items():
            if before[alarm].acknowledged or alarm not in now:
                continue
            assert now[alarm].step >= row.step, "nothing but a person sets the climb back"
            if now[alarm].step == row.step:
                assert now[alarm].due_at <= row.due_at, "nothing puts the next call off"

    def _check_nobody(self, lines: int) -> None:
        """Only when neither this step nor a later one, nor the last resort, reaches anybody."""
        said = [line for _, line in self.work.said[lines:]]
        for alarm in {line.alarm for line in said if line.what == "nobody_reachable"}:
            if not self.work.alarms[alarm].life:
                continue
            skipped = [line.detail for line in said if line.alarm == alarm and line.what == "skipped"]
            first = min(int(one["step"]) for one in skipped if one["purpose"] == "alarm")
            policy = done(self.work.policy(self.work.alarms[alarm]))
            words = {word for step in range(first, len(policy.steps) + 1) for word in policy.at(step).targets}
            reached = [word for word in words | set(LIFE.steps[-1].targets) if self.work.on_duty.get(word)]
            assert not reached, "a step that reaches nobody gives way at once"

    def _check_change(self, was: Alarm, alarm: Alarm, lines: int) -> None:
        if was.acknowledged and was.round == alarm.round:
            assert alarm.acknowledged_at == was.acknowledged_at, "the first yes of a round stays the first"
            assert alarm.acknowledged_by in (was.acknowledged_by, self.says_yes), "who takes it has it"
        if (was.state, was.round) == (alarm.state, alarm.round):
            return
        rows = [row for trigger in Trigger if (row := find(was, trigger)) is not None]
        new_round = alarm.round != was.round
        assert any(row.end is alarm.state and row.new_round is new_round for row in rows), (
            "it is in the table"
        )
        said = [
            (line.from_state, line.to_state) for _, line in self.work.said[lines:] if line.alarm == alarm.id
        ]
        assert (was.state, alarm.state) in said, "each change is on the time line"
        if new_round:
            assert alarm.round == was.round + 1
            assert not alarm.acknowledged, "in a new round nobody has it"
            assert alarm.disposition is None, "and what was said of it is over"

    def _check_line(self, at: datetime, line: Any) -> None:
        alarm = self.work.alarms[line.alarm]
        policy = done(self.work.policy(alarm))
        if alarm.life:
            assert line.what != "postponed", "no hours are quiet for smoke and heat"
        elif line.what == "told" and line.detail["purpose"] in ("offer", "owner"):
            return  # a person asks a person
        elif line.what == "told" and policy.quiet is not None:
            assert not _quiet(policy, at), "what can wait does not wake anybody"

    def _check_message(self, planned: Planned) -> None:
        told = self.post.setdefault(planned.key, Post(planned, made_at=self.work.now))
        at_once = (told.planned, told.made_at) == (planned, self.work.now)  # two reasons to tell one person
        assert at_once, "a message must not be taken for one that was sent before"

    def _check_alarms(self) -> None:
        work = self.work
        for number, closed in self._closed.items():
            assert work.alarms[number] == closed, "a closed alarm stays as it is"
        sources = [(alarm.gateway, alarm.part, alarm.condition) for alarm in self.open_now()]
        assert len(sources) == len(set(sources)), "a source has one open alarm at most"
        due = work.due
        for alarm in work.alarms.values():
            rows = {kind: row for kind in DueKind if (row := due.get((alarm.id, kind))) is not None}
            if alarm.state is AlarmState.CLOSED:
                assert not rows, "nothing is due of a closed alarm"
                self._closed.setdefault(alarm.id, alarm)
            if alarm.life:
                self._check_life(alarm, rows)

    def _check_life(self, alarm: Alarm, rows: dict[DueKind, DueRow]) -> None:
        now = self.work.now
        if alarm.state is AlarmState.CLOSED:
            assert alarm.disposition in BY_PERSON, "the system never says what smoke was"
            assert alarm.closed_by in self.ended_by.get(alarm.id, ()), "a person ended it"
            assert alarm.acknowledged, "who ended it had it"
            return
        for row in rows.values():
            assert row.round == alarm.round or not alarm.acknowledged, "nothing is left of an earlier round"
        if not alarm.acknowledged:
            assert set(rows) == {DueKind.STEP}, "it climbs, and nothing else"
            assert rows[DueKind.STEP].due_at - now <= self._gap, "the next call is not far"
            return
        assert DueKind.STEP not in rows, "somebody has it"
        if alarm.disposition is None:
            assert DueKind.DISPOSITION in rows, "somebody must say what it was"
            assert rows[DueKind.DISPOSITION].due_at - now <= self._disposition
        if alarm.state is AlarmState.ACTIVE_ACKNOWLEDGED:
            assert DueKind.STILL_ACTIVE in rows, "smoke that stays calls again"
            assert rows[DueKind.STILL_ACTIVE].due_at - now <= self._still

    def note_policy(self) -> None:
        """Another policy holds, perhaps."""
        for grid in (HOME.grid, None):
            policy = self.work.book.policy_for(Condition.SMOKE, AREA, grid)
            assert policy.quiet is None, "no policy for life has quiet hours"
            assert policy.repeat is not None, "no climb for life ends by itself"
            gaps = [gap for step in range(len(policy.steps)) if (gap := policy.gap_after(step)) is not None]
            self._gap = max(self._gap, *gaps)
            self._disposition = max(self._disposition, policy.disposition_after or _ZERO)
            self._still = max(self._still, policy.still_active_after or _ZERO)

    def open_now(self) -> list[Alarm]:
        """Alarms that are open."""
        return [alarm for alarm in self.work.alarms.values() if alarm.state is not AlarmState.CLOSED]

    def open_of(self, gateway: str, part: str, condition: Condition) -> list[Alarm]:
        """Those of one source."""
        return [a for a in self.open_now() if (a.gateway, a.part, a.condition) == (gateway, part, condition)]


def _quiet(policy: Policy, at: datetime) -> bool:
    assert policy.quiet is not None
    return policy.quiet.over(at.astimezone(CHINA)) > at
