"""The centre's HTTP side for tests: in memory, or behind a real uvicorn on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import uvicorn

from central.api import create_app
from central.store.links import make_link
from central.store.pool import Store
from central.store.tokens import make_token


def client(store: Store, token: str | None = None, *, address: str = "203.0.113.9") -> httpx.AsyncClient:
    """A client that talks to the application without a socket; failures come out as answers."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(create_app(store), client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://centre", headers=headers)


async def token_for(store: Store, role: str, *, name: str | None = None, worker: str | None = None) -> str:
    """A fresh token."""
    async with store.transaction() as tx:
        return await make_token(tx, name=name or f"test-{role}", role=role, worker=worker)


async def link_for(
    store: Store,
    alarm: int,
    worker: str = "w-zhang",
    valid: timedelta = timedelta(hours=1),
    also: Sequence[int] = (),
) -> str:
    """The token of a fresh link about an alarm, and perhaps further ones."""
    async with store.transaction() as tx:
        return await make_link(tx, (alarm, *also), worker, None, valid)


@asynccontextmanager
async def served(store: Store) -> AsyncIterator[str]:
    """A real uvicorn on a free port of this machine; the address."""
    app = create_app(store)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not task.done(), "uvicorn did not start"
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        app.state.feed.close()
        server.should_exit = True
        await task
