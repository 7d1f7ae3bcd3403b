"""The WeCom app message (企业微信应用消息): to one member, by the app's own token.

Law of this file: `errcode` 0 is a success only when the member is not among those that the answer calls
invalid; a token is kept until shortly before its end, and fetched again once when WeCom does not know it.

Source: WeCom's developer pages, paths 91039 (gettoken: `access_token`, `expires_in`), 90236 (message/send:
text of at most 2,048 bytes; `invaliduser`, `unlicenseduser`, 81013 when nobody may be told), 90313 (codes).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from msgspec import Meta, Struct

from central.notifier.channel import Limits, Message, Outcome, Rejected, Sent, TryLater
from central.notifier.fitting import within_bytes
from central.notifier.posting import JSON, Answer, Codes, Poster, as_json
from central.notifier.reading import Name, Seconds, base_url, needed_secret, table_of

SECRET_VARIABLE = "SMOKEWATCH_WECOM_APP_SECRET"  # noqa: S105 -- the variable's name, not a secret
_MOST_BYTES = 2048
_EARLY = timedelta(minutes=5)
_STALE = frozenset({"40014", "42001", "41001"})
"""WeCom does not know the token (40014), it has ended (42001), or it is missing (41001)."""
_CODES = Codes(
    wait={"45009": timedelta(seconds=60), "45033": timedelta(seconds=10)},
    # Nobody to tell: 81013, 82001 (no such member, or not the app's), 40003. A text refused: 44004, 45002.
    final=frozenset({"81013", "82001", "40003", "44004", "45002"}),
)


@dataclass(frozen=True, slots=True)
class WecomAppConfig:
    """Whose app."""

    corp_id: str
    agent_id: int
    secret: str = field(repr=False)
    url: str = "https://qyapi.weixin.qq.com"
    timeout_s: float = 5.0


class _Table(Struct, frozen=True):
    corp_id: Name
    agent_id: Annotated[int, Meta(ge=0)]
    secret: str | None = None
    secret_file: str | None = None
    url: str = "https://qyapi.weixin.qq.com"
    timeout_s: Seconds = 5.0


def read(path: Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> WecomAppConfig:
    """The settings of `[channels.wecom_app]`. Raises ConfigError."""
    place = "channels.wecom_app."
    given = table_of(path, place, table, _Table)
    shared = needed_secret(
        path,
        f"{place}secret",
        given.secret,
        given.secret_file,
        (SECRET_VARIABLE, environment.get(SECRET_VARIABLE)),
    )
    url = base_url(path, place, given.url)
    return WecomAppConfig(given.corp_id, given.agent_id, shared, url, given.timeout_s)


class WecomApp:
    """Writes to the member whose user id the address is."""

    limits = Limits()

    def __init__(self, config: WecomAppConfig, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._clock = clock
        self._poster = Poster(config.timeout_s)
        self._token = ""
        self._good_until: datetime | None = None
        self._fetching = asyncio.Lock()

    @property
    def timeout_s(self) -> float:
        """The whole exchange, the token included, takes no longer than this, and a moment."""
        return self._config.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Hand it over; sent means that WeCom has taken it for this member."""
        if not address or "|" in address or address.startswith("@"):
            return Rejected("the address is no member's user id")  # `|` and `@all` would tell others
        try:
            async with asyncio.timeout(self._config.timeout_s):
                return await self._send(message, address)
        except TimeoutError:
            return TryLater(None, f"no answer within {self._config.timeout_s:g} s")

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    async def _send(self, message: Message, address: str) -> Outcome:
        text = within_bytes(f"{message.title}\n{message.text}", _MOST_BYTES)
        body = as_json(
            {
                "touser": address,
                "msgtype": "text",
                "agentid": self._config.agent_id,
                "text": {"content": text},
            }
        )
        for last in (False, True):
            token = await self._usable_token()
            if not isinstance(token, str):
                return token
            url = f"{self._config.url}/cgi-bin/message/send?{urlencode({'access_token': token})}"
            answer = await self._poster.ask_object(self._clock(), url, body, JSON)
            if isinstance(answer, TryLater):
                return answer
            if str(answer.said.get("errcode")) in _STALE and not last:
                self._forget(token)
                continue
            return _judge(answer, address)
        raise AssertionError  # the second turn always returns

    async def _usable_token(self) -> str | TryLater | Rejected:
        """The token that is kept, or a new one; many messages at once fetch it once."""
        async with self._fetching:
            now = self._clock()
            if self._good_until is not None and now < self._good_until:
                return self._token
            query = urlencode({"corpid": self._config.corp_id, "corpsecret": self._config.secret})
            url = f"{self._config.url}/cgi-bin/gettoken?{query}"
            answer = await self._poster.ask_object(now, url, method="GET")
            if isinstance(answer, TryLater):
                return answer
            token, seconds = answer.said.get("access_token"), answer.said.get("expires_in")
            good = answer.ok and str(answer.said.get("errcode")) == "0" and isinstance(token, str) and token
            if not good or not isinstance(token, str):
                return _CODES.outcome(answer.status, answer.said.get("errcode"), answer.said.get("errmsg"))
            lasts = timedelta(seconds=seconds if isinstance(seconds, int) and 0 < seconds < 86400 else 7200)
            self._token, self._good_until = token, now + max(lasts - _EARLY, lasts / 2)
            return token

    def _forget(self, token: str) -> None:
        if token == self._token:  # another message may have fetched a new one meanwhile
            self._good_until = None


def _judge(answer: Answer, address: str) -> Outcome:
    said = answer.said
    if not answer.ok or str(said.get("errcode")) != "0":
        return _CODES.outcome(answer.status, said.get("errcode"), said.get("errmsg"))
    for name in ("invaliduser", "unlicenseduser"):
        # The answer writes user ids in lower case.
        if address.lower() in str(said.get(name) or "").lower().split("|"):
            return Rejected(f"the provider took it, but not for this member ({name})")
    number = said.get("msgid")
    return Sent(str(number)[:200] if number else None)
