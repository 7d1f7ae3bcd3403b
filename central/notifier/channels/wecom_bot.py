"""The WeCom group bot (企业微信群机器人): a message into a group chat, by the key in the bot's address.

Law of this file: a group is a place where others read along, so it gets the open text unless its table says
`personal = true`; WeCom answers 200 to everything, and only `errcode` 0 is a success.

Source: WeCom's developer pages, path 91770 (sending, 20 messages a minute for each bot, text of at most
2,048 bytes) and 90313 (global error codes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from central.notifier.channel import Limits, Message, Outcome, Rejected, Sent, TryLater
from central.notifier.fitting import within_bytes
from central.notifier.pacing import Allowance
from central.notifier.posting import JSON, Codes, Poster, as_json
from central.notifier.reading import Seconds, base_url, groups, needed_secret, table_of

_MOST_BYTES = 2048
_MOST, _WITHIN = 20, timedelta(minutes=1)
_CODES = Codes(
    wait={"45009": timedelta(seconds=60), "45033": timedelta(seconds=10)},
    # A text that is refused as it is: 40058 parameter, 44004 empty, 45002 too long.
    final=frozenset({"40058", "44004", "45002"}),
)


@dataclass(frozen=True, slots=True)
class Group:
    """One group chat."""

    key: str = field(repr=False)
    personal: bool = False


@dataclass(frozen=True, slots=True)
class WecomBotConfig:
    """Where WeCom is, and the bots by the name of their group."""

    groups: Mapping[str, Group]
    url: str = "https://qyapi.weixin.qq.com"
    timeout_s: float = 5.0


class _Group(Struct, frozen=True):
    key: str | None = None
    key_file: str | None = None
    personal: bool = False


class _Table(Struct, frozen=True):
    groups: dict[str, Any] = {}
    url: str = "https://qyapi.weixin.qq.com"
    timeout_s: Seconds = 5.0


def read(path: Path, table: Mapping[str, Any], _environment: Mapping[str, str]) -> WecomBotConfig:
    """The settings of `[channels.wecom_bot]`. Raises ConfigError."""
    place = "channels.wecom_bot."
    given = table_of(path, place, table, _Table)
    named = {
        name: Group(needed_secret(path, f"{place}groups.{name}.key", one.key, one.key_file), one.personal)
        for name, one in groups(path, place, given.groups, _Group).items()
    }
    return WecomBotConfig(named, base_url(path, place, given.url), given.timeout_s)


class WecomBot:
    """Posts to the group that an address names: `GROUP`, or `GROUP/PHONE` to have somebody's phone ring."""

    limits = Limits()

    def __init__(self, config: WecomBotConfig, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._clock = clock
        self._poster = Poster(config.timeout_s)
        self._allowances = {name: Allowance(_MOST, _WITHIN) for name in config.groups}

    @property
    def timeout_s(self) -> float:
        """The whole exchange takes no longer than this, and a moment."""
        return self._config.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Post it; sent means that WeCom has taken it for the group. The bot gives no number of its own."""
        name, _, mentioned = address.partition("/")
        group = self._config.groups.get(name)
        if group is None:
            return Rejected("there is no such group in [channels.wecom_bot.groups]")
        text = f"{message.title}\n{message.text}" if group.personal else message.open_text
        # `<@id>` in a text calls a member: the registry's words must not.
        content: dict[str, Any] = {"content": within_bytes(text.replace("<@", "＜@"), _MOST_BYTES)}
        if mentioned:
            content["mentioned_mobile_list" if mentioned.isdecimal() else "mentioned_list"] = [mentioned]
        now = self._clock()
        wait = self._allowances[name].take(now, urgent=message.urgent)
        if wait is not None:
            return TryLater(wait, f"held back: this bot takes {_MOST} messages a minute")
        url = f"{self._config.url}/cgi-bin/webhook/send?{urlencode({'key': group.key})}"
        body = as_json({"msgtype": "text", "text": content})
        answer = await self._poster.ask_object(now, url, body, JSON)
        if isinstance(answer, TryLater):
            return answer
        code = answer.said.get("errcode")
        if answer.ok and str(code) == "0":
            return Sent()
        return _CODES.outcome(answer.status, code, answer.said.get("errmsg"))

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()
