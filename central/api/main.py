"""The application: API, pages, live stream, health. Law of this file: wiring only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib import metadata
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

import central.pages
from central.api import alarms, callbacks, duties, export, questions, registry, reports, stream, windows
from central.api import health as health_routes
from central.api.failures import add_handlers
from central.api.limits import BodyLimit
from central.api.shapes import Failure
from central.config import Settings
from central.health import Health
from central.notifier.callbacks import read_callbacks
from central.pages import link_page, overview
from central.pages.live import Feed
from central.store.pool import Store
from central.store.resolution import KEPT, Kept
from device_profiles.load import load_profiles

_STATIC = Path(central.pages.__file__).parent / "static"


class _KeptStatic(StaticFiles):
    """Files whose address changes with their content: browsers keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept for a year."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def create_app(store: Store, settings: Settings | None = None, health: Health | None = None) -> FastAPI:
    """The application on an open store. `app.state.feed.close()` ends the live streams before a stop.

    `settings` is taken for the time when a route needs one; `health` is what `/healthz` and `/readyz` ask.
    """
    feed = Feed(store)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        listening = asyncio.create_task(feed.run(), name="feed")
        try:
            yield
        finally:
            feed.close()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    app = FastAPI(
        title="Smokewatch",
        version=_version(),
        summary="Registry, alarms and their live stream, readings.",
        description="Every failure is `{error, zh, mend}`: what is wrong, the same in Chinese, the mend.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=running,
        responses={
            "4XX": {"model": Failure, "description": "It was refused and nothing was changed."},
            "5XX": {"model": Failure, "description": "It could not be done; 503: not just now."},
        },
    )
    app.state.feed = feed
    app.state.settings = settings
    app.add_middleware(BodyLimit)
    add_handlers(app)
    app.include_router(registry.routes(store, load_profiles()))
    app.include_router(alarms.routes(store))
    app.include_router(duties.routes(store))
    app.include_router(windows.routes(store))
    app.include_router(stream.routes(store, feed))
    app.include_router(questions.routes(store, _kept(settings)))
    app.include_router(export.routes(store))
    app.include_router(reports.routes(store))
    app.include_router(health_routes.routes(store, health))
    app.include_router(link_page.routes(store))
    app.include_router(callbacks.routes(store, {} if settings is None else read_callbacks(settings)))
    app.include_router(overview.routes(store, feed))
    app.mount("/static", _KeptStatic(directory=_STATIC), name="static")
    return app


def _kept(settings: Settings | None) -> Kept:
    if settings is None:
        return KEPT
    jobs = settings.jobs
    return Kept(*(timedelta(days=days) for days in (jobs.readings_days, jobs.minutes_days, jobs.hours_days)))


def _version() -> str:
    try:
        return metadata.version("smokewatch")
    except metadata.PackageNotFoundError:
        return "0"
