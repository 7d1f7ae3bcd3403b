"""The same month as CSV, as a page and as PDF: whatever names say, they stay names."""

import csv
import io
from datetime import datetime
from pathlib import Path

import pytest

from central.engine.policy import CHINA
from central.month_report import Made, written
from central.notifier.words import Words
from central.pages.month import month_headers
from central.pages.month_pdf import FontError
from central.reports.csv_text import csv_bytes
from central.reports.month import month
from tests.harness.month_made import gathered

MADE = Made(month(gathered()), Words("丹水池街道", "danshuichi"), datetime(2026, 11, 2, 8, 0, tzinfo=CHINA))


def test_excel_opens_the_csv_as_chinese_text_and_runs_nothing() -> None:
    """A byte order mark; what begins like a formula is told as text; numbers are numbers."""
    text = written(MADE, "csv").decode("utf-8")
    assert text.startswith("\ufeff火警月报")
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert '\'=HYPERLINK("http://evil.example";"网格")' in cells
    (street,) = (row for row in rows if row[:2] == ["街道 Street", "丹水池街道"])
    assert street[2:5] == ["60", "2.0", "4.0"]
    head = next(row for row in rows if row and row[0] == "级别 Level")
    assert len(head) == len(street) == 13


@pytest.mark.parametrize("begins", "=+-@\t\r\n\0＝＋－＠")
def test_a_text_that_begins_like_a_formula_is_told_as_text(begins: str) -> None:
    """Wide characters as well."""
    (row,) = csv.reader(io.StringIO(csv_bytes([f"{begins}1"], []).decode("utf-8-sig"), newline=""))
    assert row == [f"'{begins}1"]


def test_the_page_stands_alone_and_escapes_what_names_say() -> None:
    """Nothing to fetch, no script; its style is allowed by its hash; both languages."""
    page = written(MADE, "html").decode("utf-8")
    assert "&lt;b&gt;唐家墩一网格&lt;/b&gt;" in page
    assert "<b>" not in page
    assert "<script" not in page
    assert "src=" not in page
    assert "href=" not in page
    assert '报警最多的探测器 <span lang="en">Noisiest detectors</span>' in page
    policy = month_headers()["Content-Security-Policy"]
    assert "style-src 'sha256-" in policy
    assert "unsafe" not in policy


def test_the_pdf_has_its_pages_in_a_chinese_font() -> None:
    """Without a font file in the one that readers bring along; a file that is none is refused with words."""
    file = written(MADE, "pdf")
    assert file.startswith(b"%PDF-")
    assert b"STSong-Light" in file
    assert file.count(b"/Type /Page\n") >= 2
    with pytest.raises(FontError, match="Chinese characters"):
        written(MADE, "pdf", Path(__file__))


def test_json_is_the_figures_as_they_are() -> None:
    """For other programs."""
    assert b'"level":"area"' in written(MADE, "json")
