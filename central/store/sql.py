"""The loader of `central/store/queries/*.sql`: named statements, read once, no text of a user ever in them.

A file holds statements, each headed by `-- name: words_of_the_name` and, where it helps, lines of comment.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import LiteralString, cast

_HEAD = re.compile(r"^-- name: ([a-z0-9_]+)\s*$", re.MULTILINE)


@cache
def queries(table: str) -> dict[str, LiteralString]:
    """The statements of `queries/<table>.sql` by name. Raises ValueError for a name given twice."""
    text = resources.files("central.store").joinpath("queries", f"{table}.sql").read_text("utf-8")
    parts = _HEAD.split(text)
    found: dict[str, LiteralString] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in found:
            raise ValueError(f"queries/{table}.sql names {name} twice")
        found[name] = cast("LiteralString", body.strip())
    return found
