"""How channels read their settings: web addresses, secrets, named tables, templates.

Law of this file: what is wrong is named with its key and the mend; no secret is in what is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from central.config import convert, fail, foreign_keys, nearest, secret
from central.notifier.fitting import Template, faults

_S = TypeVar("_S", bound=Struct)
Seconds = Annotated[float, Meta(gt=0, le=30)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
PURPOSES = ("alarm", "disposition", "cleared", "closed", "answer", "notice", "offer", "owner", "raised")
_SECRET_MOST = 512


@dataclass(frozen=True, slots=True)
class SignedGroup:
    """One group chat whose bot is reached by a token and believed by a signature."""

    token: str = field(repr=False)
    secret: str = field(repr=False)
    personal: bool = False
    """Everybody in it may know who lives there, and may take alarms in the person's name."""


class _SignedGroup(Struct, frozen=True):
    token: str | None = None
    token_file: str | None = None
    secret: str | None = None
    secret_file: str | None = None
    personal: bool = False


class _Gaps(Struct, frozen=True):
    code: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    gaps: list[str] | dict[str, str] = []
    most: Annotated[int, Meta(ge=1, le=500)] | None = None
    text: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None


def table_of(path: Path, place: str, table: Mapping[str, Any], kind: type[_S]) -> _S:
    """A channel's table as a struct; `place` ends in a dot. Raises ConfigError, for unknown keys too."""
    found = foreign_keys(place, table, kind.__struct_fields__)
    if found:
        fail(path, found[0])
    return convert(path, place, table, kind)


def base_url(path: Path, place: str, url: str) -> str:
    """A provider's address without a slash at the end. Raises ConfigError."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        fail(path, f"{place}url is no web address: give one that starts with https://, without ? and #")
    return url.rstrip("/")


def needed_secret(
    path: Path,
    place: str,
    value: str | None,
    file: str | None,
    variable: tuple[str, str | None] | None = None,
) -> str:
    """A secret that must be there; `variable` is the environment's name for it and what it holds.

    Raises ConfigError.
    """
    found = secret(path, place, value, file, variable[1] if variable else None)
    if not found:
        also = f", or set {variable[0]}" if variable else ""
        fail(path, f"{place} is missing: add {place.rpartition('.')[2]}_file{also}")
    if len(found) > _SECRET_MOST or any(sign.isspace() or not sign.isprintable() for sign in found):
        fail(path, f"{place} has spaces or more than {_SECRET_MOST} characters: copy it again, it alone")
    return found


def groups(path: Path, place: str, given: Mapping[str, Any], kind: type[_S]) -> dict[str, _S]:
    """The tables below `groups`, by the name that stands in people's contacts. Raises ConfigError."""
    if not given:
        fail(path, f"{place}groups is empty: add a table such as [{place}groups.grid-1] with the bot's key")
    read = {}
    for name, table in given.items():
        if not name or "/" in name or len(name) > 64:
            fail(path, f"{place}groups.{name!r}: a name has 1 to 64 characters and no slash")
        if not isinstance(table, dict):
            fail(path, f"{place}groups.{name} is no table: write [{place}groups.{name}]")
        read[name] = table_of(path, f"{place}groups.{name}.", table, kind)
    return read


def signed_groups(path: Path, place: str, given: Mapping[str, Any]) -> dict[str, SignedGroup]:
    """The same for bots with a signature. Raises ConfigError."""
    read = {}
    for name, one in groups(path, place, given, _SignedGroup).items():
        where = f"{place}groups.{name}."
        token = needed_secret(path, f"{where}token", one.token, one.token_file)
        proof = needed_secret(path, f"{where}secret", one.secret, one.secret_file)
        read[name] = SignedGroup(token, proof, one.personal)
    return read


def templates(
    path: Path, place: str, given: Mapping[str, Any], *, mark: str, most: int, longest: int
) -> dict[str, Template]:
    """The tables below `templates`, by purpose, `_en` behind it for English.

    `mark` is how the provider writes a gap, `most` how many characters it takes in one unless the table
    says otherwise, `longest` how many in all. Raises ConfigError.
    """
    if "alarm" not in given:
        fail(path, f"{place}templates.alarm is missing: add [{place}templates.alarm] with the approved code")
    known = [name for purpose in PURPOSES for name in (purpose, f"{purpose}_en")]
    read = {}
    for purpose, table in given.items():
        where = f"{place}templates.{purpose}."
        if purpose not in known:
            hint = nearest(purpose, known) or f": known are {', '.join(known)}"
            fail(path, f"{place}templates.{purpose}: unknown purpose{hint}")
        if not isinstance(table, dict):
            fail(path, f"{where[:-1]} is no table: write [{where[:-1]}]")
        one = table_of(path, where, table, _Gaps)
        named = isinstance(one.gaps, dict)
        if named != mark.startswith("$"):
            shape = 'a table, { kind = "kind" }' if mark.startswith("$") else 'a list, ["kind", "home"]'
            fail(path, f"{where}gaps: this provider's gaps are written as {shape}")
        pairs = (
            tuple(one.gaps.items())
            if isinstance(one.gaps, dict)
            else tuple((str(place_), word) for place_, word in enumerate(one.gaps, 1))
        )
        template = Template(one.code, pairs, one.most or most)
        found = faults(template, one.text, mark, longest)
        if found:
            fail(path, f"{where}{found[0]}")
        read[purpose] = template
    return read
