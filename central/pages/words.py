"""What people read: every word in one place per language, Chinese first. Times are shown in China's time.

Law of this file: conditions, dispositions and causes are called what messages call them, from the same words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib import resources
from typing import Literal, cast

from central.notifier.words import CAUSE, CONDITION, DISPOSITION, GROUND, WINDOW

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
CHINA = timezone(timedelta(hours=8), "CST")
"""China has one time zone and no summer time."""


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """All words of one language by key."""
    text = resources.files("central.pages").joinpath("locales", f"{language}.json").read_text("utf-8")
    own = cast("dict[str, str]", json.loads(text))
    shared = {f"condition.{one}": words.of(language) for one, words in CONDITION.items()}
    shared |= {f"disposition.{one}": words.of(language) for one, words in DISPOSITION.items()}
    shared |= {f"cause.{one}": words.of(language) for one, words in CAUSE.items()}
    shared |= {f"window.{one}": words.of(language) for one, words in WINDOW.items()}
    shared |= {f"ground.{one}": words.of(language) for one, words in GROUND.items()}
    return own | shared


def language_of(asked: str | None, own: str | None = None) -> Language:
    """The language asked for, else the person's own, else Chinese."""
    for wish in (asked, own):
        if wish in LANGUAGES:
            return wish
    return "zh"


class Words:
    """One language, as the templates use it."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._catalogue = catalogue(language)

    def __call__(self, key: str, **values: object) -> str:
        """The words for a key. Raises KeyError for one that is in no catalogue."""
        text = self._catalogue[key]
        return text.format(**values) if values else text

    def known(self, group: str, word: str | None) -> str:
        """A word that comes from the database: translated, or shown as it is when it is new to this page."""
        return self._catalogue.get(f"{group}.{word}", word or "")

    def age(self, span: timedelta) -> str:
        """How long, in its largest whole unit; never negative."""
        seconds = max(0, int(span.total_seconds()))
        for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
            if seconds >= size * (2 if unit != "minutes" else 1):
                return self(f"age.{unit}", n=seconds // size)
        return self("age.seconds", n=seconds)

    def time(self, at: datetime, now: datetime | None = None) -> str:
        """The time of day in China; with the date when it is not today's."""
        local = at.astimezone(CHINA)
        if now is not None and local.date() != now.astimezone(CHINA).date():
            return f"{local:%m-%d %H:%M}"
        return f"{local:%H:%M:%S}" if now is None else f"{local:%H:%M}"
