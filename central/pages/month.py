"""The monthly report as one HTML file: nothing to fetch, so that it can be kept, sent and printed.

Law of this file: it words nothing; words and values come with the tables.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import cache
from importlib import resources

from central.notifier.words import Words
from central.pages.render import HEADERS, render
from central.reports import words
from central.reports.model import Month
from central.reports.tables import moment, shown, tables


def month_html(month: Month, place: Words, made_at: datetime) -> str:
    """The page; `place` is the street's name, or that it is all of them."""
    return render(
        "month.html",
        "zh",
        css=_css(),
        words=words,
        month=month,
        place=place,
        span=f"{moment(month.begin)} – {moment(month.end)}",
        made_at=moment(made_at),
        tables=tables(month),
        shown=shown,
    )


def month_headers() -> dict[str, str]:
    """Those of every page; the style that the file carries is allowed by its hash."""
    digest = base64.b64encode(hashlib.sha256(_css().encode()).digest()).decode()
    policy = HEADERS["Content-Security-Policy"].replace("style-src 'self'", f"style-src 'sha256-{digest}'")
    return {**HEADERS, "Content-Security-Policy": policy, "Content-Language": "zh"}


@cache
def _css() -> str:
    return resources.files("central.pages").joinpath("templates", "month.css").read_text("utf-8")
