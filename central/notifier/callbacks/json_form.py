"""What all callbacks share: a bounded JSON body of objects with words in them. Law of this file: pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from central.notifier.told import Unreadable

MOST_BYTES = 256_000
_MOST = 1000
_LONGEST = 200
_LONGEST_TEXT = 500
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")


def objects(body: bytes) -> list[Mapping[str, Any]]:
    """The objects of an array, or the one that came alone. Raises Unreadable."""
    if len(body) > MOST_BYTES:
        raise Unreadable(f"more than {MOST_BYTES} bytes")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("it is no JSON") from None
    listed = said if isinstance(said, list) else [said]
    if len(listed) > _MOST:
        raise Unreadable(f"more than {_MOST} reports at once")
    if not all(isinstance(one, dict) for one in listed):
        raise Unreadable("it is neither a JSON object nor an array of them")
    return listed


def inside(one: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The object below a name; None when it is not there. Raises Unreadable when it is something else."""
    found = one.get(name)
    if found is not None and not isinstance(found, dict):
        raise Unreadable(f"`{name}` is no object")
    return found


def word(one: Mapping[str, Any], name: str, *, needed: bool = True, longest: int = _LONGEST) -> str:
    """A text or a whole number as text; '' when it is missing and not `needed`. Raises Unreadable."""
    found = one.get(name)
    if found is None or found == "":
        if needed:
            raise Unreadable(f"`{name}` is missing")
        return ""
    text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else None
    if text is None or len(text) > longest or not _PLAIN.fullmatch(text):
        raise Unreadable(f"`{name}` is no text of at most {longest} plain characters")
    return text


def text(one: Mapping[str, Any], name: str) -> str:
    """What a person wrote, its first 500 characters in one line. Raises Unreadable when it is no text."""
    found = one.get(name)
    if not isinstance(found, str):
        raise Unreadable(f"`{name}` is no text")
    return " ".join("".join(c if c.isprintable() else " " for c in found[:_LONGEST_TEXT]).split())


def name_of(*parts: str) -> str:
    """A name for what has none of its own; nothing can be read from it."""
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
