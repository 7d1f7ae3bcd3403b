"""The loader of SQL files: one text may stand for several statements."""

from __future__ import annotations

import pytest

from central.store import sql


def test_a_text_with_several_names_becomes_as_many_statements() -> None:
    """Each with its own words; a sign that no word declares stays."""
    hours, days = (sql.queries("rollups")[name] for name in ("roll_hours", "roll_days"))
    assert "INSERT INTO rollup_hour" in hours
    assert "FROM rollup_minute" in hours
    assert days == hours.replace("hour", "day").replace("rollup_minute", "rollup_hour")
    assert "{" not in hours


@pytest.mark.parametrize(
    "text",
    [
        "-- name: a\nSELECT 1\n-- name: a\nSELECT 2\n",
        "-- name: a | b\n-- {table}: x\nSELECT 1 FROM {table}\n",
    ],
)
def test_a_name_given_twice_and_words_that_are_missing_are_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the file is read, not when it is asked."""

    class _File:
        def joinpath(self, *_: str) -> _File:
            return self

        def read_text(self, _: str) -> str:
            return text

    monkeypatch.setattr(sql.resources, "files", lambda _: _File())
    with pytest.raises(ValueError):
        sql.queries.__wrapped__("anything")
