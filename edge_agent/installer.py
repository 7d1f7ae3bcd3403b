"""What an installer asks at the line: who is there, move one, what would be read. Words for a terminal.

Law of this file: the running agent is asked when there is one, since the line is its own; otherwise the line
is opened here, and an agent that starts meanwhile waits its turn.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from device_profiles.schema import Profile
from edge_agent import control
from edge_agent.alone import opened
from edge_agent.config import Settings
from edge_agent.control import ControlError
from edge_agent.line import LineError
from edge_agent.lock import held_aside
from edge_agent.rules import configured
from edge_agent.scan import Found, Progress, Scan, ScanError, readdress, scan
from wire.messages import BusConfig, Parity, Transport

BAUDS = (9600, 19200, 4800, 2400, 38400, 57600, 115200, 1200)
PARITIES = (Parity.NONE, Parity.EVEN, Parity.ODD)


class InstallerError(Exception):
    """It cannot be done; the text says why and the mend."""


def units_of(text: str) -> list[int]:
    """`1-32`, `5`, `1-8,17` as units in ascending order. Raises InstallerError."""
    units: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdecimal() and 1 <= int(end) <= 247 for end in ends):
            raise InstallerError(f"--units {text!r}: write units from 1 to 247, such as 1-32 or 5,7,20-30")
        units |= set(range(int(ends[0]), int(ends[1]) + 1))
    if not units:
        raise InstallerError(f"--units {text!r}: holds no unit: write the smaller number first")
    return sorted(units)


def probe(
    settings: Settings,
    profiles: Mapping[str, Profile],
    bus: str | None,
    units: Sequence[int],
    like: str | None,
) -> Scan:
    """Scan through the running agent, or alone. Raises InstallerError."""
    with held_aside(settings.state_dir) as alone:
        if not alone:
            return msgspec.convert(_ask(settings, control.Probe(list(units), bus, like)), Scan)
        chosen = _bus(settings, bus)
        return asyncio.run(_scan_alone(chosen, profiles, units, like))


def probe_all_settings(
    settings: Settings, profiles: Mapping[str, Profile], bus: str | None, units: Sequence[int]
) -> list[Scan]:
    """Scan an idle serial bus at every baud and parity; only settings at which somebody answers are told.

    Raises InstallerError when the bus is not idle.
    """
    with held_aside(settings.state_dir) as alone:
        if not alone:
            raise InstallerError(
                "--all-settings: an agent watches this bus, and other settings would deafen it: stop it "
                "first (systemctl stop smokewatch-edge); its homes are unwatched meanwhile"
            )
        chosen = _bus(settings, bus)
        if chosen.transport is not Transport.SERIAL:
            raise InstallerError(
                "--all-settings: only a serial port has them; set a serial server on its own page"
            )
        own = sorted({one.unit for one, _ in configured(chosen, profiles)})
        answering = asyncio.run(_scan_alone(chosen, profiles, own, None)).found if own else []
        if answering:
            names = ", ".join("/".join(one.detectors) for one in answering)
            raise InstallerError(
                f"--all-settings: {names} answer as configured: the settings are right already"
            )
        return asyncio.run(_every_setting(chosen, profiles, units))


def set_address(
    settings: Settings,
    profiles: Mapping[str, Profile],
    bus: str | None,
    *,
    old: int,
    new: int,
    profile: str,
    may_be_configured: bool,
) -> str:
    """Move a device through the running agent, or alone. Raises InstallerError."""
    with held_aside(settings.state_dir) as alone:
        if not alone:
            return str(_ask(settings, control.SetAddress(old, new, profile, bus, may_be_configured)))
        return asyncio.run(
            _move_alone(
                _bus(settings, bus),
                profiles,
                old=old,
                new=new,
                profile=profile,
                may_be_configured=may_be_configured,
            )
        )


def report(found: Scan) -> Iterator[str]:
    """A scan in words, one line a finding."""
    yield f"bus {found.bus}: {found.settings}: {found.asked} units asked, {len(found.found)} answer"
    for one in found.found:
        yield f"  unit {one.unit}: {_who(one)}"
    for missing in found.missing:
        yield f"  unit {missing.unit}: {missing.detector} is configured and does NOT answer"


def _who(one: Found) -> str:
    names = f"{', '.join(one.detectors)} ({one.profile})" if one.detectors else "unknown"
    if one.trouble is not None:
        return f"{names}: {one.trouble}"
    if one.fits:
        return f"{names}: answers"
    guessed = one.guess
    if guessed is None:
        return names
    if one.detectors:
        names += ": answers, but not as this model"
    if guessed.profile is None:
        return f"{names}: {guessed.why}"
    return f"{names}: {'is' if guessed.sure else 'perhaps'} {guessed.profile} ({guessed.why})"


class Shown:
    """Progress on a terminal, once a scan has taken two seconds; elsewhere nothing."""

    QUIET_S = 2.0

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._from = time.perf_counter() + self.QUIET_S
        self._drawn = False

    def show(self, now: Progress, note: str = "") -> None:
        """Draw it over the last one."""
        if self._on and time.perf_counter() >= self._from:
            text = f"{note}unit {now.unit}: {now.done} of {now.of} asked, {now.found} answer"
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
            self._drawn = True

    def done(self) -> None:
        """Take it away."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _ask(settings: Settings, request: control.Request) -> Any:
    shown = Shown()
    try:
        for said in control.ask(settings.control_socket, request):
            if "progress" in said:
                shown.show(msgspec.convert(said["progress"], Progress))
            else:
                return said["done"]
    except ControlError as error:
        raise InstallerError(str(error)) from None
    finally:
        shown.done()
    raise InstallerError("the agent hung up without an answer: see its log")


