"""`/metrics`, `/healthz` and `/readyz` over HTTP/1.1 (RFC 9112), for machines on the inside.

Law of this file: GET and HEAD only, one request a connection, small and short; whatever a client does, the
watch goes on. A place that cannot be listened at is tried again and said once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

import structlog

REQUEST_LIMIT = 8192
REQUEST_TIMEOUT_S = 5.0
MOST_CLIENTS = 8
RETRY_S = 30.0


class Page(NamedTuple):
    """What is answered."""

    status: HTTPStatus
    text: str


class HealthServer:
    """Serves `pages` (path to page, made at each request) at host and port until cancelled."""

    def __init__(self, host: str, port: int, pages: dict[str, Callable[[], Page]]) -> None:
        self._host = host
        self._port = port
        self._pages = pages
        self._clients = 0
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Listen, for ever."""
        told = False
        while True:
            try:
                server = await asyncio.start_server(self._serve, self._host, self._port, limit=REQUEST_LIMIT)
            except OSError as error:
                if not told:
                    place = f"{self._host}:{self._port}"
                    mend = "give another address by http.listen"
                    self._log.warning("health pages cannot be served", at=place, why=str(error), mend=mend)
                    told = True
                await asyncio.sleep(RETRY_S)
                continue
            try:
                await asyncio.Event().wait()
            finally:
                server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                writer.write(await self._answer(reader))
                await writer.drain()
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self._clients -= 1
            with contextlib.suppress(OSError):
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        if self._clients > MOST_CLIENTS:
            return _response(Page(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients\n"))
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return _response(Page(HTTPStatus.BAD_REQUEST, "not an HTTP request\n"))
        words = head.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(Page(HTTPStatus.BAD_REQUEST, "not an HTTP request\n"))
        method, target = words[0], words[1].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _response(Page(HTTPStatus.METHOD_NOT_ALLOWED, "only GET\n"))
        make = self._pages.get(target)
        if make is None:
            known = ", ".join(self._pages)
            return _response(Page(HTTPStatus.NOT_FOUND, f"no such page: known are {known}\n"), method)
        try:
            return _response(make(), method)
        except Exception:  # noqa: BLE001 -- a bug in a page must not reach the watch
            self._log.exception("a health page failed", page=target)
            return _response(Page(HTTPStatus.INTERNAL_SERVER_ERROR, "failed; see the log\n"), method)


def _response(page: Page, method: str = "GET") -> bytes:
    body = page.text.encode()
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n"
        "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    ).encode()
    return head if method == "HEAD" else head + body
