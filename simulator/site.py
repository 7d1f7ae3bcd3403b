"""The detectors of a site while they live: who is asked, what is answered, what orders do to them.

Law of this file: no I/O. Lines bring requests and take answers; the clock is given. It is the only place that
changes a detector's state.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from device_profiles.schema import Action, Profile
from simulator import detector as physics
from simulator import rtu
from simulator.addresses import UnitMap
from simulator.detector import State, Traits
from simulator.faults import NOT_IN, NOT_ON_TCP, Fault, Kind
from simulator.orders import Do, Order, OrderError, check
from simulator.registers import Shown, encode, show
from simulator.scenario import BusSpec

_BY_WRITE = {
    Action.RESET: physics.reset,
    Action.MUTE: physics.mute,
    Action.TEST: physics.press_test,
    Action.IDENTIFY: physics.identify,
    Action.SOUND: physics.sound,
}


@dataclass(slots=True)
class Simulated:
    """One detector of the site."""

    id: str
    bus: str
    unit: int
    profile: Profile
    point: int | None
    state: State
    fault: Fault | None = None
    polls: int = 0
    """Requests that reached it."""
    resets: int = 0
    """Orders to reset it."""


@dataclass(slots=True)
class LiveBus:
    """One bus: its units and what is wrong with all of it."""

    spec: BusSpec
    units: dict[int, UnitMap] = field(default_factory=dict)
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a unit says, before any fault, and the fault to apply."""

    unit: int
    pdu: bytes
    fault: Fault | None


