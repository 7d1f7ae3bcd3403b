"""What transmitters say becomes observations; a fire in whatever form, and an end only by a normal state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.transmitted import Told, detector_id, told
from gb26875.data import (
    Bare,
    ComponentState,
    DataError,
    Done,
    Kind,
    Operation,
    SystemState,
    Thing,
    TransmitterOperation,
    TransmitterState,
    Unit,
    decode_data,
    text_bytes,
)
from gb26875.frame import TimeTag
from wire.messages import Condition, EventKind

AT = TimeTag(2, 58, 9, 26, 9, 12)
A, C, N = EventKind.ASSERT, EventKind.CLEAR, EventKind.NOTE


def component(state: int, kind: int = 40) -> Unit:
    thing = ComponentState(1, 3, kind, 217, 6, state, text_bytes("走廊"), AT)
    return Unit(Kind.COMPONENT_STATE, (thing,))


def said(unit: Unit, *present: tuple[str, Condition]) -> list[tuple[EventKind, Condition | None, str | None]]:
    return [(one.kind, one.condition, one.detector) for one in told("tx", unit, present)]


@pytest.mark.parametrize("state", [0x0002, 0x0003])
def test_fire_is_fire_whatever_bit_0_says(state: int) -> None:
    """With the address by which the detector is registered, and its maker's words."""
    (one,) = told("tx", component(state), ())
    text = f"走廊（类型 40，区 217，位 6，状态 0x{state:04X}）"
    assert one == Told(A, Condition.SMOKE, "tx-3-217-6", AT, text)
    assert said(component(state, kind=32)) == [(A, Condition.HEAT, "tx-3-217-6")]


def test_only_a_normal_state_ends_what_was_said() -> None:
    """A test does not, and what was never said is not taken back."""
    where = detector_id("tx", 3, 217, 6)
    before = (where, Condition.SMOKE), (where, Condition.FAULT)
    assert said(component(0x0001), *before) == [(C, Condition.SMOKE, where), (C, Condition.FAULT, where)]
    assert said(component(0x0001)) == []
    assert said(component(0x0000), *before) == [(N, None, where)]
    assert said(component(0x0005), *before) == [(C, Condition.SMOKE, where), (A, Condition.FAULT, where)]
    assert said(component(0x0108)) == [(A, Condition.ISOLATED, where), (A, Condition.MAINS_LOST, where)]


@pytest.mark.parametrize(
    ("kind", "thing", "where"),
    [
        (Kind.SYSTEM_STATE, SystemState(1, 3, 0x0002, AT), "tx-3"),
        (Kind.TRANSMITTER_STATE, TransmitterState(0x02, AT), "tx-0"),
        (Kind.OPERATION, Operation(1, 3, Done.MANUAL_ALARM, 0, AT), "tx-3"),
        (Kind.TRANSMITTER_OPERATION, TransmitterOperation(Done.MANUAL_ALARM, 0, AT), "tx-0"),
    ],
)
def test_a_fire_without_a_detector_is_a_fire(kind: Kind, thing: Thing, where: str) -> None:
    """Of an installation, of the transmitter, by a person's hand."""
    assert said(Unit(kind, (thing,))) == [(A, Condition.SMOKE, where)]


def test_the_transmitter_s_own_faults_are_its_own_and_the_rest_is_noted() -> None:
    """Mains and battery; a version, an operation without a call for help."""
    state = Unit(Kind.TRANSMITTER_STATE, (TransmitterState(0x19, AT),))
    assert said(state) == [(A, Condition.MAINS_LOST, None), (A, Condition.LOW_BATTERY, None)]
    over = Unit(Kind.TRANSMITTER_STATE, (TransmitterState(0x01, AT),))
    assert said(over, ("", Condition.MAINS_LOST)) == [(C, Condition.MAINS_LOST, None)]
    noted = Unit(Kind.OPERATION, (Operation(1, 3, Done.RESET, 0, AT),))
    assert said(noted) == [(N, None, None)]
    assert said(Unit(Kind.ROLL_CALL, (Bare(),))) == [(N, None, None)]


@given(st.sampled_from([1, 2, 4, 21, 24]), st.integers(1, 3), st.binary(max_size=140))
def test_any_fire_bit_in_any_packet_is_told(kind: int, count: int, body: bytes) -> None:
    """Every word that is read fits into an event, too."""
    try:
        unit = decode_data(bytes([kind, count]) + body)
    except DataError:
        return
    found = told("a" * 16, unit, ())
    assert all(len(one.text) <= 500 for one in found)
    assert all(one.detector is None or len(one.detector) <= 32 for one in found)
    fires = sum(getattr(thing, "state", 0) >> 1 & 1 for thing in unit.things)
    fires += sum(getattr(thing, "done", 0) >> 2 & 1 for thing in unit.things)
    assert sum(one.condition in (Condition.SMOKE, Condition.HEAT) for one in found) == fires
