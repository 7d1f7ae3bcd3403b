"""WeCom: group bots by key, and an app with its token."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.harness.providers import says
from tests.harness.sinks import Received, Say

MOST_BYTES = 2048


@dataclass
class WecomBots:
    """`/cgi-bin/webhook/send`; `error` is answered instead of a yes, as (errcode, errmsg)."""

    keys: set[str]
    error: tuple[int, str] | None = None
    taken: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, got: Received) -> Say:
        if got.path != "/cgi-bin/webhook/send" or got.method != "POST":
            return Say(404, b"not found")
        if got.query.get("key") not in self.keys:
            return says({"errcode": 93000, "errmsg": "invalid webhook url, hint: [1700000000000]"})
        if self.error is not None:
            return says({"errcode": self.error[0], "errmsg": self.error[1]})
        text = got.body["text"]["content"]
        if got.body["msgtype"] != "text" or not text.strip():
            return says({"errcode": 44004, "errmsg": "empty content"})
        if len(text.encode()) > MOST_BYTES:
            return says({"errcode": 40058, "errmsg": "invalid Request Parameter"})
        self.taken.append(got.body)
        return says({"errcode": 0, "errmsg": "ok"})


@dataclass
class WecomApps:
    """`gettoken` and `message/send`; members are known by their ids."""

    corp_id: str
    secret: str
    agent_id: int
    now: datetime
    members: set[str] = field(default_factory=lambda: {"wang", "li"})
    unlicensed: set[str] = field(default_factory=set)
    error: tuple[int, str] | None = None
    taken: list[dict[str, Any]] = field(default_factory=list)
    tokens_given: int = 0
    token: str = ""
    ends_at: datetime | None = None
    alters_token: bool = False
    """Every token is forgotten as soon as it is given, as when somebody else fetches them in turn."""

    def __call__(self, got: Received) -> Say:
        if got.path == "/cgi-bin/gettoken" and got.method == "GET":
            return self._give_token(got)
        if got.path == "/cgi-bin/message/send" and got.method == "POST":
            return self._take(got)
        return Say(404, b"not found")

    def _give_token(self, got: Received) -> Say:
        if got.query.get("corpid") != self.corp_id:
            return says({"errcode": 40013, "errmsg": "invalid corpid, hint: [1700000000000]"})
        if got.query.get("corpsecret") != self.secret:
            return says({"errcode": 40001, "errmsg": "invalid credential, hint: [1700000000000]"})
        self.tokens_given += 1
        self.token, self.ends_at = f"token-{self.tokens_given}", self.now + timedelta(seconds=7200)
        return says({"errcode": 0, "errmsg": "ok", "access_token": self.token, "expires_in": 7200})

    def _take(self, got: Received) -> Say:
        if got.query.get("access_token") != self.token or self.alters_token:
            return says({"errcode": 40014, "errmsg": "invalid access_token"})
        if self.ends_at is None or self.now >= self.ends_at:
            return says({"errcode": 42001, "errmsg": "access_token expired"})
        if self.error is not None:
            return says({"errcode": self.error[0], "errmsg": self.error[1]})
        if got.body["agentid"] != self.agent_id:
            return says({"errcode": 301002, "errmsg": "not allow operate another agent"})
        if len(got.body["text"]["content"].encode()) > MOST_BYTES:
            return says({"errcode": 45002, "errmsg": "content size out of limit"})
        told = got.body["touser"].split("|")
        good = [one for one in told if one in self.members and one not in self.unlicensed]
        if not good and not set(told) & self.unlicensed:
            return says({"errcode": 81013, "errmsg": "user & party & tag all invalid"})
        if good:
            self.taken.append(got.body)
        return says(
            {
                "errcode": 0,
                "errmsg": "ok",
                "invaliduser": "|".join(one.lower() for one in told if one not in self.members),
                "unlicenseduser": "|".join(one.lower() for one in told if one in self.unlicensed),
                "msgid": f"msg-{len(self.taken)}",
            }
        )
