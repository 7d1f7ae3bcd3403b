"""A site and its story from a TOML file.

Law of this file: a file that breaks a rule is refused whole; every complaint names file, key and mend.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from device_profiles.schema import Profile, Protocol
from simulator.addresses import UnitMap
from simulator.detector import ALARM_AT
from simulator.orders import Order, OrderError, check

MAX_BYTES = 4_000_000
Id = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$")]
_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)


class DetectorSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One detector on a bus."""

    id: Id
    unit: Annotated[int, Meta(ge=1, le=247)]
    profile: str = "smokewatch-reference"
    point: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """Which of a panel's points."""
    seed: Annotated[int, Meta(ge=0, le=0xFFFFFFFF)] = 0
    """Makes it different from its neighbours, always in the same way."""
    serial_number: Annotated[int, Meta(ge=0, le=0xFFFFFFFF)] | None = None
    """None: the seed."""
    alarm_at: Annotated[float, Meta(gt=0, le=100)] = ALARM_AT
    """%/m."""
    latch: bool = False


class BusSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line. `pty` needs `link`; `tcp` (Modbus TCP) and `rtu_tcp` (a serial server) need `port`."""

    id: Id
    transport: Literal["pty", "tcp", "rtu_tcp"] = "pty"
    protocol: Protocol = Protocol.MODBUS
    """The one that the profiles of its detectors name."""
    link: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """Path of the symbolic link that leads to the pseudo-terminal."""
    host: Annotated[str, Meta(min_length=1, max_length=200)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """0: any free one."""
    baud: Annotated[int, Meta(ge=300, le=921_600)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Annotated[int, Meta(ge=1, le=2)] = 1
    delay_ms: Annotated[float, Meta(ge=0, le=10_000)] = 30.0
    """How long a device thinks before it answers."""
    detector: tuple[DetectorSpec, ...] = ()


class Step(Order, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One order of the story, `at` seconds after the start."""

    at: Annotated[float, Meta(ge=0, le=31_536_000)]


class SiteFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole site."""

    bus: Annotated[tuple[BusSpec, ...], Meta(min_length=1, max_length=256)]
    story: tuple[Step, ...] = ()


class SiteError(Exception):
    """A site that cannot be played. `problems`: key, what is wrong and the mend, for each."""

    def __init__(self, file: str, problems: Iterable[tuple[str, str]]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__("\n".join(": ".join(filter(None, (file, *one))) for one in self.problems))


def load_site(path: Path, profiles: Mapping[str, Profile]) -> SiteFile:
    """A site from its file; relative links are taken from the file's folder. Raises SiteError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SiteError(str(path), [("", f"cannot be read: {error.strerror}; check the path")]) from error
    site = parse(content, str(path), profiles)
    buses = tuple(
        msgspec.structs.replace(bus, link=str(path.parent / bus.link)) if bus.link else bus
        for bus in site.bus
    )
    return msgspec.structs.replace(site, bus=buses)


def parse(content: bytes, file: str, profiles: Mapping[str, Profile]) -> SiteFile:
    """A site from its bytes. Raises SiteError."""
    if len(content) > MAX_BYTES:
        raise SiteError(file, [("", "is larger than 4 MB; split it into several sites")])
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise SiteError(file, [("", f"is not UTF-8 at byte {error.start}; save it as UTF-8")]) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SiteError(file, [("", f"is not TOML: {error}; correct it there")]) from error
    try:
        site = msgspec.convert(table, SiteFile, strict=True)
    except msgspec.ValidationError as error:
        raise SiteError(file, [_mismatch(error)]) from error
    return check_site(site, file, profiles)


def check_site(site: SiteFile, file: str, profiles: Mapping[str, Profile]) -> SiteFile:
    """The same site when all of it holds, whether from a file or built in code. Raises SiteError."""
    try:
        msgspec.convert(msgspec.to_builtins(site), SiteFile, strict=True)
    except msgspec.ValidationError as error:
        raise SiteError(file, [_mismatch(error)]) from error
    problems = list(_check(site, profiles))
    if problems:
        raise SiteError(file, problems)
    return site


