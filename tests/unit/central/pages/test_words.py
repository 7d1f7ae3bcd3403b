"""The words of the pages: complete in both languages, and complete for all that the engine can say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter

import pytest

import central.engine.decide
import central.pages
from central.engine.model import AlarmState, Cause, Condition, Disposition
from central.pages.words import LANGUAGES, Words, catalogue, language_of

PAGES = Path(central.pages.__file__).parent


def test_both_languages_have_the_same_keys_and_places_for_values():
    """A word added in one is added in the other."""
    zh, en = (catalogue(language) for language in LANGUAGES)
    assert set(zh) == set(en)

    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    assert [key for key in zh if places(zh[key]) != places(en[key])] == []
    assert all(text.strip() for text in (*zh.values(), *en.values()))


@pytest.mark.parametrize(
    ("group", "words"),
    [("condition", Condition), ("state", AlarmState), ("disposition", Disposition), ("cause", Cause)],
)
def test_every_word_of_the_engine_can_be_shown(group: str, words: type):
    """Conditions, states, dispositions and causes."""
    assert [word for word in words if f"{group}.{word}" not in catalogue("zh")] == []


def test_every_line_the_log_may_hold_can_be_shown():
    """What decide writes as the name of what happened."""
    engine = Path(central.engine.decide.__file__).parent
    text = "".join((engine / f"{name}.py").read_text("utf-8") for name in ("decide", "owner"))
    said = set(re.findall(r', "([a-z_]+)"\)', text)) | {"told", "skipped", "nobody_reachable", "raised"}
    said &= {word for word in said if not hasattr(Condition, word.upper())}
    assert len(said) >= 9
    assert sorted(word for word in said if f"what.{word}" not in catalogue("zh")) == []


def test_every_key_that_a_template_names_exists_and_every_key_is_named():
    """No dead words, no missing ones; keys made from a group are covered by their group."""
    source = "".join(
        path.read_text("utf-8") for path in [*PAGES.glob("templates/*.html"), *PAGES.glob("*.py")]
    )
    named = set(re.findall(r"\bt\('([a-z_.]+)'[,)]", source))
    assert sorted(named - set(catalogue("zh"))) == []
    grouped = (
        "condition.",
        "state.",
        "disposition.",
        "cause.",
        "what.",
        "age.",
        "done.",
        "error.",
        "grade.",
        "ground.",
        "window.",
        "work.",
    )
    assert sorted(key for key in catalogue("zh") if key not in named and not key.startswith(grouped)) == []


def test_ages_and_times_are_said_as_a_person_would():
    """The largest whole unit; the date only when it is not today's; China's time."""
    zh = Words("zh")
    spans = [-5, 59, 60, 7199, 7200, 3600 * 47, 3600 * 49]
    assert [zh.age(timedelta(seconds=span)) for span in spans] == [
        "0 秒", "59 秒", "1 分钟", "119 分钟", "2 小时", "47 小时", "2 天",
    ]  # fmt: skip
    now = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
    assert zh.time(now) == "23:30:00"
    assert zh.time(now, now) == "23:30"
    assert zh.time(now - timedelta(days=1), now) == "11-23 23:30"


def test_the_language_asked_for_wins_and_nonsense_is_chinese():
    """Asked, then the person's own, then Chinese."""
    assert [language_of(*wish) for wish in [("en", "zh"), (None, "en"), ("xx", None), ("", "")]] == [
        "en", "en", "zh", "zh",
    ]  # fmt: skip


def test_a_new_word_of_the_database_is_shown_as_it_is():
    """A newer engine never breaks an older page."""
    assert Words("zh").known("what", "brand_new") == "brand_new"


def test_the_static_script_stays_within_es2017():
    """Old WebViews must read it: no optional chaining, ??, spread, bare catch, classes, modules."""
    script = re.sub(r"//.*", "", (PAGES / "static" / "overview.js").read_text("utf-8"))
    newer = r"\?\.|\?\?|\.\.\.|\bimport\b|\bexport\b|\bclass\b|\d_\d|\d+n\b|catch\s*\{|\.at\(|replaceAll"
    assert re.findall(newer, script) == []
    assert len(script.splitlines()) < 80


def test_the_styles_use_nothing_newer_than_chromium_66():
    """No flex gap, clamp, :is, inset, aspect-ratio."""
    for style in PAGES.glob("static/*.css"):
        text = style.read_text("utf-8")
        assert re.findall(r"[^-]gap:|clamp\(|:is\(|:where\(|inset:|aspect-ratio|:focus-visible", text) == []
