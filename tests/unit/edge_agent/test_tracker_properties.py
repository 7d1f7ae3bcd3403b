"""track under any sequence of reads, misses and restarts: what must hold whatever comes."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.decode import Snapshot
from edge_agent.observation import Observation
from edge_agent.tracker import DetectorState, Missed, TrackPolicy, decode_state, encode_state, snapshot, track
from wire.messages import URGENT, Condition, EventKind

ALL = (Condition.SMOKE, Condition.HEAT, Condition.FAULT, Condition.REMOVED)
POLICY = TrackPolicy(chatter_changes=4)


@dataclass(frozen=True)
class Step:
    """One poll, or a restart of the agent before it."""

    after: float
    seen: Snapshot | Missed
    restart: bool
    bus_down: bool


@st.composite
def looks(draw: st.DrawFn) -> Snapshot:
    """Each condition present, absent or unknown; sometimes nothing answered."""
    if draw(st.integers(0, 9)) == 0:
        return Snapshot(frozenset(), frozenset(ALL), good=False)
    said = {condition: draw(st.sampled_from((True, False, False, None))) for condition in ALL}
    return Snapshot(
        frozenset(c for c, s in said.items() if s is True),
        frozenset(c for c, s in said.items() if s is None),
        frozenset(c for c, s in said.items() if s is False),
        identity=draw(st.sampled_from((None, None, 7, 7, 8))),
        blind=said[Condition.SMOKE] is None,
    )


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from((0.1, 1.0, 2.0, 7.0, 30.0, 700.0)),
        st.one_of(looks(), looks(), st.just(Missed("timeout"))),
        st.integers(0, 9).map(lambda n: n == 0),
        st.integers(0, 5).map(lambda n: n == 0),
    ),
    max_size=40,
)


def follow(steps: list[Step]) -> list[tuple[Step, DetectorState | None, DetectorState, list[Observation]]]:
    """Each step with the state before, the state after and what was told."""
    state: DetectorState | None = None
    now, history = 0.0, []
    for step in steps:
        if step.restart and state is not None:
            state, now = decode_state(encode_state(state)), 0.0
        now += step.after
        before = state
        state, told, _ = track(state, step.seen, now, POLICY, detector="d", bus_down=step.bus_down)
        history.append((step, before, state, told))
    return history


def answered(step: Step) -> bool:
    """Whether the read counts."""
    return isinstance(step.seen, Snapshot) and step.seen.good


@given(steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_smoke_and_heat_stand_after_every_read_that_shows_them(steps: list[Step]) -> None:
    """Told within that read, or told before; never held back by anything."""
    for step, _, after, _ in follow(steps):
        if isinstance(step.seen, Snapshot) and step.seen.good:
            assert step.seen.conditions & URGENT <= after.asserted


@given(steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_nothing_ends_without_good_reads_that_say_so(steps: list[Step]) -> None:
    """A clear comes in a read that shows the absence, and at least one such read came before it."""
    absent: dict[Condition, int] = dict.fromkeys(ALL, 0)
    for step, _, _, told in follow(steps):
        if answered(step):
            assert isinstance(step.seen, Snapshot)
            for condition in ALL:
                if condition in step.seen.absent:
                    absent[condition] += 1
                elif condition in step.seen.conditions:
                    absent[condition] = 0
        for one in told:
            if one.kind is EventKind.CLEAR and one.condition in absent:
                assert isinstance(step.seen, Snapshot)
                assert one.condition in step.seen.absent
                assert absent[one.condition] >= 2


@given(steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_a_missed_read_tells_nothing_but_silence(steps: list[Step]) -> None:
    """And leaves every condition as it was."""
    for step, before, after, told in follow(steps):
        if not answered(step):
            assert {(one.kind, one.condition) for one in told} <= {(EventKind.ASSERT, Condition.NO_RESPONSE)}
            was = before.asserted if before is not None else frozenset()
            assert after.asserted - {Condition.NO_RESPONSE} == was - {Condition.NO_RESPONSE}


@given(steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_what_was_told_adds_up_to_what_stands(steps: list[Step]) -> None:
    """Replaying asserts, clears and unknowns gives the state, over restarts too; nothing is told twice."""
    replayed: set[Condition] = set()
    for _, _, after, told in follow(steps):
        for one in told:
            if one.kind is EventKind.ASSERT:
                assert one.condition is not None
                assert one.condition not in replayed
                replayed.add(one.condition)
            elif one.kind in (EventKind.CLEAR, EventKind.UNKNOWN):
                assert one.condition in replayed
                replayed.discard(one.condition)
        assert replayed == after.asserted


@given(steps=STEPS)
@settings(max_examples=200, deadline=None)
def test_the_snapshot_never_denies_what_stands(steps: list[Step]) -> None:
    """Either unknown, or all that was told (a silence aside)."""
    for _, _, after, _ in follow(steps):
        states = snapshot({"d": after}).states
        assert states is not None
        listed = states["d"]
        assert listed is None or set(listed) == after.asserted - {Condition.NO_RESPONSE}
        assert not (listed is None and after.asserted & URGENT and after.answering and not after.lost)


@given(steps=STEPS)
@settings(max_examples=100, deadline=None)
def test_memory_is_bounded(steps: list[Step]) -> None:
    """Whatever flaps, the state stays small."""
    for _, _, after, _ in follow(steps):
        assert all(len(times) <= POLICY.chatter_changes + 1 for times in after.changes.values())
        assert len(after.pending) <= len(ALL)
        assert len(encode_state(after)) < 1000


@given(kept=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_a_state_or_none(kept: bytes) -> None:
    """Nothing is raised."""
    state = decode_state(kept)
    assert state is None or state.detector
