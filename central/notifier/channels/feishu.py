"""The Feishu custom bot (飞书自定义机器人) with a signature (签名校验): a message into a group chat.

Law of this file: a group is a place where others read along, so it gets the open text unless its table says
`personal = true`; Feishu answers 200 to nearly everything, and only `code` 0 is a success.

Source: Feishu's guide to custom bots: `sign` is Base64 of HMAC-SHA256 over nothing, keyed with `timestamp`
(seconds), a line feed and the secret; the time may be an hour off; codes 19021 (sign), 19022 (address), 19024
(key word); 100 messages a minute and 5 a second for each bot. 11232 and 9499 ("too many request") are not in
that guide but are seen in the field.
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
from urllib.parse import quote

from msgspec import Struct

from central.notifier.channel import Limits, Message, Outcome, Rejected, Sent, TryLater
from central.notifier.fitting import within_bytes
from central.notifier.pacing import Allowance
from central.notifier.posting import JSON, Codes, Poster, as_json
from central.notifier.reading import Seconds, SignedGroup, base_url, signed_groups, table_of

_MOST_BYTES = 18_000  # of a request of 20 kB
# None of its codes is about an address or a text for good: each can be mended at the bot.
_MOST, _WITHIN = 100, timedelta(minutes=1)
_CODES = Codes(wait={"11232": timedelta(seconds=15)}, final=frozenset())


@dataclass(frozen=True, slots=True)
class FeishuConfig:
    """Where Feishu is (or Lark), and the bots by the name of their group."""

    groups: Mapping[str, SignedGroup]
    url: str = "https://open.feishu.cn"
    timeout_s: float = 5.0


class _Table(Struct, frozen=True):
    groups: dict[str, Any] = {}
    url: str = "https://open.feishu.cn"
    timeout_s: Seconds = 5.0


def read(path: Path, table: Mapping[str, Any], _environment: Mapping[str, str]) -> FeishuConfig:
    """The settings of `[channels.feishu]`. Raises ConfigError."""
    place = "channels.feishu."
    given = table_of(path, place, table, _Table)
    return FeishuConfig(
        signed_groups(path, place, given.groups), base_url(path, place, given.url), given.timeout_s
    )


def signature(secret: str, stamp: str) -> str:
    """What stands in `sign`; `stamp` is seconds since 1970."""
    return base64.b64encode(hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()


class Feishu:
    """Posts to the group that an address names: `GROUP`, or `GROUP/OPEN_ID` to call somebody in it."""

    limits = Limits(homes=100)

    def __init__(self, config: FeishuConfig, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._clock = clock
        self._poster = Poster(config.timeout_s)
        self._allowances = {name: Allowance(_MOST, _WITHIN) for name in config.groups}

    @property
    def timeout_s(self) -> float:
        """The whole exchange takes no longer than this, and a moment."""
        return self._config.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Post it; sent means that Feishu has taken it for the group. The bot gives no number of its own."""
        name, _, mentioned = address.partition("/")
        group = self._config.groups.get(name)
        if group is None or not (mentioned.replace("_", "").isalnum() or not mentioned):
            return Rejected("there is no such group in [channels.feishu.groups], or no such id")
        text = f"{message.title}\n{message.text}" if group.personal else message.open_text
        # `<at user_id="all">` in a text calls everybody: the registry's words must not.
        text = within_bytes(text.replace("<", "＜"), _MOST_BYTES)
        if mentioned:
            text = f'<at user_id="{mentioned}"></at> {text}'
        now = self._clock()
        wait = self._allowances[name].take(now, urgent=message.urgent)
        if wait is not None:
            return TryLater(wait, f"held back: this bot takes {_MOST} messages a minute")
        stamp = str(int(now.timestamp()))
        content = {
            "timestamp": stamp,
            "sign": signature(group.secret, stamp),
            "msg_type": "text",
            "content": {"text": text},
        }
        url = f"{self._config.url}/open-apis/bot/v2/hook/{quote(group.token, safe='')}"
        answer = await self._poster.ask_object(now, url, as_json(content), JSON)
        if isinstance(answer, TryLater):
            return answer
        code = answer.said.get("code", answer.said.get("StatusCode"))
        if answer.ok and str(code) == "0":
            return Sent()
        return _CODES.outcome(answer.status, code, answer.said.get("msg"))

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()
