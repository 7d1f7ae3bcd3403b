"""The reference page of all profiles, made from the files themselves.

Law of this file: pure; `docs/reference/profiles.md` is its output, and a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable

from device_profiles.schema import Meaning, Profile, Protocol, Register, Role

HEAD = """# Detector models

Made from `device_profiles/profiles/` (a test compares; to make it again:
`.venv/bin/python -m device_profiles.reference > docs/reference/profiles.md`). Addresses are those of the
document named; "wire" is what goes over the line, counted from 0. What is listed as unverified nobody has
seen on a device: check it on site before relying on it.
"""


def render(profiles: Iterable[Profile]) -> str:
    """The page as Markdown."""
    return "\n".join([HEAD, *(_profile(one) for one in sorted(profiles, key=lambda p: p.id))])


def _profile(profile: Profile) -> str:
    line, poll = profile.line, profile.poll
    serial = "" if line is None else f"Line as delivered: {line.baud} 8{line.parity}{line.stop_bits}; "
    lines = [
        f"## {profile.id}",
        "",
        f"{profile.name}. Document: {profile.document.title} ({profile.document.source}).",
        "",
        f"- {serial}units {profile.unit_min} to {profile.unit_max}.",
        f"- An answer is awaited for {poll.response_timeout_ms} ms.",
    ]
    if profile.protocol is not Protocol.MODBUS:
        lines.append(f"- Speaks {profile.protocol} instead of Modbus: one line for it alone.")
    if profile.points is not None:
        points = profile.points
        lines.append(f"- A panel: points {points.first} to {points.last}, {points.stride} address(es) apart.")
    if profile.unit_register is not None:
        wire = profile.unit_register - profile.address_base
        lines.append(
            f"- Its unit is set over the line: holding register {profile.unit_register}, wire {wire}."
        )
    if not profile.fire:
        lines.append("- Not a fire detector: it reports only its own health.")
    lines += [f"- Verified: {text}." for text in profile.document.verified]
    lines += [f"- **Unverified:** {text}." for text in profile.document.unverified]
    lines += [
        "",
        "| register | function | address | wire | type | read | value |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_register(profile, register) for register in profile.registers]
    lines += ["", "| condition | when |", "|---|---|"]
    lines += [f"| {meaning.condition.value} | {_when(meaning)} |" for meaning in profile.conditions]
    if profile.writes:
        lines += ["", "| write (off unless allowed) | function | address | value |", "|---|---|---|---|"]
        lines += [
            f"| {write.action.value} | {write.function:02} | {write.address} | {write.value} |"
            for write in profile.writes
        ]
    return "\n".join([*lines, ""])


def _register(profile: Profile, register: Register) -> str:
    kind = (
        register.type.value if register.type.words == 1 else f"{register.type.value} {register.order.value}"
    )
    return (
        f"| {register.name} | {register.function:02} | {register.address} | "
        f"{register.address - profile.address_base} | {kind} | {register.group.value} | {_value(register)} |"
    )


def _value(register: Register) -> str:
    if register.role in (None, Role.STATUS, Role.IDENTITY):
        return register.role.value if register.role else ""
    scale = "" if register.scale == 1 else f" × {register.scale:g}"
    offset = "" if register.offset == 0 else f" {register.offset:+g}"
    absent = f"; none at {', '.join(map(str, register.absent))}" if register.absent else ""
    assert register.role is not None
    return f"{register.role.value}: raw{scale}{offset} {register.unit}{absent}"


def _when(meaning: Meaning) -> str:
    name = meaning.register
    if meaning.bit is not None:
        return f"{name}, bit {meaning.bit} is 1"
    if meaning.bit_clear is not None:
        return f"{name}, bit {meaning.bit_clear} is 0"
    if meaning.at_least is not None:
        return f"{name} at least {meaning.at_least:g}"
    if meaning.at_most is not None:
        return f"{name} at most {meaning.at_most:g}"
    mask = "" if meaning.mask is None else f" (under {meaning.mask:#06x})"
    ends = f"; absent only at {_words(meaning.clear_values)}" if meaning.clear_values else ""
    return f"{name}{mask} is {_words(meaning.values)}{ends}"


def _words(values: tuple[int, ...]) -> str:
    return " or ".join(map(str, values))


if __name__ == "__main__":
    import sys

    from device_profiles.load import load_profiles

    sys.stdout.write(render(load_profiles().values()))