def _bus(settings: Settings, bus: str | None) -> BusConfig:
    known = {one.bus: one for one in settings.buses}
    if bus is None and len(known) == 1:
        return next(iter(known.values()))
    if bus is None or bus not in known:
        asked = "--bus is missing" if bus is None else f"--bus: there is no bus {bus!r}"
        raise InstallerError(
            f"{asked}: the file has {', '.join(known) or 'none; write a [[bus]] with its line'}"
        )
    return known[bus]


async def _scan_alone(
    bus: BusConfig, profiles: Mapping[str, Profile], units: Sequence[int], like: str | None, note: str = ""
) -> Scan:
    shown = Shown()
    try:
        async with opened(bus) as ask:
            return await scan(ask, bus, profiles, units, lambda now: shown.show(now, note), like)
    except (LineError, ScanError) as error:
        raise InstallerError(str(error)) from None
    finally:
        shown.done()


async def _every_setting(bus: BusConfig, profiles: Mapping[str, Profile], units: Sequence[int]) -> list[Scan]:
    found, refused, tries = [], [], 0
    for baud in BAUDS:
        for parity in PARITIES:
            tries += 1
            tried = msgspec.structs.replace(bus, baud=baud, parity=parity, stop_bits=1, detectors=[])
            try:
                one = await _scan_alone(tried, profiles, units, None, f"{baud} 8{parity.value}1: ")
            except InstallerError as error:  # many an adapter lacks a setting or two
                refused.append(str(error))
                continue
            if any(each.trouble is None for each in one.found):
                found.append(one)
    if len(refused) == tries:
        raise InstallerError(refused[-1])
    return found


async def _move_alone(
    bus: BusConfig,
    profiles: Mapping[str, Profile],
    *,
    old: int,
    new: int,
    profile: str,
    may_be_configured: bool,
) -> str:
    try:
        async with opened(bus) as ask:
            return await readdress(
                ask, bus, profiles, old=old, new=new, profile=profile, may_be_configured=may_be_configured
            )
    except (LineError, ScanError) as error:
        raise InstallerError(str(error)) from None
