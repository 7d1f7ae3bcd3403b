"""Detector models from their files.

Law of this file: the only file access of the package; a file that breaks a rule is refused whole, with file,
key and mend, and never half used.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from enum import StrEnum
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec

from device_profiles.rules import Problem, check
from device_profiles.schema import Document, Limits, Line, Meaning, Points, Poll, Profile, Register, Write

MAX_BYTES = 1_000_000
_PLACES: dict[str, type[msgspec.Struct]] = {
    "": Profile,
    "document": Document,
    "line": Line,
    "poll": Poll,
    "points": Points,
    "limits": Limits,
    "registers": Register,
    "conditions": Meaning,
    "writes": Write,
}
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_FIELD = re.compile(r"field `(?P<field>[^`]*)`")


class ProfileError(Exception):
    """A profile's file cannot be used. `problems` holds each key, what is wrong with it and the mend."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        self.key = self.problems[0].key
        self.mend = self.problems[0].mend
        super().__init__("\n".join(f"{file}: {problem}" for problem in self.problems))


def load_profiles(folder: Path | None = None) -> dict[str, Profile]:
    """All profiles of a folder (`*.toml`), or those that come with the package. Raises ProfileError."""
    if folder is None:
        place: Traversable = resources.files("device_profiles") / "profiles"
    else:
        place = folder
        if not folder.is_dir():
            raise ProfileError(
                str(folder), [Problem("", "there is no such folder", "name an existing folder")]
            )
    profiles: dict[str, Profile] = {}
    for entry in sorted(place.iterdir(), key=lambda one: one.name):
        if not entry.name.endswith(".toml"):
            continue
        try:
            content = entry.read_bytes()
        except OSError as error:
            raise ProfileError(
                entry.name, [Problem("", f"cannot be read: {error.strerror}", "check it")]
            ) from error
        profile = parse(content, entry.name)
        profiles[profile.id] = profile
    return profiles


def parse(content: bytes, file: str) -> Profile:
    """One profile from its file's bytes; `file` must be its id and `.toml`. Raises ProfileError."""
    profile = _convert(content, file)
    problems = check(profile)
    stem = Path(file).name.removesuffix(".toml")
    if stem != profile.id:
        problems.append(
            Problem("id", f"{profile.id!r} is not the file's name", f"name the file {profile.id}.toml")
        )
    if problems:
        raise ProfileError(file, problems)
    return profile


def _convert(content: bytes, file: str) -> Profile:
    if len(content) > MAX_BYTES:
        raise ProfileError(
            file, [Problem("", "is larger than 1 MB", "a profile is a few kilobytes: check the file")]
        )
    try:
        table: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        problem = Problem("", f"is not UTF-8 at byte {error.start}", "save it as UTF-8")
        raise ProfileError(file, [problem]) from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ProfileError(file, [Problem("", f"is not TOML: {error}", "correct it there")]) from error
    try:
        return msgspec.convert(table, Profile, strict=True)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ProfileError(file, [_explain(str(error), table)]) from error


def _explain(message: str, table: dict[str, Any]) -> Problem:
    """Turn a conversion error into key, what is wrong, mend."""
    match = _AT.match(message)
    assert match is not None
    what, path = match["what"], (match["path"] or "$").removeprefix("$").removeprefix(".")
    place = _PLACES.get(path.split("[")[0].split(".")[0])
    field = _FIELD.search(what)
    if field and place:
        key = f"{path}.{field['field']}" if path else field["field"]
        if "unknown" in what:
            return Problem(key, "there is no such key", _meant(field["field"], place.__struct_fields__))
        return Problem(key, "is missing", "add it")
    choices = _choices(path, place or Profile)
    if what.startswith("Invalid enum value") and choices:
        return Problem(path, f"{_at(table, path)!r} is not allowed", _meant(str(_at(table, path)), choices))
    return Problem(path, what[:1].lower() + what[1:], "correct the value")


def _meant(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"use one of: {', '.join(names)}"


def _choices(path: str, place: type[msgspec.Struct]) -> list[str]:
    """The allowed words of an enumeration at this path."""
    name = path.rsplit(".", 1)[-1]
    for info in msgspec.structs.fields(place):
        if info.name == name:
            kinds = [info.type, *getattr(info.type, "__args__", ())]
            return [w.value for k in kinds if isinstance(k, type) and issubclass(k, StrEnum) for w in k]
    return []


def _at(table: Any, path: str) -> Any:
    for step in re.findall(r"[^.\[\]]+", path):
        table = table[int(step)] if step.isdigit() else table[step]
    return table
