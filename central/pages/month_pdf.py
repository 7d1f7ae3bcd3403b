"""The monthly report as PDF, by ReportLab where it is installed (extra `pdf`).

Law of this file: the only importer of ReportLab; it words nothing. Without a font file the text is set in
STSong-Light, which is not embedded: readers put a Chinese font of their own in its place.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from central.notifier.words import Words
from central.reports import words
from central.reports.model import Month
from central.reports.tables import Kind, Table, moment, shown, tables

MEDIA_TYPE = "application/pdf"
_BUILT_IN = "STSong-Light"
_GREY, _LINE, _HEAD = "#57606a", "#d0d7de", "#f6f8fa"


class FontError(Exception):
    """The font file cannot be used; the text says why."""


def available() -> bool:
    """Whether ReportLab is installed."""
    return find_spec("reportlab") is not None


def month_pdf(month: Month, place: Words, made_at: datetime, font: Path | None = None) -> bytes:
    """A4, page numbers; the same tables as on the page. `font` (TrueType) is embedded. Raises FontError."""
    from reportlab.lib.pagesizes import A4, landscape
    from reportlab.lib.units import mm
    from reportlab.platypus import SimpleDocTemplate

    name = _font(font)
    file = io.BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=landscape(A4),
        leftMargin=14 * mm,
        rightMargin=14 * mm,
        topMargin=14 * mm,
        bottomMargin=16 * mm,
        title=f"{words.TITLE.zh} {words.TITLE.en}",
        author="Smokewatch",
        lang="zh-CN",
    )
    say = _styles(name)
    story = [*_head(say, month, place, made_at)]
    for table in tables(month):
        story += _table(say, table, document.width)
    number = _page_number(name)
    document.build(story, onFirstPage=number, onLaterPages=number)
    return file.getvalue()


def _font(file: Path | None) -> str:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    if file is None:
        pdfmetrics.registerFont(UnicodeCIDFont(_BUILT_IN))
        return _BUILT_IN
    try:
        pdfmetrics.registerFont(TTFont(file.stem, str(file)))
    except (TTFError, OSError) as error:
        raise FontError(
            f"{file}: {error}: name a TrueType font (.ttf, .ttc) with Chinese characters"
        ) from None
    return file.stem


_Say = Callable[[Words | str, str], Any]
"""A text in one of the styles `title`, `heading`, `text`, `note`, `cell`, `number`."""


def _styles(font: str) -> _Say:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    def style(name: str, size: float, **more: Any) -> ParagraphStyle:
        return ParagraphStyle(name, fontName=font, fontSize=size, leading=size * 1.35, wordWrap="CJK", **more)

    styles = {
        "title": style("title", 18, spaceAfter=4),
        "heading": style("heading", 12, spaceBefore=10, spaceAfter=4, keepWithNext=1),
        "text": style("text", 9, spaceAfter=2),
        "note": style("note", 9, spaceAfter=2, keepWithNext=1),
        "cell": style("cell", 8),
        "number": style("number", 8, alignment=2),
    }

    def say(text: Words | str, of: str) -> Paragraph:
        if isinstance(text, Words):
            gap = "<br/>" if of == "number" else " "  # a narrow column would cut an English word
            marked = f'{escape(text.zh)}{gap}<font color="{_GREY}">{escape(text.en)}</font>'
        else:
            marked = escape(text)
        return Paragraph(marked, styles[of])

    return say


def _head(say: _Say, month: Month, place: Words, made_at: datetime) -> list[Any]:
    lines = [
        say(words.TITLE, "title"),
        say(place, "text"),
        say(f"{moment(month.begin)} – {moment(month.end)}", "text"),
        say(Words(f"{words.MADE_AT.zh} {moment(made_at)}", words.MADE_AT.en), "text"),
        say(words.NOTE, "text"),
    ]
    return [*lines, say(words.CUT, "text")] if month.cut else lines


def _table(say: _Say, table: Table, width: float) -> list[Any]:
    from reportlab.platypus import Table as Grid

    parts = [say(table.title, "heading")]
    if table.note is not None:
        parts.append(say(table.note, "note"))
    if not table.rows:
        return [*parts, say(words.NOTHING, "text")]
    kinds = [column.kind for column in table.columns]
    cells = [[say(column.title, _style(column.kind)) for column in table.columns]]
    for row in table.rows:
        shown_row = zip(row, kinds, strict=True)
        cells.append([say(shown(cell, kind), _style(kind)) for cell, kind in shown_row])
    shares = [2.0 if kind == "text" else 1.2 for kind in kinds]
    grid = Grid(
        cells,
        colWidths=[width * share / sum(shares) for share in shares],
        repeatRows=1,
        style=[
            ("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE),
            ("BACKGROUND", (0, 0), (-1, 0), _HEAD),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ],
    )
    return [*parts, grid]


def _style(kind: Kind) -> str:
    return "cell" if kind == "text" else "number"


def _page_number(font: str) -> Callable[[Any, Any], None]:
    def draw(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(font, 8)
        canvas.drawRightString(document.pagesize[0] - 40, 24, str(document.page))
        canvas.restoreState()

    return draw