class Site:
    """All detectors, by name and by place. `clock` gives seconds since 1970."""

    def __init__(
        self, buses: Sequence[BusSpec], profiles: Mapping[str, Profile], clock: Callable[[], float]
    ) -> None:
        self.clock = clock
        self.rng = random.Random(1)
        self.detectors: dict[str, Simulated] = {}
        self.buses: dict[str, LiveBus] = {}
        now = clock()
        for spec in buses:
            live = self.buses[spec.id] = LiveBus(spec)
            for one in spec.detector:
                profile = profiles[one.profile]
                traits = Traits(
                    seed=one.seed,
                    alarm_at=one.alarm_at,
                    latch=one.latch,
                    serial_number=one.seed if one.serial_number is None else one.serial_number,
                    born=now,
                )
                live.units.setdefault(one.unit, UnitMap()).add(one.id, profile, one.point)
                self.detectors[one.id] = Simulated(
                    one.id, spec.id, one.unit, profile, one.point, physics.new(traits, now)
                )

    def answer(self, bus: str, request: rtu.Request) -> Answer | None:
        """What comes back for a request on a bus; None: nobody answers (no such unit, a broadcast)."""
        live = self.buses[bus]
        if request.unit == 0 and request.transaction is None:
            for unit in live.units.values():
                self._serve(unit, request.pdu)
            return None
        unit_map = live.units.get(request.unit)
        if unit_map is None:
            if request.transaction is None:
                return None
            refusal = rtu.refusal_answer(request.pdu[0] & 0x7F, rtu.NO_ANSWER_BEHIND_GATEWAY)
            return Answer(request.unit, refusal, None)
        pdu, asked = self._serve(unit_map, request.pdu)
        return Answer(request.unit, pdu, self.fault_of(bus, asked))

    def fault_of(self, bus: str, asked: Sequence[Simulated], *, count: bool = True) -> Fault | None:
        """What is wrong with what these say now; counted against the times it has left."""
        live = self.buses[bus]
        faulty = next((one for one in asked if one.fault is not None), None)
        fault = faulty.fault if faulty else live.fault
        if count and fault is not None and fault.times is not None:
            left = None if fault.times == 1 else Fault(fault.kind, fault.ms, fault.code, fault.times - 1)
            if faulty:
                faulty.fault = left
            else:
                live.fault = left
        return fault

    def on(self, bus: str) -> list[Simulated]:
        """The detectors of a bus."""
        return [one for one in self.detectors.values() if one.bus == bus]

    def words(self, one: Simulated) -> dict[tuple[int, int], int]:
        """What a detector's registers hold now: function and address as in its profile -> word."""
        now = self.clock()
        one.state = physics.advance(one.state, now)
        shown = show(one.state, now)
        return {
            (register.function, register.address + place): word
            for register in one.profile.registers
            for place, word in enumerate(encode(one.profile, register, shown))
        }

    def act(self, one: Simulated, action: Action) -> None:
        """A device's own order."""
        one.state = _BY_WRITE[action](one.state, self.clock())

    def echoes(self, bus: str) -> bool:
        """Whether the bus hears itself."""
        live = self.buses[bus]
        return live.fault is not None and live.fault.kind is Kind.ECHO

    def tick(self) -> None:
        """Let the air move on where something is happening."""
        now = self.clock()
        for one in self.detectors.values():
            if physics.restless(one.state):
                one.state = physics.advance(one.state, now)

    def do(self, order: Order) -> dict[str, Any]:
        """Carry out an order about detectors, or a fault of a bus; what is to be told. Raises OrderError."""
        check(order, self.detectors, self.buses)
        now = self.clock()
        told: dict[str, Any] = {"at": round(now, 3)}
        match order.do:
            case Do.LIST:
                told |= self._list()
            case Do.POLLS:
                told["polls"] = {one.id: one.polls for one in self._meant(order)}
            case Do.STATE:
                told["states"] = {one.id: self._told(one, now) for one in self._meant(order)}
                if order.detector != "*":
                    told |= told.pop("states")[order.detector]
            case Do.FAULT | Do.CLEAR_FAULT:
                self._fault(order)
            case Do.UNPLUG | Do.PLUG:
                raise OrderError("do", f"{order.do} is for the line; there is none here")
            case _:
                for one in self._meant(order):
                    one.resets += order.do is Do.RESET
                    one.state = _changed(one.state, order, now)
        return told

    def _serve(self, unit: UnitMap, pdu: bytes) -> tuple[bytes, list[Simulated]]:
        """The right answer of a unit, and the detectors that were asked."""
        function = pdu[0] & 0x7F
        everyone = [self.detectors[name] for name in unit.detectors]
        try:
            asked = rtu.parse(pdu)
            if asked.function not in unit.functions:
                raise rtu.Refusal(rtu.ILLEGAL_FUNCTION)
            if isinstance(asked, rtu.Read):
                return self._read(unit, asked)
            if unit.unit_register is not None and (asked.function, asked.address) == (6, unit.unit_register):
                return self._move(unit, asked.value, pdu)
            return self._write(unit, asked, pdu)
        except rtu.Refusal as refusal:
            if len(everyone) == 1:
                everyone[0].polls += 1
            return rtu.refusal_answer(function, refusal.code), everyone[:1]

    def _read(self, unit: UnitMap, asked: rtu.Read) -> tuple[bytes, list[Simulated]]:
        if asked.count > (unit.max_bits if asked.function <= 2 else unit.max_registers):
            raise rtu.Refusal(rtu.ILLEGAL_VALUE)
        places = unit.at(asked.function, asked.address, asked.count)
        if places is None:
            raise rtu.Refusal(rtu.ILLEGAL_ADDRESS)
        now = self.clock()
        shown: dict[str, Shown] = {}
        coded: dict[tuple[str, str], tuple[int, ...]] = {}
        words = []
        for place in places:
            if place.detector not in shown:
                one = self.detectors[place.detector]
                one.state = physics.advance(one.state, now)
                one.polls += 1
                shown[place.detector] = show(one.state, now)
            key = (place.detector, place.register.name)
            if key not in coded:
                coded[key] = encode(place.profile, place.register, shown[place.detector])
            words.append(coded[key][place.word])
        return rtu.read_answer(asked.function, words), [self.detectors[name] for name in shown]

    def _write(self, unit: UnitMap, asked: rtu.WriteOne, pdu: bytes) -> tuple[bytes, list[Simulated]]:
        found = unit.action(asked.function, asked.address, asked.value)
        if found is None:
            known = unit.writable(asked.function, asked.address)
            raise rtu.Refusal(rtu.ILLEGAL_VALUE if known else rtu.ILLEGAL_ADDRESS)
        action, name = found
        one = self.detectors[name]
        one.polls += 1
        one.state = _BY_WRITE[action](one.state, self.clock())
        return pdu, [one]

    def _move(self, unit: UnitMap, new: int, pdu: bytes) -> tuple[bytes, list[Simulated]]:
        """A device takes another unit id; it still answers this request under the old one."""
        moved = [self.detectors[name] for name in unit.detectors]
        units = self.buses[moved[0].bus].units
        if not 1 <= new <= 247 or new in units:
            raise rtu.Refusal(rtu.ILLEGAL_VALUE)
        del units[moved[0].unit]
        units[new] = unit
        for one in moved:
            one.polls += 1
            one.unit = new
        return pdu, moved

    def _meant(self, order: Order) -> Iterable[Simulated]:
        if order.detector in (None, "*"):
            return self.detectors.values()
        assert order.detector is not None
        return [self.detectors[order.detector]]

    def _fault(self, order: Order) -> None:
        fault = order.the_fault() if order.do is Do.FAULT else None
        if order.bus is not None:
            self._exists(fault, self.buses[order.bus].spec)
            self.buses[order.bus].fault = fault
            return
        if fault is not None and fault.kind is Kind.ECHO:
            raise OrderError("fault", "echo is a fault of a bus; name the bus")
        meant = list(self._meant(order))
        for one in meant:
            self._exists(fault, self.buses[one.bus].spec)
        for one in meant:
            one.fault = fault

    def _exists(self, fault: Fault | None, bus: BusSpec) -> None:
        if fault is not None and bus.transport == "tcp" and fault.kind in NOT_ON_TCP:
            raise OrderError("fault", f"{fault.kind} cannot happen on bus {bus.id!r}, which is Modbus TCP")
        if fault is not None and fault.kind in NOT_IN.get(bus.protocol, ()):
            raise OrderError(
                "fault", f"{fault.kind} cannot happen on bus {bus.id!r}: {bus.protocol} has none"
            )

    def _list(self) -> dict[str, Any]:
        return {
            "buses": {key: live.fault.kind if live.fault else None for key, live in self.buses.items()},
            "detectors": {
                one.id: {"bus": one.bus, "unit": one.unit, "profile": one.profile.id}
                | ({} if one.point is None else {"point": one.point})
                for one in self.detectors.values()
            },
        }

    def _told(self, one: Simulated, now: float) -> dict[str, Any]:
        one.state = physics.advance(one.state, now)
        seen = physics.senses(one.state, now)
        return {
            "conditions": sorted(physics.conditions(one.state, now)),
            "smoke_since": None if one.state.smoke_since is None else round(one.state.smoke_since, 3),
            "air": one.state.air,
            "smoke": None if seen.smoke is None else round(seen.smoke, 2),
            "temperature": None if seen.temperature is None else round(seen.temperature, 1),
            "battery": round(seen.battery, 3),
            "contamination": round(seen.contamination, 1),
            "fault": one.fault.kind if one.fault else None,
            "sounding": one.state.sounding,
            "polls": one.polls,
            "blinking": now < one.state.blinking_until,
        }


def _changed(state: State, order: Order, now: float) -> State:
    """The detector after an order of its own."""
    match order.do:
        case Do.FLIP:
            return physics.flip(state, now, on=order.on)
        case Do.PRESS_TEST:
            return physics.press_test(state, now, order.seconds or physics.TEST_S)
        case Do.BREAK | Do.REPAIR:
            return replace(state, faulty=order.do is Do.BREAK)
        case Do.SET:
            traits, number = state.traits, order.serial_number
            return replace(
                state,
                traits=traits if number is None else replace(traits, serial_number=number),
                battery=state.battery if order.battery is None else order.battery,
                contamination=state.contamination if order.contamination is None else order.contamination,
                temperature=state.temperature if order.temperature is None else order.temperature,
            )
        case _:
            return physics.advance(_SIMPLE[order.do](state, now), now)


_SIMPLE: Mapping[Do, Callable[[State, float], State]] = {
    Do.IGNITE: physics.ignite,
    Do.COOK: physics.cook,
    Do.EXTINGUISH: physics.extinguish,
    Do.MUTE: physics.mute,
    Do.RESET: physics.reset,
    Do.REMOVE: physics.remove,
    Do.REFIT: physics.refit,
}
