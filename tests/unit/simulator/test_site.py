"""A site without lines: who answers, with what, and what orders do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from device_profiles.load import load_profiles
from simulator.faults import Kind
from simulator.orders import Do, Order, OrderError
from simulator.rtu import Request
from simulator.scenario import BusSpec, DetectorSpec
from simulator.site import Site

PROFILES = load_profiles()
STATE = bytes.fromhex("04 0000 0001")


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


def site(*detectors: DetectorSpec, **bus: Any) -> tuple[Site, Hands]:
    clock = Hands()
    spec = BusSpec(**{"id": "b", "link": "l", "detector": detectors} | bus)
    return Site([spec], PROFILES, clock), clock


def two() -> tuple[Site, Hands]:
    return site(DetectorSpec(id="d-1", unit=1, seed=1), DetectorSpec(id="d-2", unit=2, seed=2))


def ask(one: Site, unit: int, pdu: bytes, transaction: int | None = None) -> bytes | None:
    answer = one.answer("b", Request(unit, pdu, transaction))
    return None if answer is None else answer.pdu


def do(one: Site, **order: Any) -> dict[str, Any]:
    return one.do(msgspec.convert(order, Order))


def test_a_flip_shows_in_the_next_read_of_that_detector_alone() -> None:
    """The order tells the moment."""
    one, clock = two()
    assert ask(one, 1, STATE) == bytes.fromhex("04 02 0000")
    assert do(one, do="flip", detector="d-1") == {"at": clock.now}
    assert ask(one, 1, STATE) == bytes.fromhex("04 02 0001")
    assert ask(one, 2, STATE) == bytes.fromhex("04 02 0000")
    do(one, do="flip", detector="d-1", on=False)
    assert ask(one, 1, STATE) == bytes.fromhex("04 02 0000")


def test_the_moment_of_the_alarm_is_known_between_polls() -> None:
    """Ticks move the air on; nobody has to read."""
    one, clock = two()
    lit = do(one, do="ignite", detector="d-1")["at"]
    for _ in range(400):
        clock.now += 0.05
        one.tick()
    since = do(one, do="state", detector="d-1")["smoke_since"]
    assert 5 < since - lit < 20


def test_unused_places_are_refused_as_a_device_would() -> None:
    """Address, function, count, value; silence for a unit that is not there."""
    one, _ = two()
    assert ask(one, 1, bytes.fromhex("04 0005 0001")) == b"\x84\x02"
    assert ask(one, 1, bytes.fromhex("03 0000 0001")) == b"\x83\x01"
    assert ask(one, 1, bytes.fromhex("04 0000 0011")) == b"\x84\x03"
    assert ask(one, 1, bytes.fromhex("06 0100 0099")) == b"\x86\x03"
    assert ask(one, 1, bytes.fromhex("06 0101 0052")) == b"\x86\x02"
    assert ask(one, 9, STATE) is None
    assert ask(one, 9, STATE, transaction=1) == b"\x84\x0b"


def test_writes_of_the_reference_map_mute_test_and_reset() -> None:
    """0x4D, 0x54, 0x52 at 256; a write is answered with itself, a broadcast is obeyed in silence."""
    one, _ = two()
    for value, bit in ((0x4D, 0x80), (0x54, 0x84), (0x52, 0x00)):
        pdu = bytes.fromhex(f"06 0100 00{value:02X}")
        assert ask(one, 1, pdu) == pdu
        assert ask(one, 1, STATE) == bytes((4, 2, 0, bit))
    assert ask(one, 0, bytes.fromhex("06 0100 0054")) is None
    assert ask(one, 2, STATE) == bytes.fromhex("04 02 0004")


def test_the_order_to_sound_lasts_until_mute_or_reset_and_is_no_alarm() -> None:
    """0x53 at 256: what an agent uses a siren for while its centre is silent."""
    one, _ = two()
    for ends in (0x4D, 0x52):
        assert ask(one, 1, bytes.fromhex("06 0100 0053")) == bytes.fromhex("06 0100 0053")
        assert one.detectors["d-1"].state.sounding
        assert ask(one, 1, bytes.fromhex(f"06 0100 00{ends:02X}")) is not None
        assert not one.detectors["d-1"].state.sounding
    ask(one, 1, bytes.fromhex("06 0100 0053"))
    assert ask(one, 1, STATE) == bytes.fromhex("04 02 0000")


def test_a_panel_answers_for_all_its_points() -> None:
    """One unit, one read over several detectors and the panel's power; a point not there refuses."""
    one, _ = site(
        DetectorSpec(id="power", unit=1, profile="gst200-panel"),
        DetectorSpec(id="p-1", unit=1, profile="gst200-point", point=1),
        DetectorSpec(id="p-2", unit=1, profile="gst200-point", point=2),
    )
    do(one, do="flip", detector="p-2")
    assert ask(one, 1, bytes.fromhex("03 0000 0002")) == bytes.fromhex("03 04 0000 0001")
    assert ask(one, 1, bytes.fromhex("03 00F2 0003")) == bytes.fromhex("03 06 0000 0000 0000")
    assert ask(one, 1, bytes.fromhex("03 0000 0003")) == b"\x83\x02"
    assert do(one, do="polls")["polls"] == {"power": 1, "p-1": 1, "p-2": 1}


