"""Whether the device that answers is the one that was there before; pure.

Law of this file: once a detector's identity is known, what answers at its address after a silence, a restart
or a new line is believed only when it has told the same identity. Until then its fire counts (a fire must
never be lost over a formality) and nothing else does: no end of anything, no reading, no sign of life. When
it is another device, what stood of the old one is unknown from now on, never over, and the new one is
watched in its place.
"""

from __future__ import annotations

from msgspec.structs import replace

from edge_agent.decode import Snapshot
from edge_agent.observation import Observation
from edge_agent.tracked import DetectorState, TrackPolicy
from wire.messages import URGENT, Condition, EventKind


def doubt(state: DetectorState) -> DetectorState:
    """It was silent, or the line is another one: who answers next must say who it is, if it ever did."""
    return replace(state, doubted=state.identity is not None)


def identify(
    state: DetectorState, seen: Snapshot, now: float, policy: TrackPolicy
) -> tuple[DetectorState, Snapshot, list[Observation]]:
    """The state, as much of the look as may be believed, and what to record; `now` in seconds.

    Devices that take turns at one address are told of once in `policy.chatter_s`.
    """
    if seen.identity is None:
        return state, _only_fire(seen) if state.doubted else seen, []
    if state.identity in (None, seen.identity):
        return replace(state, identity=seen.identity, doubted=False), seen, []
    told = [
        Observation(EventKind.UNKNOWN, condition, state.detector)
        for condition in Condition
        if condition in state.asserted and condition is not Condition.NO_RESPONSE
    ]
    noted_at = state.noted_at
    if noted_at is None or now - noted_at >= policy.chatter_s:
        noted_at = now
        text = (
            f"此地址上换了设备 / another device answers at this address: {state.identity} -> {seen.identity}"
        )
        told.insert(0, Observation(EventKind.NOTE, detector=state.detector, text=text))
    other = DetectorState(
        state.detector,
        asserted=state.asserted & {Condition.NO_RESPONSE},
        identity=seen.identity,
        noted_at=noted_at,
        answering=state.answering,
        last_answer=state.last_answer,
        misses=state.misses,
        silent_since=state.silent_since,
        lost=state.lost,
    )
    return other, seen, told


def _only_fire(seen: Snapshot) -> Snapshot:
    fire = seen.conditions & URGENT
    everything = seen.conditions | seen.absent | seen.unknown
    return replace(
        seen, conditions=fire, absent=frozenset(), unknown=everything - fire, values={}, blind=True
    )
