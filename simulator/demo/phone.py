"""Everybody's telephone in the demo: a webhook receiver that shows what arrived, and a box of matches.

It believes a message only when its signature is right, as a real receiver must (docs/reference/webhook.md).
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

_KEPT = 500
_MAX_BODY = 64 * 1024
_SCREEN = """<!doctype html>
<html lang="zh"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="3"><title>演示手机 Demo phone</title>
<style>
body {{ font: 16px/1.5 "Noto Sans CJK SC", "WenQuanYi Micro Hei", sans-serif; background: #e8ecef;
  margin: 0 auto; max-width: 34em; padding: 1em }}
article {{ background: #fff; border-radius: 12px; padding: .8em 1em; margin: .7em 0;
  border-left: 6px solid #c62828 }}
h1 {{ font-size: 1.2em }} h2 {{ font-size: 1em; margin: .2em 0 }} small {{ color: #555 }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; margin: .3em 0 }}
a.button, button {{ display: inline-block; background: #c62828; color: #fff; border: 0; border-radius: 8px;
  padding: .6em 1em; font: inherit; text-decoration: none }}
select {{ font: inherit; padding: .5em }}
</style>
<h1>演示手机 <small>Everybody's phone in this demo</small></h1>
<form method="post" action="/ignite">
<select name="detector" aria-label="detector">{options}</select> <button>点火 Light a fire</button>
</form>
{messages}
</html>"""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it arrived."""

    body: dict[str, Any]
    received: float
    """Seconds since 1970."""


class Phone:
    """Listens on loopback; `ignite` is called with a detector's id when somebody plays with matches."""

    def __init__(
        self,
        port: int,
        secret: str,
        detectors: tuple[str, ...],
        ignite: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._secret = secret.encode()
        self._detectors = detectors
        self._ignite = ignite
        self._clock = clock
        self._messages: deque[Message] = deque(maxlen=_KEPT)
        self._arrived = threading.Condition()
        self.refused = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="phone", daemon=True)

    @property
    def url(self) -> str:
        """Where messages are posted."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Start listening in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def messages(self) -> list[Message]:
        """What arrived, oldest first (the last 500)."""
        with self._arrived:
            return list(self._messages)

    def wait_for(self, wanted: Callable[[Message], bool], timeout_s: float) -> Message | None:
        """The first message that is wanted, or None when none came in time."""
        with self._arrived:
            self._arrived.wait_for(lambda: any(wanted(m) for m in self._messages), timeout_s)
            return next((m for m in self._messages if wanted(m)), None)

    def _take(self, raw: bytes, headers: dict[str, str]) -> bool:
        stamp, signature = (
            headers.get("x-smokewatch-timestamp", ""),
            headers.get("x-smokewatch-signature", ""),
        )
        key = headers.get("idempotency-key", "")
        wanted = hmac.new(
            self._secret, b".".join((stamp.encode(), key.encode(), raw)), hashlib.sha256
        ).hexdigest()
        if not hmac.compare_digest(signature, f"sha256={wanted}"):
            self.refused += 1
            return False
        with self._arrived:
            self._messages.append(Message(json.loads(raw), self._clock()))
            self._arrived.notify_all()
        return True

    def _screen(self) -> str:
        options = "".join(f"<option>{html.escape(d)}</option>" for d in self._detectors)
        cards = "".join(_card(message.body) for message in reversed(self.messages()[-30:]))
        return _SCREEN.format(options=options, messages=cards or "<p>还没有消息 Nothing has arrived yet.</p>")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        phone = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                if self.path != "/":
                    self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"not here\n")
                    return
                self._answer(HTTPStatus.OK, "text/html; charset=utf-8", phone._screen().encode())

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                if not 0 < length <= _MAX_BODY:
                    self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", b"too large\n")
                    return
                raw = self.rfile.read(length)
                if self.path == "/ignite":
                    detector = parse_qs(raw.decode("utf-8", "replace")).get("detector", [""])[0]
                    if detector in phone._detectors:
                        phone._ignite(detector)
                    self.send_response(HTTPStatus.SEE_OTHER)
                    self.send_header("location", "/")
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                try:
                    good = phone._take(raw, {name.lower(): value for name, value in self.headers.items()})
                except ValueError:
                    good = False
                if good:
                    self._answer(HTTPStatus.OK, "application/json", b'{"ok": true}')
                else:
                    self._answer(HTTPStatus.UNAUTHORIZED, "application/json", b'{"ok": false}')

            def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        return Handler


def _card(body: dict[str, Any]) -> str:
    def text(key: str) -> str:
        return html.escape(str(body.get(key) or ""))

    link = f'<p><a class="button" href="{text("link")}">打开 Open</a></p>' if body.get("link") else ""
    head = f"<small>→ {text('to')}</small><h2>{text('title')}</h2>"
    return f"<article>{head}<pre>{text('text')}</pre>{link}</article>"
