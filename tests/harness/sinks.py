"""A receiver that says what a test tells it to: real HTTP over a real socket, rude answers included."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

SECRET = "a shared secret"


@dataclass(frozen=True)
class Received:
    """One POST as it came."""

    headers: dict[str, str]
    """Names in lower case."""
    raw: bytes
    number: int
    """From 1."""
    method: str = "POST"
    target: str = "/"
    """Path and query as they came, escaped."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.raw)
        return body

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def signed(self) -> bool:
        """Whether the signature is right, worked out from docs/reference/webhook.md."""
        text = b".".join((self.headers["x-smokewatch-timestamp"].encode(), self.key.encode(), self.raw))
        wanted = "sha256=" + hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()
        return hmac.compare_digest(self.headers["x-smokewatch-signature"], wanted)


@dataclass(frozen=True)
class Say:
    """What the receiver answers, and when."""

    status: int = 200
    body: bytes = b'{"ok": true}'
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """Sent as it is instead of an HTTP answer, then the line is cut."""
    wait: asyncio.Event | None = None
    """The answer comes only when this is set."""
    drip_s: float | None = None
    """The body comes for ever, one byte each so many seconds."""


OK = Say()


class Sink:
    """Listens on a port of its own; `answer` may be changed at any time."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], Say] = lambda _: OK
        self.under_way = 0
        self.most_under_way = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/messages"

    @property
    def keys(self) -> list[str]:
        return [one.key for one in self.received]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = head[0].split(" ", 2)
        one = Received(headers, raw, len(self.received) + 1, method, target)
        self.received.append(one)
        say = self.answer(one)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if say.wait is not None:
                await say.wait.wait()
        finally:
            self.under_way -= 1
        if say.raw is not None:
            writer.write(say.raw)
            await writer.drain()
            return False
        if say.drip_s is not None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(say.drip_s)
        lines = [f"HTTP/1.1 {say.status} x", f"content-length: {len(say.body)}"]
        lines += [f"{name}: {value}" for name, value in say.headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + say.body)
        await writer.drain()
        return True


@asynccontextmanager
async def sink() -> AsyncIterator[Sink]:
    """A running receiver that says yes."""
    made = Sink()
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
