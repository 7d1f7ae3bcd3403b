"""plan: every register of every detector exactly once, within all limits, whatever hangs on the bus."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.conditions import Condition
from device_profiles.load import load_profiles
from device_profiles.schema import Document, Group, Meaning, Points, Poll, Profile, Register, Type
from edge_agent.plan import Plan, PlanError, ReadRequest, Target, check, plan, wire_address
from wire.messages import DetectorConfig

PACKAGED = load_profiles()
REFERENCE = PACKAGED["smokewatch-reference"]
POINT = PACKAGED["gst200-point"]
Bus = list[tuple[DetectorConfig, Profile]]


def points(*numbers: int, unit: int = 5) -> Bus:
    """Points of one panel."""
    return [(DetectorConfig(f"p{n}", unit, POINT.id, point=n), POINT) for n in numbers]


def spans(requests: tuple[ReadRequest, ...]) -> list[tuple[int, int, int, int]]:
    """Unit, function, address and count of each."""
    return [(r.unit, r.function, r.address, r.count) for r in requests]


@st.composite
def profiles(draw: st.DrawFn, name: str) -> Profile:
    """A profile with non-overlapping registers, in any types and groups."""
    registers: list[Register] = []
    address = draw(st.integers(0, 5))
    for i in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(list(Type)))
        function = draw(st.sampled_from((1, 2) if kind is Type.BIT else (3, 4)))
        group = Group.FAST if i == 0 else draw(st.sampled_from(list(Group)))
        registers.append(Register(f"r{i}", function, address, kind, group=group))
        address += kind.words + draw(st.sampled_from((0, 0, 0, 1, 3, 20)))
    poll = Poll(
        response_timeout_ms=draw(st.integers(20, 5000)),
        max_registers=draw(st.integers(2, 12)),
        max_bits=draw(st.integers(1, 12)),
        max_hole=draw(st.integers(0, 4)),
        slow_every=draw(st.integers(1, 12)),
    )
    panel = Points(1, 40, address) if draw(st.booleans()) else None
    meaning = Meaning(Condition.SMOKE, "r0", at_least=1.0)
    return Profile(name, name, Document("t", "t"), 0, tuple(registers), (meaning,), poll=poll, points=panel)


@st.composite
def buses(draw: st.DrawFn) -> Bus:
    """Detectors and panel points on a line."""
    bus: Bus = []
    for unit in draw(st.lists(st.integers(1, 247), min_size=1, max_size=5, unique=True)):
        model = draw(profiles(f"model-{unit}"))
        if model.points is None:
            bus.append((DetectorConfig(f"d{unit}", unit, model.id), model))
            continue
        for point in draw(st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True)):
            bus.append((DetectorConfig(f"d{unit}-{point}", unit, model.id, point=point), model))
    return bus


@given(bus=buses())
@settings(max_examples=200, deadline=None)
def test_every_register_of_every_detector_is_read_exactly_once(bus: Bus) -> None:
    """Each target lies where the profile says, in a request of its unit, function and group."""
    made = plan(bus)
    wanted = {
        (one.detector, r.name, r.group, one.unit, r.function, wire_address(model, r, one.point), r.type.words)
        for one, model in bus
        for r in model.registers
    }  # fmt: skip
    found = [
        (t.detector, t.register, group, q.unit, q.function, q.address + t.offset, t.count)
        for group, requests in ((Group.FAST, made.fast), (Group.SLOW, made.slow))
        for q in requests
        for t in q.targets
    ]
    assert len(found) == len(set(found))
    assert set(found) == wanted


@given(bus=buses())
@settings(max_examples=200, deadline=None)
def test_no_request_breaks_a_limit(bus: Bus) -> None:
    """Count within the cap, all of it inside the reply, no hole wider than allowed, timeout of the model."""
    models = {config.unit: model for config, model in bus}
    made = plan(bus)
    for request in made.fast + made.slow:
        poll = models[request.unit].poll
        assert 1 <= request.count <= (poll.max_bits if request.function <= 2 else poll.max_registers)
        assert request.timeout_s == poll.response_timeout_ms / 1000
        covered = sorted((t.offset, t.offset + t.count) for t in request.targets)
        assert covered[0][0] == 0
        assert covered[-1][1] == request.count
        for (_, end), (start, _) in pairwise(covered):
            assert 0 <= start - end <= poll.max_hole


@given(bus=buses(), seed=st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_configuration_does_not_matter(bus: Bus, seed: int) -> None:
    """The same detectors give the same plan."""
    shuffled = random.Random(seed).sample(bus, len(bus))
    assert plan(shuffled) == plan(bus)


@given(bus=buses())
@settings(max_examples=100, deadline=None)
def test_slow_reads_come_round_once_in_their_time_and_a_unit_s_together(bus: Bus) -> None:
    """In `slow_every` laps each slow read falls due exactly once; a unit's are never torn apart."""
    made = plan(bus)
    every = {config.unit: model.poll.slow_every for config, model in bus}
    for request in made.slow:
        due = [lap for lap in range(every[request.unit]) if request in made.slow_part(lap)]
        assert len(due) == 1
        mates = [other for other in made.slow if other.unit == request.unit]
        assert all(mate in made.slow_part(due[0]) for mate in mates)


