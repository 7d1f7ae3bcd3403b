"""Whether the process turns and can work, and its figures. No token: these are for machines on the inside."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from central import metrics
from central.health import Health
from central.store.errors import StoreError
from central.store.pool import Store


def routes(store: Store, health: Health | None) -> APIRouter:
    """`/healthz`, `/readyz`, `/metrics`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def live() -> Response:
        """200 while every loop turns."""
        if health is None:
            return JSONResponse({"ok": True, "parts": {}})
        report = health.live()
        return JSONResponse({"ok": report.ok, "parts": report.parts}, 200 if report.ok else 503)

    @router.get("/readyz")
    async def ready() -> Response:
        """200 when the database answers and every part is content."""
        parts: dict[str, str] = {}
        if health is not None:
            parts.update((await health.ready()).parts)
        try:
            async with store.transaction():
                parts["database"] = "ok"
        except StoreError:
            parts["database"] = "does not answer"
        ok = all(said == "ok" for said in parts.values())
        return JSONResponse({"ok": ok, "parts": parts}, 200 if ok else 503)

    @router.get("/metrics")
    async def figures() -> Response:
        """Prometheus text."""
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    return router