def test_a_fault_heals_after_its_times_and_a_detectors_own_goes_before_the_buss() -> None:
    """`times` counts answers."""
    one, _ = two()
    do(one, do="fault", bus="b", fault="slow")
    do(one, do="fault", detector="d-1", fault="silent", times=2)
    kinds = [one.answer("b", Request(1, STATE)) for _ in range(3)]
    assert [a.fault.kind for a in kinds if a and a.fault] == [Kind.SILENT, Kind.SILENT, Kind.SLOW]
    do(one, do="clear_fault", bus="b")
    answer = one.answer("b", Request(1, STATE))
    assert answer is not None
    assert answer.fault is None


def test_orders_change_what_is_told() -> None:
    """remove, refit, break, repair, set, press_test for all of them."""
    one, _ = two()
    do(one, do="press_test", detector="*", seconds=5)
    do(one, do="remove", detector="d-1")
    do(one, do="break", detector="d-2")
    do(one, do="set", detector="d-2", battery=2.2, contamination=90)
    states = do(one, do="state", detector="*")["states"]
    assert states["d-1"]["conditions"] == ["removed", "test"]
    assert states["d-2"]["conditions"] == ["contaminated", "fault", "low_battery", "test"]
    do(one, do="refit", detector="d-1")
    do(one, do="repair", detector="d-2")
    assert do(one, do="state", detector="d-1")["conditions"] == ["test"]
    assert "fault" not in do(one, do="state", detector="d-2")["conditions"]


def test_another_device_in_its_place_has_another_number() -> None:
    """What an agent must notice."""
    one, _ = two()
    number = bytes.fromhex("04 0010 0002")
    assert ask(one, 1, number) == bytes.fromhex("04 04 0000 0001")
    do(one, do="set", detector="d-1", serial_number=0x00ABCDEF)
    assert ask(one, 1, number) == bytes.fromhex("04 04 00AB CDEF")


@pytest.mark.parametrize(
    ("order", "key", "says"),
    [
        ({"do": "ignite"}, "detector", "needs a detector"),
        ({"do": "ignite", "detector": "d-11"}, "detector", "did you mean 'd-1'"),
        ({"do": "ignite", "detector": "d-1", "bus": "b"}, "bus", "remove bus"),
        ({"do": "ignite", "detector": "d-1", "ms": 5}, "ms", "does not go with ignite"),
        ({"do": "unplug"}, "bus", "needs a bus"),
        ({"do": "unplug", "bus": "c"}, "bus", "there is no bus 'c'"),
        ({"do": "fault", "detector": "d-1"}, "fault", "silent"),
        ({"do": "fault", "fault": "silent"}, "detector", "one of them"),
        ({"do": "fault", "detector": "d-1", "fault": "echo"}, "fault", "name the bus"),
        ({"do": "set", "detector": "d-1"}, "do", "battery"),
    ],
)
def test_orders_that_make_no_sense_say_what_is_wrong(order: dict[str, Any], key: str, says: str) -> None:
    """And change nothing."""
    one, _ = two()
    with pytest.raises(OrderError, match=says) as caught:
        do(one, **order)
    assert caught.value.key == key


def test_faults_that_need_a_checksum_are_refused_on_modbus_tcp() -> None:
    """TCP has none of its own."""
    one, _ = site(DetectorSpec(id="d-1", unit=1), transport="tcp", link=None, port=0)
    with pytest.raises(OrderError, match="cannot happen"):
        do(one, do="fault", detector="d-1", fault="crc_error")
    with pytest.raises(OrderError, match="cannot happen"):
        do(one, do="fault", bus="b", fault="noise")


def test_every_word_has_its_deed() -> None:
    """No order of the language ends in a bug."""
    one, _ = two()
    extra: dict[Do, dict[str, Any]] = {
        Do.FAULT: {"fault": "slow"},
        Do.SET: {"battery": 3},
        Do.LIST: {"detector": None},
        Do.POLLS: {"detector": None},
    }
    for word in Do:
        if word not in (Do.PLUG, Do.UNPLUG):
            told = do(one, **{"do": word, "detector": "d-1"} | extra.get(word, {}))
            assert told["at"] == one.clock()
