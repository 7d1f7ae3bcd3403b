"""The month as a whole, and how its values read."""

from datetime import datetime, timedelta

import pytest

from central.engine.policy import CHINA
from central.reports.month import NOISIEST, month, month_of
from central.reports.tables import percent, span, tables
from tests.harness.month_made import gathered


def test_a_month_is_one_of_chinas_clock() -> None:
    """December ends with the year; February as long as it is."""
    assert month_of("2026-12") == (
        datetime(2026, 12, 1, tzinfo=CHINA),
        datetime(2027, 1, 1, tzinfo=CHINA),
    )
    begin, end = month_of("2028-02")
    assert end - begin == timedelta(days=29)
    for wrong in ("2026-13", "2026-00", "2026-1", "26-10", "2026-10-01", "", "2026-1O", "x" * 900):
        with pytest.raises(ValueError, match="is no month"):
            month_of(wrong)


def test_the_figures_of_a_month_agree_with_each_other() -> None:
    """Open and judged make all; dispositions add up; what was cut says so."""
    report = month(gathered())
    assert report.fires == 60
    assert report.open + sum(report.dispositions.values()) == 60
    assert report.false_ratio == report.dispositions["false_alarm"] / sum(report.dispositions.values())
    assert len(report.noisiest) <= NOISIEST
    assert not report.cut


def test_a_month_without_a_fire_has_all_its_tables() -> None:
    """Nothing is no fault."""
    report = month(gathered(0))
    assert report.false_ratio is None
    assert [bool(table.rows) for table in tables(report)][:4] == [True, False, False, False]
    for table in tables(month(gathered())):
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert table.title.zh
        assert table.title.en


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (172_800, "2 d 00 h"),
    ],
)
def test_a_span_reads_as_people_say_it(seconds: float | None, text: str) -> None:
    """Seconds, minutes, hours, days."""
    assert span(seconds) == text


def test_a_share_is_never_rounded_to_all_or_nothing() -> None:
    """99.96 % of the time is not all of it."""
    assert [percent(share) for share in (None, 0, 0.0001, 0.5, 0.99996, 1)] == [
        "–",
        "0.0 %",
        "<0.1 %",
        "50.0 %",
        "99.9 %",
        "100.0 %",
    ]
