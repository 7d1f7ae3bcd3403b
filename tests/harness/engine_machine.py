"""Observations, acts, failures and time in any order, and what must hold after each of them.

Law of this file: rules do what the outside can do, through the pipeline's own code; checks know nothing of
how the engine decides, only what people were promised: docs/reference/alarm-lifecycle.md lists them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from central.engine import decide
from central.engine.book import BUILT_IN, Book
from central.engine.decide import Observed, Seen
from central.engine.effects import DueKind
from central.engine.model import (
    Act,
    ActKind,
    Alarm,
    AlarmState,
    Condition,
    Disposition,
    Grade,
    NotAllowed,
)
from central.engine.model import (
    Cause as Why,
)
from central.engine.verify import Around, verify
from central.engine.window import Window, WindowKind
from central.notifier.channel import Outcome, Sent, TryLater
from central.notifier.plan import fall_back
from central.notifier.retry import longest_wait, next_try
from central.pipeline.carry_out import Cause, carry_out
from central.pipeline.judge import Told, end_for_owner, judge, silence
from central.pipeline.watch import _climb as climb
from central.store.deliveries import Standing
from central.store.sources import Source
from central.worker import why_needless
from tests.harness.engine_promises import BY_PERSON, Post, Promises
from tests.harness.engine_world import (
    AREA,
    CONDITIONS,
    DETECTORS,
    DUTIES,
    EVERYBODY,
    GATEWAYS,
    HOME,
    OUTCOMES,
    PERSONS,
    policies,
)
from tests.harness.memory_work import MemoryWork, done, next_row

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACTIVE = (AlarmState.ACTIVE_UNACKNOWLEDGED, AlarmState.ACTIVE_ACKNOWLEDGED)
LIFE = (Condition.SMOKE, Condition.HEAT)
HANDS = (ActKind.ON_SCENE, ActKind.OFFER, ActKind.ACCEPT, ActKind.DECLINE, ActKind.TAKE_OVER)
AROUND = st.builds(
    Around,
    neighbours=st.integers(0, 1),
    latest=st.none() | st.sampled_from([20.0, 60.0]),
    needs=st.sampled_from([(), ("卧床",)]),
)
SPANS = st.one_of(st.integers(0, 10), st.integers(60, 200), st.integers(590, 4000))
WHICH = st.one_of(st.just(0), st.integers(0, 30))
AGO = st.one_of(st.just(0), st.integers(0, 90), st.integers(0, 200_000))
"""Seconds between an observation and its arrival."""


class Line:
    """What one gateway has said: its streams and their numbers."""

    def __init__(self, now: datetime) -> None:
        self.streams: list[tuple[str, datetime]] = [("s-0", now)]
        self.seq = 1000

    def told(self, gateway: str, at: datetime) -> Told:
        """The next event."""
        self.seq += 2
        name, began = self.streams[-1]
        return Told(AREA, gateway, name, self.seq, self.seq, at, began)

    def late(self, gateway: str, at: datetime) -> Told:
        """An event that comes after all that was said before, though it was recorded first."""
        name, began = self.streams[0]
        seq = 1 if len(self.streams) == 1 else self.seq + 1
        return Told(AREA, gateway, name, seq, seq, at, began)


class EngineMachine(RuleBasedStateMachine):
    """One home. Whatever comes, what `checked` says holds."""

    def __init__(self) -> None:
        super().__init__()
        self.work = MemoryWork(T0, HOME)
        self.work.registered = {"d-1", "d-2"}
        self.work.on_duty = dict(EVERYBODY)
        self.bodies: dict[Any, Any] = {}
        self.lines = {gateway: Line(T0) for gateway in GATEWAYS}
        self.promises = Promises(self.work)

    # -- observations

    @rule(
        gateway=st.sampled_from(GATEWAYS),
        detector=st.sampled_from(DETECTORS),
        condition=st.sampled_from(CONDITIONS),
        seen=st.sampled_from(Seen),
        ago=AGO,
    )
    def hear(self, gateway: str, detector: str, condition: Condition, seen: Seen, ago: int) -> None:
        """A source says something new."""
        told = self.lines[gateway].told(gateway, self.work.now - timedelta(seconds=ago))
        self.promises.doing(lambda: done(judge(self.work, told, detector, condition, seen)), of=gateway)
        if condition in LIFE and seen is Seen.PRESENT:
            found = self.promises.open_of(gateway, detector, condition)
            assert found, "smoke that is told opens an alarm"
            assert found[0].state in ACTIVE, "smoke that is there is shown as there"

    @rule(
        gateway=st.sampled_from(GATEWAYS),
        detector=st.sampled_from(DETECTORS),
        condition=st.sampled_from(CONDITIONS),
        seen=st.sampled_from(Seen),
        ago=AGO,
    )
    def hear_late(self, gateway: str, detector: str, condition: Condition, seen: Seen, ago: int) -> None:
        """A source says something that it saw before what it has said already."""
        told = self.lines[gateway].late(gateway, self.work.now - timedelta(seconds=ago))
        known = done(self.work.word(Source(gateway, detector, condition)))
        before = dict(self.work.alarms)
        self.promises.doing(lambda: done(judge(self.work, told, detector, condition, seen)), of=gateway)
        if known is None or not known.newer_than(told.stream, told.seq, told.began):
            return
        if seen is not Seen.PRESENT or condition not in LIFE:
            assert self.work.alarms == before, "an older word undoes nothing"
        elif not self.promises.open_of(gateway, detector, condition):
            assert done(self.work.covered(gateway, detector, condition, told.at)), "late smoke is looked at"

    @rule(
        gateway=st.sampled_from(GATEWAYS),
        detector=st.sampled_from(DETECTORS),
        present=st.sets(st.sampled_from(CONDITIONS), max_size=3),
        owns=st.booleans(),
    )
    def snapshot(self, gateway: str, detector: str, present: set[Condition], owns: bool) -> None:
        """A gateway says how a detector is; whoever owns it now speaks for those before, too."""
        told = self.lines[gateway].told(gateway, self.work.now)

        def read() -> None:
            for condition in sorted(set(CONDITIONS)):
                seen = Seen.PRESENT if condition in present else Seen.ABSENT
                done(judge(self.work, told, detector, condition, seen))
            if owns:
                done(end_for_owner(self.work, told, detector, frozenset(present)))

        self.promises.doing(read, of=None if owns else gateway)

    @rule(gateway=st.sampled_from(GATEWAYS), detector=st.sampled_from([None, *DETECTORS]))
    def fall_silent(self, gateway: str, detector: str | None) -> None:
        """A gateway, or a detector behind it, cannot be heard any more."""
        found = [
            alarm
            for alarm in self.promises.open_now()
            if alarm.life
            and alarm.gateway == gateway
            and alarm.state in ACTIVE
            and detector in (None, alarm.part)
        ]
        self.promises.doing(lambda: done(silence(self.work, found, Cause())), of=gateway)
        for alarm in found:
            assert not self.work.alarms[alarm.id].acknowledged, "silence in smoke calls again"

    @rule(gateway=st.sampled_from(GATEWAYS))
    def comes_back(self, gateway: str) -> None:
        """The gateway is heard again after a silence."""
        self.work.back_at[gateway] = self.work.now

    @rule(
        detector=st.sampled_from(DETECTORS),
        kind=st.sampled_from([WindowKind.MAINTENANCE, WindowKind.OUT_OF_SERVICE]),
        hours=st.integers(0, 48),
        person=st.sampled_from([None, *PERSONS]),
    )
    def work_begins(self, detector: str, kind: WindowKind, hours: int, person: str | None) -> None:
        """Somebody works on a detector, or it is out of service."""
        begins = self.work.now
        window = Window(1, kind, begins, begins + timedelta(hours=hours), "because", person)
        self.work.worked_on.setdefault(detector, []).append(window)

    @rule(gateway=st.sampled_from(GATEWAYS))
    def new_stream(self, gateway: str) -> None:
        """The gateway begins anew."""
        line = self.lines[gateway]
        began = max(self.work.now, line.streams[-1][1] + timedelta(milliseconds=1))  # as `begin_lanes`
        line.streams.append((f"s-{len(line.streams)}", began))

    # -- people

    @precondition(lambda self: bool(self.work.alarms))
    @rule(
        which=WHICH, kind=st.sampled_from([ActKind.ACKNOWLEDGE, ActKind.ON_WAY]), who=st.sampled_from(PERSONS)
    )
    def take(self, which: int, kind: ActKind, who: str) -> None:
        """Somebody takes an alarm, open or closed, taken or not; or sets out."""
        before = self._pick(which)
        if self._act(before, Act(kind), who):
            assert self.work.alarms[before.id].acknowledged, "who says so has it"

    @precondition(lambda self: bool(self.work.alarms))
    @rule(which=WHICH, kind=st.sampled_from(HANDS), who=st.sampled_from(PERSONS), to=st.sampled_from(PERSONS))
    def hand_over(self, which: int, kind: ActKind, who: str, to: str) -> None:
        """Somebody is there, asks another to take it over, answers, or takes it over by their own word."""
        before = self._pick(which)
        self.promises.says_yes = who if kind in (ActKind.ACCEPT, ActKind.TAKE_OVER) else None
        if self._act(before, Act(kind, to=to), who) and kind in (ActKind.OFFER, ActKind.DECLINE):
            after = self.work.alarms[before.id]
            assert after.acknowledged_by == before.acknowledged_by, "who has it keeps it until another's yes"
        self.promises.says_yes = None

    @precondition(lambda self: bool(self.promises.open_now()))
    @rule(which=WHICH, around=AROUND)
    def second_look(self, which: int, around: Around) -> None:
        """It is looked at again for what makes it graver."""
        found = self.promises.open_now()
        before = found[which % len(found)]
        row = self.work.due.get((before.id, DueKind.STEP))
        waiting = None if row is None else row.step
        policy = done(self.work.policy(before))
        decision = verify(before, around, policy, waiting, self.work.now)
        self.promises.doing(lambda: done(carry_out(self.work, before, decision, Cause())), only=before.id)
        order = list(Grade)
        grade = self.work.alarms[before.id].grade
        assert order.index(grade) >= order.index(before.grade), "a second look only raises"

    @precondition(lambda self: bool(self.work.alarms))
    @rule(
        which=WHICH,
        who=st.sampled_from(PERSONS),
        disposition=st.sampled_from([None, *Disposition]),
        cause=st.sampled_from([None, *Why]),
        remark=st.sampled_from(["", "  ", "went there"]),
    )
    def close(
        self, which: int, who: str, disposition: Disposition | None, cause: Why | None, remark: str
    ) -> None:
        """Somebody says what it was, in time or not, or says nothing that may be said."""
        before = self._pick(which)
        if self._act(before, Act(ActKind.CLOSE, disposition, cause, remark), who):
            assert disposition in BY_PERSON, "no alarm is closed without a person's disposition"

    @precondition(lambda self: bool(self.promises.open_now()))
    @rule(which=WHICH, seen=st.sampled_from(Seen))
    def somebody_else_speaks(self, which: int, seen: Seen) -> None:
        """A source that never asserted it has a word about an alarm."""
        found = self.promises.open_now()
        before = found[which % len(found)]
        observed = Observed(seen, before.severity, self.work.now, same_source=False)
        decision = decide.observe(before, observed, done(self.work.policy(before)), self.work.now)
        assert (decision.after, decision.effects) == (before, ()), "another's word changes nothing"

    def _pick(self, which: int) -> Alarm:
        """Mostly the newest."""
        return list(self.work.alarms.values())[-1 - which % len(self.work.alarms)]

    def _act(self, before: Alarm, asked: Act, who: str) -> bool:
        policy = done(self.work.policy(before))
        try:
            decision = decide.act(before, asked, who, policy, self.work.now)
        except NotAllowed as refused:
            self._check_refusal(before, asked, who, refused)
            return False
        assert before.state is not AlarmState.CLOSED, "nothing is done to a closed alarm"
        if asked.kind is ActKind.CLOSE:
            self.promises.ended_by.setdefault(before.id, set()).add(who)
        said = Cause(who=who)
        self.promises.doing(lambda: done(carry_out(self.work, before, decision, said)), only=before.id)
        return True

    @staticmethod
    def _check_refusal(before: Alarm, asked: Act, who: str, refused: NotAllowed) -> None:
        assert refused.zh, "a refusal has words"
        assert str(refused), "in both languages"
        taken = before.acknowledged and before.state is not AlarmState.CLOSED
        if asked.kind is ActKind.ACKNOWLEDGE and taken:
            assert refused.by == before.acknowledged_by != who, "the second is told who has it"

    # -- failures

    @rule(duties=DUTIES)
    def people_change(self, duties: dict[str, Any]) -> None:
        """Others have the duties, or nobody."""
        self.work.on_duty = duties

    @rule()
    def everybody_is_there(self) -> None:
        """All duties are held."""
        self.work.on_duty = dict(EVERYBODY)

    @rule(saved=policies())
    def policy_changes(self, saved: tuple[Any, Any]) -> None:
        """Somebody, or something, saves a policy, readable or not."""
        self.bodies[saved[0]] = saved[1]
        self.work.book = Book(self.bodies)
        self.promises.note_policy()

    @rule()
    def policies_are_gone(self) -> None:
        """The built-in holds."""
        self.bodies.clear()
        self.work.book = BUILT_IN

    @precondition(lambda self: any(one.state == "pending" for one in self.promises.post.values()))
    @rule(which=st.integers(0, 50), outcome=OUTCOMES)
    def provider_answers(self, which: int, outcome: Outcome) -> None:
        """A message that waits is tried: taken, refused for ever, or put off."""
        waiting = [one for one in self.promises.post.values() if one.state == "pending"]
        one = waiting[which % len(waiting)]
        alarm, planned = self.work.alarms[one.planned.alarm], one.planned
        standing = Standing(
            alarm.state,
            alarm.round,
            alarm.acknowledged,
            alarm.disposition is not None,
            offered_to=alarm.offered_to,
        )
        if why_needless(planned, standing) is not None:
            one.state = "needless"
            if alarm.life and alarm.state is not AlarmState.CLOSED and not alarm.acknowledged:
                # A new round tells the first again, and nobody else: what was for others must still go out.
                assert planned.step == 0 or planned.purpose != "alarm", "who was to be called is called"
            return
        if isinstance(outcome, Sent):
            one.state = "sent"
            return
        one.tries += 1
        one.due_at = next_try(one.tries, outcome, self.work.now, urgent=planned.urgent)
        one.state = "failed" if one.due_at is None else "pending"
        if isinstance(outcome, TryLater) and planned.urgent:
            assert one.due_at is not None, "a fire is never given up for a temporary reason"
        if one.due_at is not None:
            assert self.work.now < one.due_at <= self.work.now + longest_wait(urgent=planned.urgent)
        ways = [r for held in self.work.on_duty.values() for r in held if r.worker == planned.worker]
        if ways and (instead := fall_back(planned, ways[0].contacts)) is not None:
            self.promises.post.setdefault(instead.key, Post(instead))

    # -- time

    @rule(seconds=SPANS)
    def time_passes(self, seconds: int) -> None:
        """What is due is done in its time."""
        until = self.work.now + timedelta(seconds=seconds)
        while (ready := next_row(self.work, until)) is not None:
            alarm, row = ready
            self.work.now = max(self.work.now, row.due_at)
            self._climb(alarm)
        self.work.now = until

    @rule(seconds=st.integers(1, 700_000))
    def nobody_works(self, seconds: int) -> None:
        """The server is down for up to a week; what is due then waits."""
        self.work.now += timedelta(seconds=seconds)

    @rule(hours=st.sampled_from([-1, 1]))
    def clock_steps(self, hours: int) -> None:
        """The server's clock is set; the due rows go with it, as `central.store.clock` sees to."""
        by = timedelta(hours=hours)
        self.work.now += by
        self.work.put_due({key: row._replace(due_at=row.due_at + by) for key, row in self.work.due.items()})

    # -- what must hold

    @initialize()
    def begins(self) -> None:
        """Nothing is open."""
        assert not self.work.alarms

    def _climb(self, alarm: int) -> None:
        before = self.work.alarms[alarm]
        called = DueKind.STEP in {
            k for (a, k), r in self.work.due.items() if a == alarm and r.due_at <= self.work.now
        }
        words = len(self.work.said)
        self.promises.doing(lambda: done(climb(self.work, before)), only=alarm)
        if before.life and called and not before.acknowledged:
            said = {line.what for _, line in self.work.said[words:] if line.alarm == alarm}
            assert said & {"told", "nobody_reachable"}, (
                "a step that is due tells somebody, or says that it cannot"
            )