def _mismatch(error: msgspec.ValidationError) -> tuple[str, str]:
    match = _PATH.match(str(error))
    assert match is not None
    return match["path"] or "", f"{match['what']}; correct it"


def _check(site: SiteFile, profiles: Mapping[str, Profile]) -> Iterable[tuple[str, str]]:
    """All that the types cannot say."""
    buses: set[str] = set()
    detectors: set[str] = set()
    places: dict[str, str] = {}
    for b, bus in enumerate(site.bus):
        key = f"bus[{b}]"
        if bus.id in buses:
            yield f"{key}.id", f"{bus.id!r} is there twice; give each bus its own"
        buses.add(bus.id)
        yield from _where(key, bus, places)
        units: dict[int, UnitMap] = {}
        for d, one in enumerate(bus.detector):
            at = f"{key}.detector[{d}]"
            if one.id in detectors:
                yield f"{at}.id", f"{one.id!r} is there twice; give each detector its own"
            detectors.add(one.id)
            profile = profiles.get(one.profile)
            if profile is None:
                close = difflib.get_close_matches(one.profile, profiles, 1)
                mend = f"did you mean {close[0]!r}?" if close else f"use one of: {', '.join(profiles)}"
                yield f"{at}.profile", f"there is no profile {one.profile!r}; {mend}"
                continue
            if profile.protocol != bus.protocol:
                mend = f'write protocol = "{profile.protocol}", or move it to another bus'
                yield (
                    f"{key}.protocol",
                    f"is {bus.protocol}, {one.id!r} speaks {profile.protocol}; {mend}",
                )
                continue
            wrong = _unit_and_point(one, profile)
            if wrong is not None:
                yield f"{at}.{wrong[0]}", wrong[1]
                continue
            other = units.setdefault(one.unit, UnitMap()).add(one.id, profile, one.point)
            if other is not None:
                yield f"{at}.unit", f"{one.unit} is taken by {other!r} with the same registers; use another"
    for s, step in enumerate(site.story):
        try:
            check(step, detectors, buses)
        except OrderError as error:
            yield f"story[{s}].{error.key}", str(error)


def _where(key: str, bus: BusSpec, places: dict[str, str]) -> Iterable[tuple[str, str]]:
    if bus.transport == "tcp" and bus.protocol is not Protocol.MODBUS:
        yield f"{key}.transport", f'tcp is Modbus TCP; use "rtu_tcp" for {bus.protocol} over TCP'
    if bus.transport == "pty":
        if bus.link is None:
            yield f"{key}.link", "is missing; a pty needs the path of its link"
        if bus.port is not None:
            yield f"{key}.port", 'a pty has no port; remove it, or use transport = "rtu_tcp"'
        place = bus.link
    else:
        if bus.port is None:
            yield f"{key}.port", f"is missing; {bus.transport} needs one (0 takes any free port)"
        if bus.link is not None:
            yield f"{key}.link", 'only a pty has a link; remove it, or use transport = "pty"'
        place = f"{bus.host}:{bus.port}" if bus.port else None
    if place is not None:
        other = places.setdefault(place, bus.id)
        if other != bus.id:
            yield f"{key}.{'link' if bus.link else 'port'}", f"{place} belongs to bus {other!r}; use another"


def _unit_and_point(one: DetectorSpec, profile: Profile) -> tuple[str, str] | None:
    if not profile.unit_min <= one.unit <= profile.unit_max:
        return "unit", f"{one.unit} is outside {profile.unit_min} to {profile.unit_max} of {profile.id}"
    points = profile.points
    if points is None:
        return None if one.point is None else ("point", f"{profile.id} is no panel; remove it")
    if one.point is None:
        return "point", f"is missing; {profile.id} has points {points.first} to {points.last}"
    if not points.first <= one.point <= points.last:
        return "point", f"{one.point} is outside {points.first} to {points.last} of {profile.id}"
    return None
