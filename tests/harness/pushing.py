"""The centre's HTTP side as providers reach it, with the callbacks of its configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from central.api import create_app
from central.config import read_settings
from central.store.pool import Store

TOKEN = "t0ken-that-nobody-can-guess"


@asynccontextmanager
async def provider_side(store: Store, folder: Path, *channels: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a centre that believes these channels' callbacks by TOKEN."""
    tables = "".join(f'[channels.{name}.callback]\ntoken = "{TOKEN}"\n' for name in channels)
    path = folder / "central.toml"
    path.write_text(f'[database]\ndsn = "x"\n[broker]\nhost = "b"\n{tables}', "utf-8")
    app = create_app(store, read_settings(path, {}))
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
        yield client
