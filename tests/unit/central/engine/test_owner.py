"""Who has an alarm: asked, answered, taken over; and that nothing is put off by it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from central.engine.decide import act
from central.engine.effects import Cancel, Decision, DueKind, Purpose, Schedule, Tell
from central.engine.model import Act, ActKind, Alarm, AlarmState, Condition, NotAllowed, Reason, Severity
from central.engine.policy import LIFE

T0 = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
LATER = T0 + timedelta(minutes=5)
FREE = Alarm(
    id=1,
    condition=Condition.SMOKE,
    severity=Severity.LIFE,
    area="a",
    part="d",
    state=AlarmState.ACTIVE_UNACKNOWLEDGED,
    opened_at=T0,
    event_at=T0,
)
WANGS = replace(
    FREE, state=AlarmState.ACTIVE_ACKNOWLEDGED, acknowledged_at=T0, acknowledged_by="wang", on_way_at=T0
)
OFFER = Act(ActKind.OFFER, to="li", remark="I am at the hospital")


def do(alarm: Alarm, kind: ActKind | Act, who: str, now: datetime = LATER) -> Decision:
    return act(alarm, kind if isinstance(kind, Act) else Act(kind), who, LIFE, now)


def after(decision: Decision) -> Alarm:
    assert decision.after is not None
    return decision.after


def test_an_offer_changes_nothing_but_who_was_asked() -> None:
    """The owner, the state, the round and all that is due stay; the one who is asked is told."""
    decision = do(WANGS, OFFER, "wang")
    asked = after(decision)
    assert (asked.offered_to, asked.offered_by, asked.offered_at) == ("li", "wang", LATER)
    assert replace(asked, offered_to=None, offered_by=None, offered_at=None, handovers=0) == WANGS
    assert decision.effects == (Tell(Purpose.OFFER, 1, "li"),)
    assert decision.what == "offered"
    again = do(asked, OFFER, "wang")
    assert (again.after, again.effects, again.what) == (asked, (), None)


def test_who_accepts_has_it_and_nothing_that_is_due_is_put_off() -> None:
    """No row is scheduled anew or cancelled; the old owner is told; the moment of the first yes stays."""
    decision = do(after(do(WANGS, OFFER, "wang")), ActKind.ACCEPT, "li")
    owned = after(decision)
    assert (owned.acknowledged_by, owned.acknowledged_at) == ("li", T0)
    assert (owned.offered_to, owned.on_way_at, owned.state) == (None, None, AlarmState.ACTIVE_ACKNOWLEDGED)
    assert decision.effects == (Tell(Purpose.OWNER, 1, "wang"),)
    assert (decision.reason, decision.what) == (Reason.TAKEN_OVER, "accepted")
    assert do(owned, ActKind.ACCEPT, "li").reason is Reason.ALREADY_YOURS


def test_only_who_was_asked_can_say_yes_or_no() -> None:
    """And a no leaves it where it was, and tells who asked."""
    asked = after(do(WANGS, OFFER, "wang"))
    for kind in (ActKind.ACCEPT, ActKind.DECLINE):
        with pytest.raises(NotAllowed):
            do(asked, kind, "zhao")
    decision = do(asked, ActKind.DECLINE, "li")
    assert (after(decision).acknowledged_by, after(decision).offered_to) == ("wang", None)
    assert decision.effects == (Tell(Purpose.OWNER, 1, "wang"),)
    with pytest.raises(NotAllowed):
        do(after(decision), ActKind.ACCEPT, "li")


def test_somebody_takes_it_over_by_their_own_word() -> None:
    """The one who had it is told, an offer to a third is void, and it is a message of its own each time."""
    decision = do(after(do(WANGS, OFFER, "wang")), ActKind.TAKE_OVER, "zhao")
    owned = after(decision)
    assert (owned.acknowledged_by, owned.offered_to, owned.handovers) == ("zhao", None, 2)
    assert decision.effects == (Tell(Purpose.OWNER, 2, "wang"),)
    back = do(owned, ActKind.TAKE_OVER, "wang")
    assert back.effects == (Tell(Purpose.OWNER, 3, "zhao"),)
    assert do(owned, ActKind.TAKE_OVER, "zhao").reason is Reason.ALREADY_YOURS


def test_the_command_centre_assigns_what_nobody_has_and_it_climbs_until_the_yes() -> None:
    """The yes is the acknowledgement: the climb ends, the deadlines begin."""
    decision = do(FREE, OFFER, "desk")
    assert after(decision).state is AlarmState.ACTIVE_UNACKNOWLEDGED
    assert decision.effects == (Tell(Purpose.OFFER, 1, "li"),)
    taken = do(after(decision), ActKind.ACCEPT, "li")
    assert (after(taken).acknowledged_by, after(taken).acknowledged_at) == ("li", LATER)
    assert Cancel(DueKind.STEP) in taken.effects
    assert {effect.kind for effect in taken.effects if isinstance(effect, Schedule)} == {
        DueKind.DISPOSITION,
        DueKind.STILL_ACTIVE,
    }
    assert taken.effects[-1] == Tell(Purpose.OWNER, 1, "desk")


@pytest.mark.parametrize(
    ("alarm", "done", "who"),
    [
        (WANGS, Act(ActKind.OFFER), "wang"),
        (WANGS, Act(ActKind.OFFER, to="wang"), "desk"),
        (WANGS, Act(ActKind.OFFER, to="desk"), "desk"),
        (replace(WANGS, state=AlarmState.CLOSED, closed_at=T0), OFFER, "wang"),
        (replace(WANGS, state=AlarmState.CLOSED, closed_at=T0), Act(ActKind.TAKE_OVER), "li"),
        (replace(WANGS, state=AlarmState.CLOSED, closed_at=T0), Act(ActKind.ON_SCENE), "li"),
    ],
)
def test_an_offer_to_nobody_to_oneself_or_of_a_closed_alarm_is_refused(
    alarm: Alarm, done: Act, who: str
) -> None:
    """With words in both languages."""
    with pytest.raises(NotAllowed) as refused:
        do(alarm, done, who)
    assert refused.value.zh
    assert refused.value.en


def test_who_is_there_has_it_and_the_first_arrival_is_kept() -> None:
    """Whoever comes later, and through a change of hands; the times to arrive are counted from it."""
    there = after(do(FREE, ActKind.ON_SCENE, "wang"))
    assert (there.acknowledged_by, there.on_scene_at) == ("wang", LATER)
    assert after(do(there, ActKind.ON_SCENE, "wang", LATER + timedelta(minutes=1))).on_scene_at == LATER
    assert after(do(there, ActKind.TAKE_OVER, "li")).on_scene_at == LATER


@given(
    st.lists(
        st.tuples(
            st.sampled_from([kind for kind in ActKind if kind is not ActKind.CLOSE]),
            st.sampled_from(["wang", "li", "zhao"]),
            st.sampled_from(["wang", "li", "zhao", None]),
        ),
        max_size=30,
    )
)
def test_whoever_has_it_has_said_so_themselves_and_no_deadline_moves(
    acts: list[tuple[ActKind, str, str | None]],
) -> None:
    """Whatever people do to each other: owner and deadlines change in the first yes, then the owner only."""
    alarm = FREE
    for kind, who, to in acts:
        try:
            decision = do(alarm, Act(kind, to=to), who)
        except NotAllowed:
            continue
        now = after(decision)
        if now.acknowledged_by != alarm.acknowledged_by:
            assert now.acknowledged_by == who
            assert kind is not ActKind.OFFER
        if alarm.acknowledged:
            assert now.acknowledged_at == alarm.acknowledged_at
            assert not [effect for effect in decision.effects if isinstance(effect, Schedule | Cancel)]
        assert now.round == 1
        alarm = now
