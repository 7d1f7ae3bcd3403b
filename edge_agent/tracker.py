"""What changed: a detector's or a bus's state and one look at it in, the new state and what to record out.

Law of this file: pure; `now` is monotonic seconds. Smoke, heat and test are told in the very read that shows
them; everything else, and every end, needs proof by good reads. A missed read proves nothing: it changes only
how long the detector has been silent. NO_RESPONSE says that all of the detector's conditions are unknown from
now on (no UNKNOWN for each follows); those told before stay as they were told, so one that falls silent in
smoke stays in smoke. Who answers after a silence is for `identity` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from device_profiles.schema import Role
from edge_agent.decode import Snapshot
from edge_agent.identity import doubt, identify
from edge_agent.observation import Observation, Sample
from edge_agent.reporting import report
from edge_agent.tracked import (
    BusState,
    DetectorState,
    Missed,
    Tally,
    TrackPolicy,
    decode_bus,
    decode_state,
    encode_state,
)
from wire.messages import URGENT, Condition, EventKind

__all__ = [
    "BusState",
    "DetectorState",
    "Missed",
    "TrackPolicy",
    "decode_bus",
    "decode_state",
    "doubt",
    "dropped",
    "encode_state",
    "snapshot",
    "track",
    "track_bus",
]

_SHOWN_BY = {
    Condition.SMOKE: Role.SMOKE,
    Condition.PRE_ALARM: Role.SMOKE,
    Condition.HEAT: Role.TEMPERATURE,
    Condition.LOW_BATTERY: Role.BATTERY,
    Condition.CONTAMINATED: Role.CONTAMINATION,
}
_ORDER = {condition: place for place, condition in enumerate(Condition)}


def track(
    state: DetectorState | None,
    seen: Snapshot | Missed,
    now: float,
    policy: TrackPolicy,
    *,
    detector: str,
    bus_down: bool = False,
) -> tuple[DetectorState, list[Observation], Sample | None]:
    """The next state, what to record (urgent first), and a reading if one is due.

    `state` is None for a detector never seen before. While `bus_down` stands, a detector that falls silent is
    counted as lost but not told; it is told with its next missed read after the bus came back.
    """
    state = DetectorState(detector) if state is None else state
    if isinstance(seen, Missed) or not seen.good:
        reason = seen.reason if isinstance(seen, Missed) else "没有读到数据 / nothing was read"
        return *_missed(doubt(replace(state, answering=False)), reason, now, policy, bus_down), None
    state, seen, notes = identify(replace(state, answering=True, last_answer=now), seen, now, policy)
    if seen.blind:
        reason = (
            "没有核实身份 / it has not said who it is"
            if state.doubted
            else "读不到烟雾和温度 / smoke and heat cannot be read"
        )
        state, told = _missed(state, reason, now, policy, bus_down)
    else:
        state, told = _heard(replace(state, last_sight=now))
    state, changes = _judge(state, seen, now, policy)
    if state.doubted:
        return state, told + notes + changes, None
    state, sample = report(state, seen, now, policy)
    return state, told + notes + changes, sample


def _missed(
    state: DetectorState, reason: str, now: float, policy: TrackPolicy, bus_down: bool
) -> tuple[DetectorState, list[Observation]]:
    since = state.silent_since
    if since is None:
        since = now if state.last_sight is None else state.last_sight
    misses = state.misses + 1
    lost = state.lost or (misses >= policy.lost_laps and now - since >= policy.lost_s)
    was_lost, state = state.lost, replace(state, misses=misses, silent_since=since, lost=lost)
    if not lost:
        return state, []
    if not was_lost:
        state = replace(state, pending={})
    if bus_down or Condition.NO_RESPONSE in state.asserted:
        return state, []
    return _tell(state, EventKind.ASSERT, Condition.NO_RESPONSE, text=reason or None)


def _heard(state: DetectorState) -> tuple[DetectorState, list[Observation]]:
    if state.misses or state.lost:
        state = replace(state, misses=0, silent_since=None, lost=False)
    if Condition.NO_RESPONSE not in state.asserted:
        return state, []
    return _tell(state, EventKind.CLEAR, Condition.NO_RESPONSE)


def _tell(
    state: DetectorState,
    kind: EventKind,
    condition: Condition,
    *,
    value: float | None = None,
    text: str | None = None,
) -> tuple[DetectorState, list[Observation]]:
    one = frozenset({condition})
    asserted = state.asserted | one if kind is EventKind.ASSERT else state.asserted - one
    told = Observation(kind, condition, state.detector, value=value, text=text)
    return replace(state, asserted=asserted), [told]


def _judge(
    state: DetectorState, seen: Snapshot, now: float, policy: TrackPolicy
) -> tuple[DetectorState, list[Observation]]:
    """Weigh each condition that this look tells of."""
    state = _count_changes(state, seen, now, policy)
    told: list[Observation] = []
    looked = seen.conditions | seen.absent
    pending = {condition: tally for condition, tally in state.pending.items() if condition not in looked}
    asserted = state.asserted
    ready = seen.absent - asserted
    for condition in seen.conditions - asserted | seen.absent & asserted:
        present = condition in seen.conditions
        before = state.pending.get(condition, Tally(0, now))
        tally = Tally(before.reads + 1, before.since)
        if not _proved(condition, present, tally, now, policy, held=_held(state, condition)):
            pending[condition] = tally
        else:
            ready |= {condition}
            asserted ^= {condition}
            kind = EventKind.ASSERT if present else EventKind.CLEAR
            value = seen.values.get(_SHOWN_BY[condition]) if condition in _SHOWN_BY else None
            told.append(Observation(kind, condition, state.detector, value=value))
    known = state.known if ready <= state.known else state.known | ready
    unread = (looked | seen.unknown) - known
    state = replace(state, asserted=asserted, known=known, unread=unread, pending=pending)
    state, unsteady = _steadiness(state, now, policy)
    return state, sorted(told, key=_rank) + unsteady


def _rank(told: Observation) -> tuple[bool, bool, int]:
    assert told.condition is not None
    return told.kind is not EventKind.ASSERT, told.condition not in URGENT, _ORDER[told.condition]


def _proved(
    condition: Condition, present: bool, tally: Tally, now: float, policy: TrackPolicy, *, held: bool
) -> bool:
    if present:
        return condition in URGENT or tally.reads >= policy.assert_reads
    if held:
        return False
    if condition in URGENT:
        return tally.reads >= policy.urgent_clear_reads and now - tally.since >= policy.urgent_clear_s
    return tally.reads >= policy.clear_reads


def _held(state: DetectorState, condition: Condition) -> bool:
    """Whether its end must wait: it is one of those that made the detector unstable."""
    return Condition.UNSTABLE in state.asserted and bool(state.changes.get(condition))


def _count_changes(state: DetectorState, seen: Snapshot, now: float, policy: TrackPolicy) -> DetectorState:
    """Note raw changes between good reads; forget those out of the window."""
    present, absent = seen.conditions, seen.absent
    changed = state.last_absent & present | state.last_present & absent
    if not (changed or state.changes) and present <= state.last_present and absent <= state.last_absent:
        return state
    changes = dict(state.changes)
    for condition in changed:
        changes[condition] = (*changes.get(condition, ()), now)[-policy.chatter_changes - 1 :]
    kept = {c: tuple(at for at in times if now - at < policy.chatter_s) for c, times in changes.items()}
    return replace(
        state,
        last_present=state.last_present - absent | present,
        last_absent=state.last_absent - present | absent,
        changes={c: times for c, times in kept.items() if times},
        last_change=now if changed else state.last_change,
    )


def _steadiness(
    state: DetectorState, now: float, policy: TrackPolicy
) -> tuple[DetectorState, list[Observation]]:
    """Tell once that a detector cannot make up its mind, and once that it has."""
    if Condition.UNSTABLE in state.asserted:
        if state.last_change is None:  # told before a restart: the calm is counted from here
            return replace(state, last_change=now), []
        if now - state.last_change < policy.chatter_s:
            return state, []
        return _tell(state, EventKind.CLEAR, Condition.UNSTABLE)
    wild = [c.value for c, times in state.changes.items() if len(times) > policy.chatter_changes]
    if not wild:
        return state, []
    minutes = policy.chatter_s / 60
    text = (
        f"{minutes:g} 分钟内变化超过 {policy.chatter_changes} 次 / "
        f"changed more than {policy.chatter_changes} times in {minutes:g} min: {', '.join(sorted(wild))}"
    )
    return _tell(state, EventKind.ASSERT, Condition.UNSTABLE, text=text)


def track_bus(
    state: BusState | None,
    detectors: Iterable[DetectorState],
    port_up: bool,
    now: float,
    policy: TrackPolicy,
    *,
    bus: str,
) -> tuple[BusState, list[Observation]]:
    """Whether the whole line is down: its port stays closed, or all of its two or more detectors are silent.

    Call it after each lap, and about once a second while the port is closed. Pass `BusState.down` to `track`
    as `bus_down`. A line is back when its port is open and a detector has answered since.
    """
    state = BusState(bus) if state is None else state
    started = now if state.started is None else state.started
    port_lost = None if port_up else (now if state.port_lost_since is None else state.port_lost_since)
    state = replace(state, started=started, port_lost_since=port_lost)
    own = list(detectors)
    latest = max((d.last_answer for d in own if d.last_answer is not None), default=started)
    if state.down:
        since = started if state.down_since is None else state.down_since
        heard = any(d.answering and d.last_answer is not None and d.last_answer >= since for d in own)
        if not port_up or not (heard or len(own) < 2):
            return state, []
        state = replace(state, down=False, down_since=None)
        return state, [Observation(EventKind.CLEAR, Condition.BUS_DOWN, bus=bus)]
    silent = (
        len(own) >= 2
        and all(d.misses > 0 and not d.answering for d in own)
        and now - latest >= policy.bus_silent_s
    )
    if port_lost is not None and now - port_lost > policy.port_s:
        text = "串口或网络打不开 / the port cannot be opened"
    elif silent:
        text = "总线上的探测器全部无应答 / no detector on the line answers"
    else:
        return state, []
    state = replace(state, down=True, down_since=now)
    return state, [Observation(EventKind.ASSERT, Condition.BUS_DOWN, bus=bus, text=text)]


def snapshot(states: Mapping[str, DetectorState | None]) -> Observation:
    """All configured detectors with what is present by a good read; None where that is unknown.

    Unknown: not heard since the start, lost, or (unless something urgent stands: that is worth more than the
    rest) doubted or with a condition never read. Take it after the first lap, or all is unknown.
    """
    found: dict[str, tuple[Condition, ...] | None] = {}
    for detector, state in states.items():
        found[detector] = None
        if state is None or state.last_answer is None or state.lost:
            continue
        if state.asserted & URGENT or not (state.unread or state.doubted):
            found[detector] = tuple(sorted(state.asserted - {Condition.NO_RESPONSE}, key=_ORDER.__getitem__))
    return Observation(EventKind.SNAPSHOT, states=found)


def dropped(state: DetectorState | BusState) -> list[Observation]:
    """What to record when it leaves the configuration: each open condition is unknown now, not over."""
    if isinstance(state, BusState):
        open_bus = [Condition.BUS_DOWN] if state.down else []
        return [Observation(EventKind.UNKNOWN, condition, bus=state.bus) for condition in open_bus]
    conditions = sorted(state.asserted, key=_ORDER.__getitem__)
    return [Observation(EventKind.UNKNOWN, condition, state.detector) for condition in conditions]
