"""A report as CSV for Chinese Excel: UTF-8 with a byte order mark, one table below the other.

Law of this file: pure; a text that a spreadsheet would take for a formula is told as text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from central.notifier.words import Words
from central.reports.model import Spread
from central.reports.tables import Cell, Column, Kind, Table

BOM = "\ufeff"
_FORMULA = (*"=+-@\t\r\n\0", *"＝＋－＠")
"""OWASP ASVS 5.0, 1.2.10, and the same characters as Chinese input methods write them."""


def csv_bytes(head: Sequence[Words | str], tables: Sequence[Table]) -> bytes:
    """The head's lines, then each table with its title; spans in seconds, shares of 1."""
    text = io.StringIO()
    text.write(BOM)
    writer = csv.writer(text)
    for line in head:
        writer.writerow([_text(line)])
    for table in tables:
        writer.writerow([])
        writer.writerow([_text(table.title)])
        writer.writerow([word for column in table.columns for word in _titles(column)])
        for row in table.rows:
            told = zip(row, table.columns, strict=True)
            writer.writerow([one for cell, column in told for one in _cells(cell, column.kind)])
    return text.getvalue().encode()


def _titles(column: Column) -> tuple[str, ...]:
    title = _text(column.title)
    match column.kind:
        case "spread":
            return f"{title} 中位 median (s)", f"{title} 90% p90 (s)"
        case "seconds":
            return (f"{title} (s)",)
        case _:
            return (title,)


def _cells(cell: Cell, kind: Kind) -> tuple[str | int | float, ...]:
    match cell:
        case None:
            return ("",)
        case Spread(median_s=median, p90_s=p90):
            return tuple("" if one is None else round(one, 1) for one in (median, p90))
        case Words() | str():
            return (_text(cell),)
        case _ if kind == "ratio":
            return (round(cell, 4),)
        case _:
            return (round(cell, 1) if isinstance(cell, float) else cell,)


def _text(cell: Words | str) -> str:
    text = f"{cell.zh} {cell.en}" if isinstance(cell, Words) else cell
    return f"'{text}" if text.startswith(_FORMULA) else text
