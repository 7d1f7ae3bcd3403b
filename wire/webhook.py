"""The webhook: how a message is signed, and what a receiver's answer means. docs/reference/webhook.md.

Law of this file: pure; only an answer that says so is a success. Both senders use it: the centre's channel,
and a gateway that calls by itself. Nothing of the receiver's address appears in what is said.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from enum import StrEnum

MAX_ANSWER = 16 * 1024
"""Bytes of an answer that are read."""
_TOO_MANY = 429
_BUSY = frozenset({408, 423, 425, 502, 503, 504})
_CODES = ("errcode", "err_code", "code")
"""Where receivers of the WeCom, DingTalk and Feishu kind say that a 200 was none."""


class Verdict(StrEnum):
    """What becomes of the message."""

    TAKEN = "taken"
    LATER = "later"
    """Not now, or nobody knows: try again."""
    REFUSED = "refused"
    """For good: another channel is tried."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A receiver's answer, judged."""

    verdict: Verdict
    why: str = ""
    """Of what was not taken."""
    id: str | None = None
    """The receiver's own number of the message."""
    busy: bool = False
    """It says that it is overloaded: `Retry-After` counts."""


def signature(secret: bytes, timestamp: str, key: str, body: bytes) -> str:
    """What the header `X-Smokewatch-Signature` holds: HMAC-SHA256 over `timestamp.key.body`."""
    signed = b".".join((timestamp.encode(), key.encode(), body))
    return "sha256=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()


def headers(secret: bytes, timestamp: str, key: str, body: bytes) -> dict[str, str]:
    """The headers of a message; `timestamp` is whole seconds since 1970."""
    return {
        "Content-Type": "application/json; charset=utf-8",
        "Idempotency-Key": key,
        "X-Smokewatch-Timestamp": timestamp,
        "X-Smokewatch-Signature": signature(secret, timestamp, key, body),
    }


def judge(status: int, body: bytes | None) -> Answer:
    """What an answer means. `body` is None when it had more than MAX_ANSWER bytes."""
    if status == _TOO_MANY or status in _BUSY:
        return Answer(Verdict.LATER, f"the receiver answered {status}", busy=True)
    if status >= 500:
        return Answer(Verdict.LATER, f"the receiver answered {status}")
    if not 200 <= status < 300:
        return Answer(Verdict.REFUSED, f"the receiver answered {status}")
    if body is None:
        return Answer(Verdict.LATER, f"the receiver answered {status} with more than {MAX_ANSWER} bytes")
    return _said(status, body)


def _said(status: int, body: bytes) -> Answer:
    if not body.strip():
        return Answer(Verdict.TAKEN)
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return Answer(
            Verdict.LATER, f"the receiver answered {status} with something that is not a JSON object"
        )
    code = next((said[name] for name in _CODES if name in said), 0)
    if code not in (0, "0", None):
        why = str(said.get("errmsg") or said.get("msg") or said.get("error") or "")[:100]
        text = f"the receiver answered {status} with error code {str(code)[:20]} {why}".rstrip()
        return Answer(Verdict.REFUSED, text)
    if said.get("ok") is False or said.get("success") is False:
        why = str(said.get("error") or "")[:100]
        text = f"the receiver answered {status}, but says it failed {why}".rstrip()
        return Answer(Verdict.LATER if said.get("retry") is True else Verdict.REFUSED, text)
    if said.get("ok") is True or any(name in said for name in _CODES):
        found = said.get("id")
        return Answer(Verdict.TAKEN, id=str(found)[:200] if isinstance(found, str | int) else None)
    return Answer(Verdict.LATER, f"the receiver answered {status} without `ok`")
