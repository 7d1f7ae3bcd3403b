"""What a profile must obey beyond its types.

Law of this file: pure; `check` reports everything that is wrong at once, each with its key and the mend, and
raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from device_profiles.condition_rules import EVERY_LAP, conditions, fire
from device_profiles.problem import Problem
from device_profiles.protocols import FORMS
from device_profiles.register_rules import addresses, overlaps, registers
from device_profiles.schema import Profile, Protocol

__all__ = ["EVERY_LAP", "Problem", "check"]


def check(profile: Profile) -> list[Problem]:
    """Everything that is wrong with a profile; empty when it may be used."""
    return [
        *_texts(profile),
        *registers(profile),
        *addresses(profile),
        *overlaps(profile),
        *conditions(profile),
        *fire(profile),
        *_line_and_poll(profile),
        *_writes(profile),
        *_unit_register(profile),
    ]


def _texts(profile: Profile) -> Iterator[Problem]:
    document = profile.document
    for key, text in (
        ("name", profile.name),
        ("document.title", document.title),
        ("document.source", document.source),
    ):
        if not text.strip():
            yield Problem(key, "is empty", "say what it is")
    if not document.verified and not document.unverified:
        yield Problem("document", "says neither what is verified nor what is not", "list it under unverified")


def _line_and_poll(profile: Profile) -> Iterator[Problem]:
    poll, line = profile.poll, profile.line
    if line is not None and not 300 <= line.baud <= 921600:
        yield Problem("line.baud", f"{line.baud} is impossible", "use 300 to 921600")
    if profile.protocol is Protocol.MODBUS and poll.gap_ms > 1000:
        yield Problem("poll.gap_ms", f"{poll.gap_ms:g} would hold up the whole bus", "use 1000 or less")
    if poll.max_hole and poll.max_hole >= poll.max_registers:
        yield Problem(
            "poll.max_hole",
            f"{poll.max_hole} is not below max_registers ({poll.max_registers})",
            "make it smaller: a hole counts towards the read",
        )
    wide = max(register.type.words for register in profile.registers)
    if wide > poll.max_registers:
        yield Problem(
            "poll.max_registers", "is too small for a 32-bit value, which is never cut", "use 2 or more"
        )
    last = FORMS[profile.protocol].last_unit
    if profile.unit_max > last:
        yield Problem(
            "unit_max", f"is {profile.unit_max}, {profile.protocol} knows 1 to {last}", f"use {last}"
        )
    if profile.unit_min > profile.unit_max:
        yield Problem("unit_min", "is above unit_max", "exchange them")


def _unit_register(profile: Profile) -> Iterator[Problem]:
    place = profile.unit_register
    if place is None:
        return
    if not 0 <= place - profile.address_base <= 0xFFFF:
        yield Problem("unit_register", "is not an address on the wire", "check it and address_base")
    if any(write.function == 6 and write.address == place for write in profile.writes):
        yield Problem("unit_register", "is written by an action too", "correct one of them")
    if profile.points is not None:
        yield Problem("unit_register", "would move every home behind a panel", "remove it")


def _writes(profile: Profile) -> Iterator[Problem]:
    form = FORMS[profile.protocol]
    actions: dict[str, int] = {}
    for i, write in enumerate(profile.writes):
        first = actions.setdefault(write.action.value, i)
        if first != i:
            yield Problem(
                f"writes[{i}].action", f"{write.action.value} is already writes[{first}]", "keep one"
            )
        if write.function not in form.writes:
            known = ", ".join(map(str, sorted(form.writes))) or "none"
            yield Problem(
                f"writes[{i}].function",
                f"{profile.protocol} writes nothing by {write.function}",
                f"it has {known}; correct it, or remove the write",
            )
        elif max(write.address, write.value) > form.largest:
            yield Problem(f"writes[{i}]", f"has more than {form.largest}", "correct address or value")
        elif write.function == 5 and write.value not in (0, 0xFF00):
            yield Problem(f"writes[{i}].value", f"function 5 cannot write {write.value}", "use 0xFF00 or 0")
    if profile.writes and profile.points is not None:
        yield Problem("writes", "a panel's write reaches every home behind it", "remove writes")
