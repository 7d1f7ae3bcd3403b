"""The DingTalk custom bot (钉钉自定义机器人) with a signature (加签): a message into a group chat.

Law of this file: a group is a place where others read along, so it gets the open text unless its table says
`personal = true`; DingTalk answers 200 to everything, and only `errcode` 0 is a success.

Source: DingTalk's page on the custom bot's security settings: `sign` is Base64 of HMAC-SHA256 over
`timestamp` (milliseconds), a line feed and the secret, keyed with the secret; the time may be an hour off; 20
messages a minute for each bot, after more than that it is limited for 10 minutes. Its error codes: Alibaba's
table for 130101 and 310000, DingTalk's API definition for 4xxxxx.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from central.notifier.channel import Limits, Message, Outcome, Rejected, Sent, TryLater
from central.notifier.fitting import within_bytes
from central.notifier.pacing import Allowance
from central.notifier.posting import JSON, Codes, Poster, as_json
from central.notifier.reading import Seconds, SignedGroup, base_url, signed_groups, table_of

_MOST_BYTES = 18_000  # of a request of 20,000
_LIMITED = timedelta(minutes=10)
_MOST, _WITHIN = 20, timedelta(minutes=1)
_CODES = Codes(
    wait={"130101": _LIMITED, "410100": _LIMITED},
    # The group is gone; the text has links, words, pictures or content that are not allowed.
    final=frozenset({"400013", "430101", "430102", "430103", "430104"}),
)


@dataclass(frozen=True, slots=True)
class DingTalkConfig:
    """Where DingTalk is, and the bots by the name of their group."""

    groups: Mapping[str, SignedGroup]
    url: str = "https://oapi.dingtalk.com"
    timeout_s: float = 5.0


class _Table(Struct, frozen=True):
    groups: dict[str, Any] = {}
    url: str = "https://oapi.dingtalk.com"
    timeout_s: Seconds = 5.0


def read(path: Path, table: Mapping[str, Any], _environment: Mapping[str, str]) -> DingTalkConfig:
    """The settings of `[channels.dingtalk]`. Raises ConfigError."""
    place = "channels.dingtalk."
    given = table_of(path, place, table, _Table)
    return DingTalkConfig(
        signed_groups(path, place, given.groups), base_url(path, place, given.url), given.timeout_s
    )


def signature(secret: str, stamp: str) -> str:
    """What stands in `sign` before it is escaped for the address; `stamp` is milliseconds since 1970."""
    digest = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


class DingTalk:
    """Posts to the group that an address names: `GROUP`, or `GROUP/PHONE` to have somebody's phone ring."""

    limits = Limits(homes=100)

    def __init__(self, config: DingTalkConfig, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._clock = clock
        self._poster = Poster(config.timeout_s)
        self._allowances = {name: Allowance(_MOST, _WITHIN) for name in config.groups}

    @property
    def timeout_s(self) -> float:
        """The whole exchange takes no longer than this, and a moment."""
        return self._config.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Post it; sent means that DingTalk has taken it for the group. The bot gives no number for it."""
        name, _, mentioned = address.partition("/")
        group = self._config.groups.get(name)
        if group is None:
            return Rejected("there is no such group in [channels.dingtalk.groups]")
        text = f"{message.title}\n{message.text}" if group.personal else message.open_text
        content: dict[str, Any] = {"msgtype": "text", "text": {"content": within_bytes(text, _MOST_BYTES)}}
        if mentioned:
            content["at"] = {"atMobiles" if mentioned.isdecimal() else "atUserIds": [mentioned]}
        now = self._clock()
        wait = self._allowances[name].take(now, urgent=message.urgent)
        if wait is not None:
            return TryLater(wait, f"held back: this bot takes {_MOST} messages a minute")
        stamp = str(int(now.timestamp() * 1000))
        query = {"access_token": group.token, "timestamp": stamp, "sign": signature(group.secret, stamp)}
        url = f"{self._config.url}/robot/send?{urlencode(query)}"
        answer = await self._poster.ask_object(now, url, as_json(content), JSON)
        if isinstance(answer, TryLater):
            return answer
        code = answer.said.get("errcode")
        if answer.ok and str(code) == "0":
            return Sent()
        return _CODES.outcome(answer.status, code, answer.said.get("errmsg"))

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()
