"""Readings as a file, streamed: whoever takes it slowly holds nothing of the database."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import StreamingResponse

from central.api import parquet
from central.api.access import DESK, Caller, may
from central.api.questions import From, To, checked
from central.api.registry import Wanted
from central.store import audit, export
from central.store.export import Reading
from central.store.export import Wanted as Asked
from central.store.pool import Store

AT_ONCE = 2
"""Exports under way at once; another is told to come again."""
_FILES: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}, parquet.MEDIA_TYPE: {}}}}


def routes(store: Store) -> APIRouter:
    """`/api/v1/export`."""
    router = APIRouter(prefix="/api/v1", tags=["questions"])
    room = asyncio.Semaphore(AT_ONCE)

    @router.get("/export", response_class=StreamingResponse, responses=_FILES)
    async def readings(
        begin: From,
        end: To,
        caller: Annotated[Caller, Depends(may(store, DESK))],
        detector: Wanted = None,
        gateway: Wanted = None,
        building: Wanted = None,
        grid: Wanted = None,
        as_: Annotated[str, Query(alias="as", pattern="^(csv|parquet)$")] = "csv",
    ) -> StreamingResponse:
        """Readings of one detector, gateway, building or grid; times are UTC.

        As CSV (RFC 4180, UTF-8), or as Parquet where `smokewatch[parquet]` is installed (else 501). Each
        export is a row of the audit log. Roles: administrator, dispatcher.
        """
        checked(begin, end, export.LONGEST)
        named = {"detector": detector, "gateway": gateway, "building": building, "grid": grid}
        chosen = {kind: name for kind, name in named.items() if name is not None}
        if len(chosen) != 1:
            raise HTTPException(400, f"name one of: {', '.join(named)}")
        if as_ == "parquet" and not parquet.available():
            raise HTTPException(501, "no Parquet here: install smokewatch[parquet], or ask for as=csv")
        if room.locked():
            raise HTTPException(503, f"{AT_ONCE} exports are under way", headers={"Retry-After": "30"})
        async with store.transaction() as tx:
            ((kind, name),) = chosen.items()
            await audit.note(
                tx,
                who=caller.who,
                action="export_readings",
                subject=f"{kind}:{name}",
                from_where=caller.from_where,
                detail={"from": begin.isoformat(), "to": end.isoformat()},
            )
        asked = Asked(begin, end, detector=detector, gateway=gateway, building=building, grid=grid)
        write, kind = (
            (_parquet, parquet.MEDIA_TYPE) if as_ == "parquet" else (_csv, "text/csv; charset=utf-8")
        )
        return StreamingResponse(
            write(store, asked, room),
            media_type=kind,
            headers={"Content-Disposition": f'attachment; filename="readings-{name}.{as_}"'},
        )

    return router


async def _csv(store: Store, asked: Asked, room: asyncio.Semaphore) -> AsyncIterator[bytes]:
    async with room:
        yield ",".join(Reading._fields).encode() + b"\r\n"
        async for piece in export.export(store, asked):
            if piece:
                yield await asyncio.to_thread(_lines, piece)


async def _parquet(store: Store, asked: Asked, room: asyncio.Semaphore) -> AsyncIterator[bytes]:
    async with room:
        file = await asyncio.to_thread(parquet.ParquetPieces)
        async for piece in export.export(store, asked):
            if piece and (made := await asyncio.to_thread(file.write, piece)):
                yield made
        yield await asyncio.to_thread(file.end)


def _lines(piece: list[Reading]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_text(value) for value in row] for row in piece)
    return text.getvalue().encode()


def _text(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
