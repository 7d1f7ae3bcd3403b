"""Feishu's custom bot with a signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.harness.providers import says
from tests.harness.sinks import Received, Say


@dataclass
class FeishuBots:
    """`/open-apis/bot/v2/hook/TOKEN`: errors have status 200, and the old fields beside the new."""

    token: str
    secret: str
    now: datetime
    error: tuple[int, str] | None = None
    taken: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, got: Received) -> Say:
        if got.path != f"/open-apis/bot/v2/hook/{self.token}":
            return says({"code": 19001, "msg": "param invalid: incoming webhook access token invalid"})
        stamp = got.body["timestamp"]
        good = base64.b64encode(hmac.digest(f"{stamp}\n{self.secret}".encode(), b"", hashlib.sha256)).decode()
        if got.body["sign"] != good or abs(int(stamp) - self.now.timestamp()) > 3600:
            return _error(19021, "sign match fail or timestamp is not within one hour from current time")
        if self.error is not None:
            return _error(*self.error)
        self.taken.append(got.body)
        return says(
            {
                "code": 0,
                "msg": "success",
                "data": {},
                "Extra": None,
                "StatusCode": 0,
                "StatusMessage": "success",
            }
        )


def _error(code: int, msg: str) -> Say:
    return says({"StatusCode": 0, "StatusMessage": "", "code": code, "msg": msg})
