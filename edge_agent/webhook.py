"""A webhook of the agent's own: one signed POST a message, as docs/reference/webhook.md says.

Law of this file: the standard library's HTTP, in a thread, loaded when it is first needed; whatever the
receiver does, the answer comes within the time limit and nothing of its address or the secret is said about
a failure.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge_agent.fallback_settings import WebhookSettings
from wire.webhook import MAX_ANSWER, Verdict, headers, judge

if TYPE_CHECKING:
    from http.client import HTTPConnection


class Webhook:
    """Posts to one receiver. `wall_ms` gives the time that is signed."""

    def __init__(self, settings: WebhookSettings, gateway: str, wall_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._gateway = gateway
        self._wall_ms = wall_ms

    async def send(self, to: str, title: str, text: str, key: str) -> str | None:
        """Post a fire for this telephone number; None when it was taken, else why not."""
        body = json.dumps(
            {
                "id": key,
                "to": to,
                "title": title,
                "text": text,
                "link": "",
                "language": "zh",
                "alarm": 0,
                "purpose": "alarm",
                "urgent": True,
                "gateway": self._gateway,
            },
            ensure_ascii=False,
        ).encode("utf-8", "replace")
        signed = headers(self._settings.secret, str(self._wall_ms() // 1000), key, body)
        connection = await asyncio.to_thread(_connection, self._settings)
        work = asyncio.create_task(asyncio.to_thread(_post, connection, self._settings.url, body, signed))
        work.add_done_callback(_ignore)
        late = f"接收方 {self._settings.timeout_s:g} 秒无应答 no answer within the time"
        done, _ = await asyncio.wait({work}, timeout=self._settings.timeout_s)
        if not done:
            # The thread hangs in the socket: cut it, and it ends by itself.
            _cut(connection)
            return late
        try:
            status, said = work.result()
        except TimeoutError:
            return late
        except Exception as error:  # noqa: BLE001 -- whatever it is, the message was not taken
            return f"接收方无法连接 the receiver cannot be reached ({type(error).__name__})"
        answer = judge(status, said)
        return None if answer.verdict is Verdict.TAKEN else f"接收方拒绝 {answer.why}"


def _connection(settings: WebhookSettings) -> HTTPConnection:
    from http.client import HTTPConnection, HTTPSConnection

    parts = urlsplit(settings.url)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=settings.ca_file)
        return HTTPSConnection(host, parts.port, timeout=settings.timeout_s, context=context)
    return HTTPConnection(host, parts.port, timeout=settings.timeout_s)


def _post(
    connection: HTTPConnection, url: str, body: bytes, signed: Mapping[str, str]
) -> tuple[int, bytes | None]:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body, {**signed, "Connection": "close"})
        answer = connection.getresponse()
        said = answer.read(MAX_ANSWER + 1)
        return answer.status, said if len(said) <= MAX_ANSWER else None
    finally:
        connection.close()


def _cut(connection: HTTPConnection) -> None:
    link = connection.sock
    if link is not None:
        try:
            link.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was never connected, or is gone already


def _ignore(work: asyncio.Task[tuple[int, bytes | None]]) -> None:
    """Take the outcome of what nobody waits for any more, so that it is not reported as lost."""
    if not work.cancelled():
        work.exception()
