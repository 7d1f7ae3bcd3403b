"""Who answers at which address of a unit: one detector, or the points of a panel.

Law of this file: pure look-up; it holds no state of any detector.
"""

from __future__ import annotations

from dataclasses import dataclass

from device_profiles.schema import Action, Profile, Register


@dataclass(frozen=True, slots=True)
class Place:
    """One word of the address space: whose register, and which of its words."""

    detector: str
    profile: Profile
    register: Register
    word: int


class UnitMap:
    """Everything that answers to one unit id: address -> register, for one detector or a panel's points."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, int], Place] = {}
        self._writes: dict[tuple[int, int], list[tuple[int, Action, str]]] = {}
        self.detectors: list[str] = []
        self.max_registers = 0
        self.max_bits = 0
        self.unit_register: int | None = None
        """Wire address of the register that keeps the unit id."""

    def add(self, detector: str, profile: Profile, point: int | None) -> str | None:
        """Place a detector's registers; the name of a detector already there when two of them meet."""
        shift = -profile.address_base
        if profile.points is not None and point is not None:
            shift += (point - profile.points.first) * profile.points.stride
        places = {
            (register.function, register.address + shift + word): Place(detector, profile, register, word)
            for register in profile.registers
            for word in range(register.type.words)
        }
        for key in places:
            if key in self._places:
                return self._places[key].detector
        self._places |= places
        for write in profile.writes:
            actions = self._writes.setdefault((write.function, write.address + shift), [])
            actions.append((write.value, write.action, detector))
        if profile.unit_register is not None:
            self.unit_register = profile.unit_register - profile.address_base
        self.detectors.append(detector)
        self.max_registers = max(self.max_registers, profile.poll.max_registers)
        self.max_bits = max(self.max_bits, profile.poll.max_bits)
        return None

    @property
    def functions(self) -> frozenset[int]:
        """Function codes the unit knows."""
        moves = {6} if self.unit_register is not None else set()
        return frozenset({f for f, _ in self._places} | {f for f, _ in self._writes} | moves)

    def at(self, function: int, address: int, count: int) -> list[Place] | None:
        """The places of a read; None when any address is unused."""
        found = [self._places.get((function, address + offset)) for offset in range(count)]
        return None if None in found else [place for place in found if place is not None]

    def action(self, function: int, address: int, value: int) -> tuple[Action, str] | None:
        """The action of a write and its detector; None: not writable there, or the value means nothing."""
        for known, action, detector in self._writes.get((function, address), ()):
            if known == value:
                return action, detector
        return None

    def writable(self, function: int, address: int) -> bool:
        """Whether anything may be written there."""
        return (function, address) in self._writes
