"""One HTTP exchange, for channels whose provider speaks HTTP, and what a provider's error code asks for.

Law of this file: whatever happens is an answer or TryLater, in time, whatever the receiver does; nothing of
the receiver's address, no secret and no telephone number is in what is said.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx

from central.notifier.channel import Rejected, TryLater

MAX_ANSWER = 16 * 1024
"""Bytes of an answer that are read."""
JSON: Mapping[str, str] = {"Content-Type": "application/json; charset=utf-8"}
"""The headers of a JSON request."""
_PATIENCE = timedelta(seconds=5)  # of a receiver that is overloaded and does not say for how long
_BUSY = frozenset({429, 503})
# Telephone numbers, and what is long enough to be a key: providers quote both in their complaints.
_PRIVATE = re.compile(r"[0-9]{5,}|[A-Za-z0-9_-]{20,}")
_PLAIN_CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: bytes | None
    """None: it had more than MAX_ANSWER bytes."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def after(self, now: datetime) -> timedelta | None:
        """How much patience the receiver asks for (RFC 9110, 10.2.3: seconds, or a date)."""
        value = self.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return timedelta(seconds=min(int(value), 86400))
        try:
            at = parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        return max((at if at.tzinfo else at.replace(tzinfo=UTC)) - now, timedelta(0))


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object that came back."""

    status: int
    said: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """The status alone says yes; the object may still say no."""
        return 200 <= self.status < 300


class Poster:
    """Asks over kept connections; redirects are not followed."""

    def __init__(self, timeout_s: float) -> None:
        """`timeout_s` bounds each exchange as a whole, connecting and the last byte included."""
        self.timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            verify=_trusted(),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30),
        )

    async def ask(
        self, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None, *, method: str = "POST"
    ) -> Reply | TryLater:
        """One request and its answer. Never raises."""
        try:
            async with (
                asyncio.timeout(self.timeout_s),
                self._client.stream(method, url, content=body, headers=headers) as answer,
            ):
                return Reply(answer.status_code, await _read(answer), answer.headers)
        except (httpx.TimeoutException, TimeoutError) as error:
            return TryLater(None, f"no answer within {self.timeout_s:g} s ({type(error).__name__})")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            return TryLater(None, f"the receiver cannot be reached ({type(error).__name__})")
        except Exception as error:  # noqa: BLE001 -- a channel's contract: whatever happens becomes an outcome
            return TryLater(None, f"sending failed ({type(error).__name__})")

    async def ask_object(
        self,
        now: datetime,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
    ) -> Answer | TryLater:
        """One request to a provider that answers in JSON, whatever the status. Never raises.

        Anything but an object is no answer of the provider's. One that is overloaded and says so by its
        status alone gets the patience it asks for, else 5 s.
        """
        reply = await self.ask(url, body, headers, method=method)
        return reply if isinstance(reply, TryLater) else _object_of(reply, now)

    async def close(self) -> None:
        """Close the connections. Safe to repeat."""
        await self._client.aclose()


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are believed, read once for all channels."""
    return httpx.create_ssl_context(trust_env=False)


def as_json(content: object) -> bytes:
    """A request's body; half a character pair, which no JSON may hold, becomes `?`."""
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Codes:
    """What a provider's error codes ask for; a code may end in `*` for all that begin so.

    Codes that are in neither, those nobody knows included, are tried again: they mean an account, a key or
    a template that somebody can mend, and meanwhile the person's next channel is tried as well.
    """

    wait: Mapping[str, timedelta]
    """Too many messages: come again after this."""
    final: frozenset[str]
    """The address or the text is not taken, ever."""

    def outcome(self, status: int, code: object, words: object) -> TryLater | Rejected:
        """What becomes of a message that was answered with this error."""
        known = str(code)
        shown = known if _PLAIN_CODE.fullmatch(known) else "?"
        hidden = " ".join(_PRIVATE.sub("…", str(words or "")).split())[:100]
        why = f"the provider answered {status} with error {shown} {hidden}".rstrip()
        if any(_fits(known, pattern) for pattern in self.final):
            return Rejected(why)
        return TryLater(next((wait for p, wait in self.wait.items() if _fits(known, p)), None), why)


def _object_of(reply: Reply, now: datetime) -> Answer | TryLater:
    if reply.status in _BUSY:
        return TryLater(reply.after(now) or _PATIENCE, f"the provider answered {reply.status}")
    if reply.body is None:
        return TryLater(None, f"the provider answered {reply.status} with more than {MAX_ANSWER} bytes")
    try:
        said = json.loads(reply.body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return TryLater(
            None, f"the provider answered {reply.status} with something that is not a JSON object"
        )
    return Answer(reply.status, said)


def _fits(code: str, pattern: str) -> bool:
    return code.startswith(pattern[:-1]) if pattern.endswith("*") else code == pattern


async def _read(answer: httpx.Response) -> bytes | None:
    """The body; None when it is too long to be an answer."""
    parts = bytearray()
    async for part in answer.aiter_bytes():
        parts += part
        if len(parts) > MAX_ANSWER:
            return None
    return bytes(parts)
