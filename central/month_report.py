"""One month's report in the form that is asked for, for the API and the command line.

Law of this file: it brings rows, figures and a form together, and puts each report on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from central.notifier.words import Words
from central.pages import month_pdf
from central.pages.month import month_html
from central.registry.check import missing
from central.registry.errors import MissingError
from central.reports import words
from central.reports.csv_text import csv_bytes
from central.reports.model import Form, Month
from central.reports.month import month, month_of
from central.reports.tables import moment, tables
from central.store import audit
from central.store.pool import Store, Tx
from central.store.reports import gather, names_of

MEDIA_TYPE: dict[Form, str] = {
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "pdf": month_pdf.MEDIA_TYPE,
    "json": "application/json",
}


class Asker(Struct, frozen=True):
    """Who asks, from where, for the audit log."""

    who: str
    from_where: str


class Made(Struct, frozen=True):
    """A report and what is said above it."""

    month: Month
    place: Words
    made_at: datetime


async def make(store: Store, of: str, area: str | None, asker: Asker) -> Made:
    """The report of a month written as 2026-10. Raises ValueError, and MissingError for an unknown street."""
    begin, end = month_of(of)
    async with store.transaction() as tx:
        made_at = tx.now
        if begin > made_at:
            raise ValueError(f"{of} has not begun")
        names = await names_of(tx, area)
        if area is not None and ("area", area) not in names:
            raise MissingError([missing("area", "area", area)])
        await on_record(tx, asker, area, {"month": of})
    name = words.EVERYWHERE if area is None else Words(names["area", area], area)
    return Made(month(await gather(store, begin, end, area)), name, made_at)


async def on_record(tx: Tx, asker: Asker, area: str | None, asked: Mapping[str, str]) -> None:
    """Who asks for figures of which time."""
    subject = f"area:{area}" if area else ""
    await audit.note(
        tx,
        who=asker.who,
        action="report",
        subject=subject,
        from_where=asker.from_where,
        detail=asked,
    )


def written(made: Made, form: Form, font: Path | None = None) -> bytes:
    """The report as a file. Raises month_pdf.FontError."""
    match form:
        case "html":
            return month_html(made.month, made.place, made.made_at).encode()
        case "csv":
            span = f"{moment(made.month.begin)} – {moment(made.month.end)}"
            head: list[Words | str] = [words.TITLE, made.place, span, words.NOTE]
            return csv_bytes([*head, words.CUT] if made.month.cut else head, tables(made.month))
        case "pdf":
            return month_pdf.month_pdf(made.month, made.place, made.made_at, font)
        case "json":
            return msgspec.json.encode(made.month)
