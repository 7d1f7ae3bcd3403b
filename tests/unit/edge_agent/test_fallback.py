"""When the agent calls by itself, whom, and when it stops: examples, and any order of events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.fallback import (
    FIRST_PAUSE_S,
    MOST_ATTEMPTS,
    Ended,
    Fallback,
    Fire,
    Policy,
    Route,
    Way,
    Why,
    decode_marks,
    encode_marks,
    whom,
)
from wire.messages import Condition, Contact

ZHANG, LI = Route(Way.SMS, "13800000101"), Route(Way.SMS, "13800000102")
BOTH = [ZHANG, LI]
POLICY = Policy(ack_within_s=20, alive_within_s=45, watch_s=60)


def fire(number: int = 1, detector: str = "det-1", condition: Condition = Condition.SMOKE) -> Fire:
    return Fire(detector, condition, "b" * 32, number, 1_800_000_000_000 + number)


@dataclass
class Box:
    """The core with a clock and telephones that answer or not."""

    routes: list[Route] = field(default_factory=lambda: list(BOTH))
    dead: set[Route] = field(default_factory=set)
    now: float = 0.0
    core: Fallback = field(init=False)
    calls: list[tuple[float, Route, tuple[Fire, ...]]] = field(default_factory=list)
    begun: list[tuple[float, Fire, Why]] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    centre_lives: bool = True
    heard: Counter[tuple[Route, Fire]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.core = Fallback(POLICY, self.now)

    def run(self, seconds: float) -> None:
        """Let time pass second by second; the centre says every ten that it lives, while it does."""
        for _ in range(round(seconds)):
            self.now += 1
            if self.centre_lives and self.now % 10 == 0:
                self.core.alive(self.now)
            self.begun += [(self.now, one.fire, one.why) for one in self.core.begin(self.now)]
            while (call := self.core.next(Way.SMS, self.now, lambda _: self.routes)) is not None:
                self.calls.append((self.now, call.route, call.fires))
                if call.route not in self.dead:
                    self.heard.update((call.route, one) for one in call.fires)
                self.core.done(call, () if call.route in self.dead else call.fires, self.now)
            self.ended += self.core.end(self.now, lambda _: self.routes)

    def told(self, one: Fire) -> list[Route]:
        return [route for _, route, fires in self.calls if one in fires and route not in self.dead]


def test_no_answer_in_time_calls_everybody_once() -> None:
    """At 20 s, not before; then it is over."""
    box = Box()
    box.core.asserted(fire(), 0)
    box.run(19)
    assert box.begun == box.calls == []
    box.run(600)
    assert box.begun == [(20, fire(), Why.NO_ANSWER)]
    assert [(at, route) for at, route, _ in box.calls] == [(20, ZHANG), (20, LI)]
    assert box.ended == [Ended(fire(), (ZHANG, LI), (), centre_back=False)]


def test_an_answer_in_time_from_a_living_centre_calls_nobody() -> None:
    """The ordinary fire."""
    box = Box()
    box.core.asserted(fire(), 0)
    box.run(1)
    box.core.stored(fire())
    box.run(3600)
    assert box.begun == box.calls == []
    assert box.core.unanswered == []


@pytest.mark.parametrize(("dies_at", "calls"), [(25, True), (39, False)])
def test_a_centre_that_answers_and_then_falls_silent_counts_as_none(dies_at: int, calls: bool) -> None:
    """Last heard at 20 s it is stale at 66 s, within the watch that ends at 80 s; heard at 40 s it is not."""
    box = Box()
    box.core.asserted(fire(), 0)
    box.core.stored(fire())
    box.run(dies_at)
    box.centre_lives = False
    box.core.alive(dies_at)
    box.run(600)
    assert bool(box.calls) is calls
    assert [why for _, _, why in box.begun] == ([Why.SILENT] if calls else [])


def test_an_answer_alone_does_not_help_while_the_centre_has_been_silent_for_long() -> None:
    """Its database lives, its worker is dead: it stores, and tells nobody."""
    box = Box(centre_lives=False)
    box.run(100)
    box.core.asserted(fire(), box.now)
    box.core.stored(fire())
    box.run(30)
    assert [why for _, _, why in box.begun] == [Why.SILENT]


def test_calls_end_when_the_centre_has_it_and_lives() -> None:
    """A dead number is tried with growing pauses; after the late answer no more."""
    box = Box(dead={ZHANG, LI})
    box.core.asserted(fire(), 0)
    box.run(60)
    tries = [at for at, route, _ in box.calls if route == ZHANG]
    assert tries == [20, 25, 35, 55]
    box.core.stored(fire())
    box.run(3600)
    assert [at for at, route, _ in box.calls if route == ZHANG] == tries
    assert box.ended == [Ended(fire(), (), (ZHANG, LI), centre_back=True)]
    assert box.core.marks == []


def test_a_dead_number_is_given_up_at_last() -> None:
    """Twenty times, then it is on record as not told."""
    box = Box(dead={ZHANG})
    box.core.asserted(fire(), 0)
    box.run(3 * 3600)
    assert len([1 for _, route, _ in box.calls if route == ZHANG]) == MOST_ATTEMPTS
    assert box.ended == [Ended(fire(), (LI,), (ZHANG,), centre_back=False)]


def test_several_homes_are_told_in_one_message() -> None:
    """Two floors burn: one call a person."""
    box = Box()
    first, second = fire(1), fire(2, "det-2")
    box.core.asserted(first, 0)
    box.core.asserted(second, 0.5)
    box.run(25)
    assert [(route, fires) for _, route, fires in box.calls][:1] == [(ZHANG, (first,))]
    box = Box()
    box.core.asserted(first, 0)
    box.core.asserted(second, 0)
    box.run(25)
    assert [(route, fires) for _, route, fires in box.calls] == [(one, (first, second)) for one in BOTH]


def test_what_did_not_fit_into_a_message_goes_into_the_next() -> None:
    """An SMS holds few homes: the call says which it told."""
    core = Fallback(POLICY, 0)
    first, second = fire(1), fire(2, "det-2")
    core.asserted(first, 0)
    core.asserted(second, 0)
    core.begin(20)
    call = core.next(Way.SMS, 20, lambda _: [ZHANG])
    assert call is not None
    assert core.next(Way.SMS, 20, lambda _: [ZHANG]) is None, "one message to a person at a time"
    core.done(call, [first], 21)
    again = core.next(Way.SMS, 21, lambda _: [ZHANG])
    assert again is not None
    assert again.fires == (second,)


def test_a_dead_number_does_not_keep_the_others_waiting() -> None:
    """Whoever failed least comes first, however long each attempt takes."""
    core = Fallback(POLICY, 0)
    core.asserted(fire(), 0)
    core.begin(20)
    now, order = 20.0, []
    for _ in range(4):
        call = core.next(Way.SMS, now, lambda _: BOTH)
        assert call is not None
        order.append(call.route)
        now += 60
        core.done(call, (), now)
        now += FIRST_PAUSE_S * 10
    assert order == [ZHANG, LI, ZHANG, LI]


def test_a_repeat_is_the_same_fire_and_a_return_after_the_clear_is_another() -> None:
    """Once an episode."""
    box = Box()
    box.core.asserted(fire(1), 0)
    box.core.asserted(fire(2), 5)
    box.run(60)
    assert len(box.begun) == 1
    box.core.over("det-1", Condition.SMOKE)
    box.core.asserted(fire(3), box.now)
    box.run(60)
    assert [one for _, one, _ in box.begun] == [fire(1), fire(3)]


def test_a_clear_before_the_time_does_not_take_the_call_back() -> None:
    """Smoke that came and went, and nobody knows of it."""
    box = Box()
    box.core.asserted(fire(), 0)
    box.core.over("det-1", Condition.SMOKE)
    box.run(30)
    assert box.told(fire()) == BOTH


def test_after_a_restart_what_was_begun_goes_on_and_nobody_is_told_twice() -> None:
    """Zhang was told before the power went; Li was not."""
    box = Box(dead={LI})
    box.core.asserted(fire(), 0)
    box.run(22)
    kept = encode_marks(box.core.marks)
    after = Box()
    after.core.restore(decode_marks(kept), [fire()], 0)
    after.run(60)
    assert after.begun == []
    assert after.told(fire()) == [LI]


def test_after_a_restart_a_fire_without_answer_or_call_is_watched_anew() -> None:
    """The box lost power between smoke and call; of a detector's fires the newest speaks for all."""
    box = Box()
    box.core.restore([], [fire(1), fire(2), fire(3, "det-2")], 0)
    box.run(60)
    assert [one for _, one, _ in box.begun] == [fire(2), fire(3, "det-2")]


