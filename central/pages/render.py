"""Templates to responses.

Law of this file: the only importer of Jinja2; everything is escaped; every page carries the headers that keep
it private and free of foreign script.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from fastapi.responses import HTMLResponse

from central.pages.words import Language, Words

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def page(template: str, language: Language, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A rendered page with its headers; templates see `t` (the words) and the context."""
    text = render(template, language, **context)
    return HTMLResponse(text, status_code=status, headers={**HEADERS, "Content-Language": language})


def render(template: str, language: Language, **context: Any) -> str:
    """The text of a page. Raises jinja2's error for a name that the context lacks: a bug, found by tests."""
    return _environment().get_template(template).render(t=Words(language), version=version(), **context)


def message(language: Language, kind: str, status: int, **more: Any) -> HTMLResponse:
    """A page that says one thing: `error.<kind>` of the words."""
    return page("message.html", language, status=status, kind=kind, **more)


@cache
def version() -> str:
    """Changes with the static files, so that browsers may keep them for a year."""
    digest = hashlib.sha256()
    for file in sorted(resources.files("central.pages").joinpath("static").iterdir(), key=lambda f: f.name):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("central.pages", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
