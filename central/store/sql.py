"""The loader of `central/store/queries/*.sql`: named statements, read once, no text of a user ever in them.

A file holds statements, each headed by `-- name: words_of_the_name` and, where it helps, lines of comment.
One text may stand for several: `-- name: one | two`, with `-- {word}: this | that` for each that differs.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import LiteralString

_HEAD = re.compile(r"^-- name: ([a-z0-9_]+(?: \| [a-z0-9_]+)*)\s*$", re.MULTILINE)
_WORD = re.compile(r"^-- (\{[a-z]+\}): (.+)\n", re.MULTILINE)


@cache
def queries(table: str) -> dict[str, LiteralString]:
    """The statements of `queries/<table>.sql` by name.

    Raises ValueError for a name given twice, and for words that are not as many as the names.
    """
    text = resources.files("central.store").joinpath("queries", f"{table}.sql").read_text("utf-8")
    parts = _HEAD.split(text)
    found: dict[str, LiteralString] = {}
    for names, body in zip(parts[1::2], parts[2::2], strict=True):
        words = {word: told.split(" | ") for word, told in _WORD.findall(body)}
        for name, *own in zip(names.split(" | "), *words.values(), strict=True):
            if name in found:
                raise ValueError(f"queries/{table}.sql names {name} twice")
            found[name] = _said(body, dict(zip(words, own, strict=True)))
    return found


def _said(body: str, words: dict[str, str]) -> LiteralString:
    statement: LiteralString = _WORD.sub("", body)
    for word, one in words.items():
        statement = statement.replace(word, one)
    return statement.strip()