def test_after_a_restart_a_fire_that_followed_one_already_told_is_called() -> None:
    """The first one's call is done and marked; the second began just before the power went."""
    box = Box()
    box.core.asserted(fire(1), 0)
    box.run(30)
    after = Box()
    after.core.restore(decode_marks(encode_marks(box.core.marks)), [fire(1), fire(2)], 0)
    after.run(30)
    assert [one for _, one, _ in after.begun] == [fire(2)]
    again = Box()
    again.core.restore(decode_marks(encode_marks(after.core.marks)), [fire(1), fire(2)], 0)
    again.run(30)
    assert again.begun == []


def test_marks_that_cannot_be_read_cost_a_second_call_at_worst() -> None:
    """A torn or foreign value is no reason not to start."""
    assert decode_marks(None) == decode_marks(b"{") == decode_marks(b"\xff") == decode_marks(b'["x"]') == []


def test_nobody_to_call_is_said() -> None:
    """It ends at once with nothing told, so that the record says so."""
    box = Box(routes=[])
    box.core.asserted(fire(), 0)
    box.run(30)
    assert box.ended == [Ended(fire(), (), (), centre_back=False)]


def test_those_named_for_a_detector_are_called_or_else_everybody() -> None:
    """Named for it, named for all, anybody at all, what the box knows itself."""
    own, other, general = Contact("111", ["det-1"]), Contact("222", ["det-2"]), Contact("333")
    assert whom("det-1", [own, other, general], ["999"]) == ["111", "333"]
    assert whom("det-9", [own, other], ["999"]) == ["111", "222"]
    assert whom("det-1", [], ["999", "999"]) == ["999"]