def test_the_slow_reads_of_many_detectors_are_spread_over_the_laps() -> None:
    """32 reference detectors, every hundredth lap: no lap carries more than one of the slow reads."""
    made = plan([(DetectorConfig(f"d{n}", n, REFERENCE.id), REFERENCE) for n in range(1, 33)])
    assert len(made.fast) == 32
    assert max(len(made.slow_part(lap)) for lap in range(100)) == 1
    assert sum(len(made.slow_part(lap)) for lap in range(100)) == 32


def test_the_points_of_one_panel_share_reads() -> None:
    """Points 1 to 242 take three reads of at most 100 registers."""
    made = plan(points(*range(1, 243)))
    assert spans(made.fast) == [(5, 3, 0, 100), (5, 3, 100, 100), (5, 3, 200, 42)]
    assert made.fast[1].targets[0] == Target("p101", "state", 0, 1)
    assert made.slow == ()


def test_a_hole_between_points_is_not_crossed() -> None:
    """Where unused points might not answer, each run of points is a read of its own."""
    assert spans(plan(points(1, 2, 4)).fast) == [(5, 3, 0, 2), (5, 3, 3, 1)]


def test_a_panel_and_its_points_are_polled_with_the_manners_of_the_stricter() -> None:
    """Power registers 243 to 245 join the points next to them in one read."""
    panel = PACKAGED["gst200-panel"]
    bus = [*points(241, 242), (DetectorConfig("power", 5, panel.id), panel)]
    assert check(bus) == []
    assert spans(plan(bus).fast) == [(5, 3, 240, 5)]


def test_a_32_bit_value_is_never_cut() -> None:
    """With room for three registers, two 32-bit neighbours take two reads."""
    registers = tuple(Register(f"r{i}", 3, i * 2, Type.U32) for i in range(2))
    model = Profile(
        "wide", "wide", Document("t", "t"), 0, registers,
        (Meaning(Condition.SMOKE, "r0", at_least=1.0),), poll=Poll(max_registers=3),
    )  # fmt: skip
    assert spans(plan([(DetectorConfig("d", 1, "wide"), model)]).fast) == [(1, 3, 0, 2), (1, 3, 2, 2)]


def test_an_empty_bus_has_an_empty_plan() -> None:
    """Nothing to read is not an error."""
    assert plan([]) == Plan((), (), ())


def at(detector: str, unit: int, point: int | None = None) -> DetectorConfig:
    """A place on the line."""
    return DetectorConfig(detector, unit, "x", point=point)


@pytest.mark.parametrize(
    ("bus", "words"),
    [
        ([(at("a", 1), REFERENCE), (at("a", 2), REFERENCE)], "a is listed twice"),
        ([(at("a", 1), REFERENCE), (at("b", 1), REFERENCE)], "b is at the same unit"),
        ([(at("a", 1, point=3), REFERENCE)], "remove its point"),
        ([(at("a", 1), POINT)], "say which point (1 to 242)"),
        ([(at("a", 1, point=243), POINT)], "point 243 is outside 1 to 242"),
        ([(at("a", 65), PACKAGED["calectro-ug-3-o-mb-r"])], "unit 65 is outside 1 to 64"),
        ([*points(7), (at("other", 5, point=7), POINT)], "same unit and point as p7"),
    ],
)
def test_what_cannot_be_polled_is_refused_with_the_mend(bus: Bus, words: str) -> None:
    """The text names the detector and what to correct."""
    with pytest.raises(PlanError) as refused:
        plan(bus)
    assert words in str(refused.value)
