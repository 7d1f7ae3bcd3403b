"""DingTalk's custom bot with a signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.harness.providers import says
from tests.harness.sinks import Received, Say

_HOUR_MS = 3_600_000


@dataclass
class DingTalkBots:
    """`/robot/send`: errors come with status 200."""

    token: str
    secret: str
    now: datetime
    error: tuple[int, str] | None = None
    taken: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, got: Received) -> Say:
        if got.path != "/robot/send":
            return Say(404, b"not found")
        if got.method != "POST":
            return says({"errcode": 43002, "errmsg": "需要POST请求"})
        query = got.query
        if query.get("access_token") != self.token:
            return says({"errcode": 300005, "errmsg": "token is not exist"})
        stamp = query.get("timestamp", "0")
        if abs(int(stamp) - self.now.timestamp() * 1000) > _HOUR_MS:
            return says({"errcode": 310000, "errmsg": "invalid timestamp"})
        digest = hmac.digest(self.secret.encode(), f"{stamp}\n{self.secret}".encode(), hashlib.sha256)
        if query.get("sign") != base64.b64encode(digest).decode():
            return says({"errcode": 310000, "errmsg": "sign not match"})
        if self.error is not None:
            return says({"errcode": self.error[0], "errmsg": self.error[1]})
        if not got.body["text"]["content"].strip():
            return says({"errcode": 40035, "errmsg": "缺少参数 text.content"})
        self.taken.append(got.body)
        return says({"errcode": 0, "errmsg": "ok"})