# -- any order of events

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("assert"), st.integers(0, 2)),
        st.tuples(st.just("clear"), st.integers(0, 2)),
        st.tuples(st.just("stored"), st.integers(0, 2)),
        st.tuples(st.just("run"), st.integers(1, 90)),
        st.tuples(st.just("centre"), st.integers(0, 1)),
        st.tuples(st.just("phones"), st.integers(0, 3)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=40,
)


@given(_STEPS)
def test_in_any_order_each_episode_is_called_at_most_once_and_a_forsaken_one_at_last(
    steps: list[tuple[str, int]],
) -> None:
    """Nobody is told twice of one fire; one that never had an answer is begun."""
    box, number = Box(), 0
    open_fire: dict[int, Fire] = {}
    held: list[Fire] = []
    for what, value in steps:
        detector = f"det-{value}"
        match what:
            case "assert" if value not in open_fire:
                number += 1
                open_fire[value] = fire(number, detector)
                held.append(open_fire[value])
                box.core.asserted(open_fire[value], box.now)
            case "clear" if value in open_fire:
                del open_fire[value]
                box.core.over(detector, Condition.SMOKE)
            case "stored":
                for one in [each for each in held if each.detector == detector]:
                    held.remove(one)
                    box.core.stored(one)
            case "run":
                box.run(value)
            case "centre":
                box.centre_lives = bool(value)
            case "phones":
                box.dead = {route for bit, route in enumerate(BOTH) if value >> bit & 1}
            case "restart":
                marks = decode_marks(encode_marks(box.core.marks))
                box.core = Fallback(POLICY, box.now)
                box.core.restore(marks, held, box.now)
    box.dead = set()
    box.run(POLICY.ack_within_s + 1)
    assert set(box.heard.values()) <= {1}, "somebody was told twice of one fire"
    # The newest fire of each detector that never had an answer has been begun.
    newest = {each.detector: each for each in held}
    assert set(newest.values()) <= {one for _, one, _ in box.begun}


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.booleans())
def test_nobody_is_told_twice_of_one_fire(gaps: list[int], restarts: bool) -> None:
    """With working telephones: exactly once each, however often the agent starts in between."""
    box, fires = Box(), []
    for number, gap in enumerate(gaps):
        fires.append(fire(number, f"det-{number}"))
        box.core.asserted(fires[-1], box.now)
        box.run(gap)
        if restarts:
            marks = decode_marks(encode_marks(box.core.marks))
            box.core = Fallback(POLICY, box.now)
            box.core.restore(marks, fires, box.now)
    box.run(60)
    for one in fires:
        assert sorted(box.told(one)) == sorted(BOTH)
