"""Which reads serve a bus: profiles and detectors in, requests out.

Law of this file: pure and deterministic. The same detectors in any order give the same plan; every register
of every detector is read exactly once per round of its group; a read never crosses a hole that the device has
not allowed, never exceeds its limit and never cuts a 32-bit value in two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from device_profiles.schema import Group, Poll, Profile, Register
from wire.messages import DetectorConfig

Configured = tuple[DetectorConfig, Profile]


class PlanError(ValueError):
    """The configuration cannot be polled; the text names the detector, what is wrong and the mend."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where in a reply one register of one detector lies: `reply[offset : offset + count]`."""

    detector: str
    register: str
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One read."""

    unit: int
    function: int
    """Modbus function code 1 to 4, or the query of a plain serial protocol."""
    address: int
    """On the wire, from 0."""
    count: int
    """Registers, or bits for functions 1 and 2."""
    timeout_s: float
    gap_s: float
    """Silence that the device wants before the request, beyond 3.5 characters."""
    targets: tuple[Target, ...]

    @property
    def detectors(self) -> tuple[str, ...]:
        """The detectors it serves, in order, each once."""
        return tuple(dict.fromkeys(target.detector for target in self.targets))


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """One register or coil written to a unit that need not be configured."""

    unit: int
    function: int
    """5 or 6."""
    address: int
    """On the wire, from 0."""
    value: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All reads of one bus."""

    fast: tuple[ReadRequest, ...]
    """Read in every lap, in this order."""
    slow: tuple[ReadRequest, ...]
    """Read in parts: `slow_part` says which in which lap."""
    slots: tuple[tuple[int, int], ...]
    """For each of `slow`: it is due in laps where `lap % every == slot`."""

    def slow_part(self, lap: int) -> tuple[ReadRequest, ...]:
        """The slow reads due in this lap (counted from 0), to be read after the fast ones.

        All slow reads of one unit fall into the same lap, so that a condition told by two registers is judged
        on both; the units are spread over the laps, so that no lap carries them all.
        """
        return tuple(
            request
            for request, (every, slot) in zip(self.slow, self.slots, strict=True)
            if lap % every == slot
        )


@dataclass(frozen=True, slots=True)
class _Wanted:
    address: int
    count: int
    detector: str
    register: str


@dataclass(frozen=True, slots=True)
class _Manners:
    """What all profiles behind one unit id can bear."""

    timeout_s: float
    gap_s: float
    max_registers: int
    max_bits: int
    max_hole: int
    slow_every: int


def plan(detectors: Sequence[Configured]) -> Plan:
    """The reads that serve these detectors of one bus. Raises PlanError for what cannot be polled."""
    problems = check(detectors)
    if problems:
        raise PlanError("; ".join(problems))
    fast: list[ReadRequest] = []
    slow: list[ReadRequest] = []
    rounds: list[tuple[int, int]] = []
    slow_units = 0
    ordered = sorted(detectors, key=lambda pair: (pair[0].unit, pair[0].point or 0, pair[0].detector))
    for unit, members in groupby(ordered, key=lambda pair: pair[0].unit):
        own = list(members)
        manners = _manners(profile.poll for _, profile in own)
        fast += _requests(unit, own, Group.FAST, manners)
        rest = _requests(unit, own, Group.SLOW, manners)
        if rest:
            slow += rest
            rounds += [(manners.slow_every, slow_units)] * len(rest)
            slow_units += 1
    slots = tuple((every, place * every // slow_units) for every, place in rounds)
    return Plan(tuple(fast), tuple(slow), slots)


def check(detectors: Sequence[Configured]) -> list[str]:
    """What keeps these detectors from being polled, in words that name the detector and the mend."""
    problems: list[str] = []
    names: set[str] = set()
    places: dict[tuple[int, str, int | None], str] = {}
    devices: dict[int, str] = {}
    for config, profile in detectors:
        who = f"detector {config.detector}"
        if config.detector in names:
            problems.append(f"{who} is listed twice: give each detector its own id")
        names.add(config.detector)
        if not profile.unit_min <= config.unit <= profile.unit_max:
            problems.append(
                f"{who}: unit {config.unit} is outside {profile.unit_min} to {profile.unit_max} of profile "
                f"{profile.id}: correct the unit"
            )
        problems += _check_point(who, config, profile)
        place = (config.unit, profile.id, config.point)
        other = places.setdefault(place, config.detector)
        whole = devices.setdefault(config.unit, config.detector) if profile.points is None else None
        for taken in {other, whole} - {config.detector, None}:
            problems.append(f"{who} is at the same unit and point as {taken}: correct unit or point of one")
    return problems


def _check_point(who: str, config: DetectorConfig, profile: Profile) -> list[str]:
    if profile.points is None:
        if config.point is None:
            return []
        return [f"{who}: profile {profile.id} is one device, not a panel: remove its point"]
    span = f"{profile.points.first} to {profile.points.last}"
    if config.point is None:
        return [f"{who}: profile {profile.id} is a panel: say which point ({span})"]
    if not profile.points.first <= config.point <= profile.points.last:
        return [f"{who}: point {config.point} is outside {span} of profile {profile.id}: correct the point"]
    return []


def _manners(polls: Iterable[Poll]) -> _Manners:
    every = list(polls)
    return _Manners(
        timeout_s=max(poll.response_timeout_ms for poll in every) / 1000,
        gap_s=max(poll.gap_ms for poll in every) / 1000,
        max_registers=min(poll.max_registers for poll in every),
        max_bits=min(poll.max_bits for poll in every),
        max_hole=min(poll.max_hole for poll in every),
        slow_every=min(poll.slow_every for poll in every),
    )


def wire_address(profile: Profile, register: Register, point: int | None) -> int:
    """The address that goes over the line, from 0."""
    shift = 0
    if profile.points is not None and point is not None:
        shift = (point - profile.points.first) * profile.points.stride
    return register.address - profile.address_base + shift


def _requests(unit: int, own: Sequence[Configured], group: Group, manners: _Manners) -> list[ReadRequest]:
    wanted: dict[int, list[_Wanted]] = {}
    for config, profile in own:
        for register in profile.registers:
            if register.group is group:
                address = wire_address(profile, register, config.point)
                wanted.setdefault(register.function, []).append(
                    _Wanted(address, register.type.words, config.detector, register.name)
                )
    requests: list[ReadRequest] = []
    for function in sorted(wanted):
        limit = manners.max_bits if function <= 2 else manners.max_registers
        for block in _blocks(wanted[function], limit, manners.max_hole):
            start = block[0].address
            requests.append(
                ReadRequest(
                    unit=unit,
                    function=function,
                    address=start,
                    count=max(item.address + item.count for item in block) - start,
                    timeout_s=manners.timeout_s,
                    gap_s=manners.gap_s,
                    targets=tuple(
                        Target(item.detector, item.register, item.address - start, item.count)
                        for item in block
                    ),
                )
            )
    return requests


def _blocks(wanted: Iterable[_Wanted], limit: int, max_hole: int) -> list[list[_Wanted]]:
    """Neighbours together, as long as hole and limit allow; each item whole in exactly one block."""
    blocks: list[list[_Wanted]] = []
    start = end = 0
    for item in sorted(wanted, key=lambda w: (w.address, w.count, w.detector, w.register)):
        reach = max(end, item.address + item.count)
        if blocks and item.address - end <= max_hole and reach - start <= limit:
            blocks[-1].append(item)
            end = reach
        else:
            blocks.append([item])
            start, end = item.address, item.address + item.count
    return blocks
