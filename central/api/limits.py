"""How much a request may carry: 1 MB, 10 MB for an import."""

from __future__ import annotations

from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BYTES = 1_000_000
MAX_IMPORT_BYTES = 10_000_000
IMPORT_PATH = "/api/imports"


class BodyLimit:
    """Picks the limit by the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._usual = RequestBodyLimitMiddleware(app, MAX_BYTES)
        self._large = RequestBodyLimitMiddleware(app, MAX_IMPORT_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 for more than the limit, whether announced or not."""
        large = scope["type"] == "http" and scope["path"] == IMPORT_PATH
        await (self._large if large else self._usual)(scope, receive, send)
