"""How much a request may carry: 1 MB, 10 MB for an import, 256 kB where anybody may knock."""

from __future__ import annotations

from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from central.notifier.callbacks.json_form import MOST_BYTES

MAX_BYTES = 1_000_000
MAX_IMPORT_BYTES = 10_000_000
IMPORT_PATH = "/api/imports"
CALLBACK_PATH = "/callbacks/"


class BodyLimit:
    """Picks the limit by the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._usual = RequestBodyLimitMiddleware(app, MAX_BYTES)
        self._small = RequestBodyLimitMiddleware(app, MOST_BYTES)
        self._large = RequestBodyLimitMiddleware(app, MAX_IMPORT_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 for more than the limit, whether announced or not."""
        path = scope["path"] if scope["type"] == "http" else ""
        small = path.startswith(CALLBACK_PATH)
        limit = self._large if path == IMPORT_PATH else self._small if small else self._usual
        await limit(scope, receive, send)
