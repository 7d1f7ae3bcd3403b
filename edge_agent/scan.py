"""Who answers on a bus, and one device moved to another unit: questions out, findings back.

Law of this file: it asks through whoever owns the line and never asks twice in a hurry; a silent unit costs
one timeout; a unit is free only when nothing at all came back from it twice; a write is sent once, and only
reading says whether it was taken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from msgspec import Struct

from device_profiles.schema import Profile, Protocol
from edge_agent.exchange import Kind, ReadError
from edge_agent.plan import ReadRequest, WriteRequest
from edge_agent.rules import configured, protocols
from edge_agent.scan_guess import Guess, Question, guess, questions, reads_of
from wire.messages import BusConfig

TIMEOUT_S = 0.3
"""How long an unknown unit is waited for."""
NOBODY_BEHIND = frozenset({10, 11})
"""Exception codes by which a Modbus TCP gateway says that the device behind it is silent (V1.1b3, 7)."""

Ask = Callable[[ReadRequest | WriteRequest], Awaitable[tuple[int, ...] | ReadError]]
Answer = tuple[int, ...] | ReadError


class ScanError(Exception):
    """It cannot be done; the text says why and the mend."""


class Progress(Struct, frozen=True):
    """How far a scan is."""

    unit: int
    """The one that has just been asked."""
    done: int
    of: int
    found: int


class Found(Struct, frozen=True, omit_defaults=True):
    """A unit from which something came back."""

    unit: int
    detectors: list[str] = []
    """Those configured at it; empty: it is unknown."""
    profile: str | None = None
    """The configured one."""
    fits: bool | None = None
    """Whether it answers as its configured profile wants."""
    trouble: str | None = None
    """What came was no answer to believe."""
    guess: Guess | None = None


class Missing(Struct, frozen=True):
    """A configured detector that does not answer."""

    detector: str
    unit: int


class Scan(Struct, frozen=True):
    """What is on a bus."""

    bus: str
    settings: str
    asked: int
    """Units."""
    found: list[Found]
    missing: list[Missing]


def settings_of(bus: BusConfig) -> str:
    """The line in words, such as `serial /dev/ttyUSB0 at 9600 8N1`."""
    where = f"{bus.transport.value} {bus.address}"
    return (
        where if bus.transport.value == "tcp" else f"{where} at {bus.baud} 8{bus.parity.value}{bus.stop_bits}"
    )


async def scan(
    ask: Ask,
    bus: BusConfig,
    profiles: Mapping[str, Profile],
    units: Sequence[int],
    progress: Callable[[Progress], None],
    like: str | None = None,
) -> Scan:
    """Ask each unit once; whoever answers and is not known is asked for the registers of every model.

    `like` names the model whose first register unknown units are asked for; without it holding register 0,
    which nearly every device answers or refuses. Raises ScanError when the line is lost.
    """
    profiles = _modbus_only(bus, profiles)
    if like is not None and like not in profiles:
        raise ScanError(f"profile {like!r} is unknown: known are {', '.join(sorted(profiles))}")
    members: dict[int, list[str]] = {}
    models: dict[int, Profile] = {}
    for detector, profile in configured(bus, profiles):
        members.setdefault(detector.unit, []).append(detector.detector)
        models.setdefault(detector.unit, profile)
    found: list[Found] = []
    missing: list[Missing] = []
    for done, unit in enumerate(units, 1):
        names, model = members.get(unit, []), models.get(unit)
        answer = await _answer(ask, _first(unit, model or (profiles[like] if like else None)))
        if not _is_silence(answer):
            found.append(await _look(ask, unit, names, model, answer, profiles))
        else:
            missing += [Missing(name, unit) for name in names]
        progress(Progress(unit, done, len(units), len(found)))
    return Scan(bus.bus, settings_of(bus), len(units), found, missing)


async def readdress(
    ask: Ask,
    bus: BusConfig,
    profiles: Mapping[str, Profile],
    *,
    old: int,
    new: int,
    profile: str,
    may_be_configured: bool,
) -> str:
    """Give the device at unit `old` the unit `new`; what came of it in words. Raises ScanError otherwise."""
    profiles = _modbus_only(bus, profiles)
    place = _judge_move(bus, profiles, old, new, profile, may_be_configured=may_be_configured)
    model = profiles[profile]
    before = await _answer(ask, _first(old, model))
    if not isinstance(before, tuple):
        raise ScanError(f"unit {old} does not answer as a {profile} ({_why(before)}): nothing was written")
    for _ in range(2):
        taken = await _answer(ask, _first(new, model))
        if not _is_silence(taken):
            raise ScanError(
                f"unit {new} is taken: something answers there; choose another: nothing was written"
            )
    written = await ask(WriteRequest(unit=old, function=6, address=place, value=new))
    after = await _answer(ask, _first(new, model))
    if isinstance(after, tuple):
        return f"设备地址已由 {old} 改为 {new} / the device now answers at unit {new}"
    said = (
        "confirmed the write"
        if isinstance(written, tuple)
        else f"did not confirm the write ({_why(written)})"
    )
    still = await _answer(ask, _first(old, model))
    if isinstance(still, tuple):
        raise ScanError(
            f"the device {said} and still answers at unit {old}: some take a new unit only after their power "
            f"was off; switch it off and on, then probe units {old} and {new}"
        )
    raise ScanError(
        f"the device {said} and answers neither at {old} nor at {new}: probe all units before anything is "
        "written again"
    )


def _modbus_only(bus: BusConfig, profiles: Mapping[str, Profile]) -> dict[str, Profile]:
    """The models that can be told apart by units and registers. Raises ScanError for another kind of line."""
    spoken = [protocol for protocol in protocols(bus, profiles) if protocol is not Protocol.MODBUS]
    if spoken:
        raise ScanError(f"bus {bus.bus} speaks {spoken[0]}: it has no units that could be asked one by one")
    return {name: profile for name, profile in profiles.items() if profile.protocol is Protocol.MODBUS}


def _judge_move(
    bus: BusConfig,
    profiles: Mapping[str, Profile],
    old: int,
    new: int,
    profile: str,
    *,
    may_be_configured: bool,
) -> int:
    """The wire address to write to. Raises ScanError when it must not be done."""
    model = profiles.get(profile)
    if model is None:
        raise ScanError(f"profile {profile!r} is unknown: known are {', '.join(sorted(profiles))}")
    if model.unit_register is None:
        raise ScanError(
            f"{profile} has no register for its unit: set it on the device (switches, or its own tool)"
        )
    lowest, highest = max(1, model.unit_min), min(247, model.unit_max)
    for unit in (old, new):
        if not lowest <= unit <= highest:
            raise ScanError(f"unit {unit} is outside {lowest} to {highest}, which {profile} can have")
    if old == new:
        raise ScanError("both units are the same: there is nothing to do")
    names = {one.unit: one.detector for one in bus.detectors}
    if new in names:
        raise ScanError(f"unit {new} belongs to {names[new]}: choose a unit that no detector has")
    if old in names and not may_be_configured:
        raise ScanError(
            f"unit {old} is {names[old]}: its home is unwatched until the configuration names the new unit; "
            "add --configured to do it all the same"
        )
    return model.unit_register - model.address_base


async def _look(
    ask: Ask,
    unit: int,
    names: list[str],
    model: Profile | None,
    answer: Answer,
    profiles: Mapping[str, Profile],
) -> Found:
    known = None if model is None else model.id
    if isinstance(answer, ReadError) and answer.kind is not Kind.EXCEPTION:
        why = f"{answer}: two devices at one unit, or noise on the line"
        return Found(unit, names, known, trouble=why, fits=None if model is None else False)
    if model is not None and isinstance(answer, tuple):
        return Found(unit, names, known, fits=True)
    answers: dict[Question, tuple[int, ...] | int | None] = {}
    for key, request in questions(profiles.values(), unit).items():
        said = await _answer(ask, replace(request, unit=unit))
        answers[key] = said if isinstance(said, tuple) else said.code
    best = guess(profiles.values(), unit, answers)
    return Found(unit, names, known, fits=None if model is None else False, guess=best)


def _first(unit: int, model: Profile | None) -> ReadRequest:
    if model is None:
        return ReadRequest(unit, 3, 0, 1, TIMEOUT_S, 0.0, ())
    return replace(reads_of(model, unit).fast[0], unit=unit)


async def _answer(ask: Ask, request: ReadRequest) -> Answer:
    answer = await ask(request)
    if isinstance(answer, ReadError) and answer.kind is Kind.LINE_LOST:
        raise ScanError(f"the line is lost ({answer}): look at the adapter, then ask again")
    return answer


def _is_silence(answer: Answer) -> bool:
    if isinstance(answer, tuple):
        return False
    return answer.kind is Kind.TIMEOUT or (answer.kind is Kind.EXCEPTION and answer.code in NOBODY_BEHIND)


def _why(answer: Answer) -> str:
    return "no words" if isinstance(answer, tuple) else str(answer)
