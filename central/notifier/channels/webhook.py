"""The generic webhook channel: one signed POST for each message. docs/reference/webhook.md is its contract.

Law of this file: only an answer that says so is a success: a 2xx whose body says `ok: false`, or an error
code that is not 0, has failed. Neither the address of the receiver nor the secret appears in what is said
about a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

import wire.webhook
from central.config import convert, fail, foreign_keys, secret
from central.notifier.channel import CALL, Limits, Message, Outcome, Pace, Rejected, Sent, TryLater
from central.notifier.posting import Poster, Reply, as_json
from wire.webhook import Verdict

SECRET_VARIABLE = "SMOKEWATCH_WEBHOOK_SECRET"  # noqa: S105 -- the variable's name, not a secret
_TOO_MANY = 429
_LISTS = Limits(urgent=Pace(3, timedelta(seconds=2)), other=Pace(3, timedelta(seconds=20)), homes=400)


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Where to post, signed with what."""

    url: str = field(repr=False)
    secret: bytes = field(repr=False)
    timeout_s: float = 5.0
    calls: bool = False


class _Table(Struct, frozen=True):
    url: str
    secret: str | None = None
    secret_file: str | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5.0
    calls: bool = False
    """The receiver makes a telephone call of each message."""


def read(path: Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> WebhookConfig:
    """The settings of `[channels.webhook]`. Raises ConfigError."""
    place = "channels.webhook."
    found = foreign_keys(place, table, _Table.__struct_fields__)
    if found:
        fail(path, found[0])
    given = convert(path, place, table, _Table)
    parts = urlsplit(given.url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        fail(path, f"{place}url is no web address: give one that starts with https:// or http://")
    shared = secret(path, f"{place}secret", given.secret, given.secret_file, environment.get(SECRET_VARIABLE))
    if not shared:
        fail(path, f"{place}secret is missing: add secret_file, or set {SECRET_VARIABLE}")
    return WebhookConfig(given.url, shared.encode(), given.timeout_s, given.calls)


class Webhook:
    """Posts to one receiver over kept connections. `clock` gives the time for the signature."""

    def __init__(self, config: WebhookConfig, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._clock = clock
        self._poster = Poster(config.timeout_s)

    @property
    def limits(self) -> Limits:
        """A list of homes, or one call at a time."""
        return CALL if self._config.calls else _LISTS

    @property
    def timeout_s(self) -> float:
        """The whole exchange takes no longer than this, and a moment."""
        return self._config.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Post it and judge the answer."""
        body = as_json(
            {
                "id": message.key,
                "to": address,
                "title": message.title,
                "text": message.text,
                "link": message.link,
                "language": message.language,
                "alarm": message.alarm,
                "alarms": message.alarms or (message.alarm,),
                "purpose": message.purpose,
                "urgent": message.urgent,
            }
        )
        stamp = str(int(self._clock().timestamp()))
        headers = wire.webhook.headers(self._config.secret, stamp, message.key, body)
        reply = await self._poster.ask(self._config.url, body, headers)
        return reply if isinstance(reply, TryLater) else self._judge(reply)

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    def _judge(self, reply: Reply) -> Outcome:
        said = wire.webhook.judge(reply.status, reply.body)
        if said.verdict is Verdict.TAKEN:
            return Sent(said.id)
        if said.verdict is Verdict.REFUSED:
            return Rejected(said.why)
        after = reply.after(self._clock()) if said.busy else None
        if reply.status == _TOO_MANY:
            after = after or timedelta(seconds=5)
        return TryLater(after, said.why)
