"""The auditor's own way to people: `[auditor]` of the configuration, and its channels.

Law of this file: it shares adapters with the notifier and nothing else: no channel, no secret, no person from
the registry, no row. What stands here must work while everything else does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal

import structlog
from msgspec import Meta, Struct

from central.config import ConfigError, Settings, convert, fail, foreign_keys, secret
from central.findings import Shout, words
from central.notifier.channel import Channel, Message, Rejected, Sent
from central.notifier.channels import build_channels
from central.notifier.fitting import WORDS
from central.notifier.reading import base_url

DSN_VARIABLE = "SMOKEWATCH_AUDITOR_DSN"
DEAD_MAN_VARIABLE = "SMOKEWATCH_DEAD_MAN_URL"
_PREFIX = "SMOKEWATCH_"
_OWN_PREFIX = "SMOKEWATCH_AUDITOR_"
_CHINA = timezone(timedelta(hours=8))
_log = structlog.get_logger()


class Call(Struct, frozen=True):
    """Somebody who is called: by which channel below `[auditor.channels]`, where, in which language."""

    channel: str
    address: Annotated[str, Meta(min_length=1, max_length=255)]
    language: Literal["zh", "en"] = "zh"


@dataclass(frozen=True, slots=True)
class AuditorSettings:
    """All that the auditor needs. Secrets never appear in a repr."""

    dsn: str = field(repr=False)
    calls: tuple[Call, ...]
    again_s: float
    dead_man_url: str | None = field(repr=False)
    channels: Mapping[str, Mapping[str, Any]] = field(repr=False)


class _Table(Struct, frozen=True):
    call: Annotated[list[Call], Meta(min_length=1, max_length=50)]
    channels: dict[str, dict[str, Any]]
    dsn: str | None = None
    dsn_file: str | None = None
    dead_man_url: str | None = None
    dead_man_url_file: str | None = None
    again_s: Annotated[float, Meta(ge=60, le=86400)] = 300.0


def read_auditor(settings: Settings, environment: Mapping[str, str]) -> AuditorSettings | None:
    """The table `[auditor]`; None when the file has none. Raises ConfigError."""
    path, table = settings.path, settings.auditor
    if not table:
        return None
    found = foreign_keys("auditor.", table, _Table.__struct_fields__)
    listed = table.get("call")
    for number, one in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(one, dict):
            found += foreign_keys(f"auditor.call[{number}].", one, Call.__struct_fields__)
    if found:
        fail(path, found[0])
    given = convert(path, "auditor.", table, _Table)
    for number, call in enumerate(given.call):
        if call.channel not in given.channels:
            fail(
                path,
                f"auditor.call[{number}].channel: there is no [auditor.channels.{call.channel}]: add it; the"
                " auditor uses no channel of the worker's, which may be what has failed",
            )
    dsn = secret(path, "auditor.dsn", given.dsn, given.dsn_file, environment.get(DSN_VARIABLE))
    url = secret(
        path,
        "auditor.dead_man_url",
        given.dead_man_url,
        given.dead_man_url_file,
        environment.get(DEAD_MAN_VARIABLE),
    )
    if url is not None:
        base_url(path, "auditor.dead_man_", url.partition("?")[0])
    return AuditorSettings(dsn or settings.dsn, tuple(given.call), given.again_s, url, given.channels)


def build_emergency(
    settings: Settings,
    auditor: AuditorSettings,
    environment: Mapping[str, str],
    clock: Callable[[], datetime],
) -> Emergency:
    """Its channels, ready. Secrets from the environment have names of their own. Raises ConfigError."""
    own = {
        _PREFIX + name.removeprefix(_OWN_PREFIX): value
        for name, value in environment.items()
        if name.startswith(_OWN_PREFIX)
    }
    try:
        channels = build_channels(replace(settings, channels=auditor.channels), own, clock)
    except ConfigError as error:
        said = str(error).replace("channels", "auditor.channels", 1).replace(_PREFIX, _OWN_PREFIX)
        raise ConfigError(said) from None
    return Emergency(auditor.calls, channels, clock)


class Emergency:
    """Tells everybody on the list, again and again until it is taken or something newer is said."""

    def __init__(
        self, calls: tuple[Call, ...], channels: Mapping[str, Channel], clock: Callable[[], datetime]
    ) -> None:
        """`clock` is the wall's: it stands in the message, and makes its key."""
        self._calls = calls
        self._channels = channels
        self._clock = clock
        self._life = f"{clock():%Y%m%d%H%M%S}"
        self._waiting: dict[Call, Message] = {}

    def say(self, shout: Shout) -> None:
        """From now on this is what everybody is to be told."""
        for call in self._calls:
            self._waiting[call] = self._message(shout, call)

    async def deliver(self) -> int:
        """Try once to hand over what waits, to all at once. Returns how many still wait. Never raises."""
        waiting = list(self._waiting.items())
        await asyncio.gather(*(self._hand_over(call, message) for call, message in waiting))
        return len(self._waiting)

    async def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            await channel.close()

    async def _hand_over(self, call: Call, message: Message) -> None:
        outcome = await self._channels[call.channel].send(message, call.address)
        if isinstance(outcome, Sent):
            _log.warning("the emergency channel was used", channel=call.channel, title=message.title)
        elif isinstance(outcome, Rejected):
            _log.critical("the emergency channel refuses", channel=call.channel, why=outcome.why)
        else:
            _log.error("the emergency channel does not take it yet", channel=call.channel, why=outcome.why)
            return
        if self._waiting.get(call) is message:  # something newer may have been said meanwhile
            del self._waiting[call]

    def _message(self, shout: Shout, call: Call) -> Message:
        title, lines = words(shout, call.language)
        when = self._clock().astimezone(_CHINA)
        text = "\n".join([*lines, f"{when:%Y-%m-%d %H:%M:%S}"])
        unknown = "not known" if call.language == "en" else "不详"
        gaps = dict.fromkeys(WORDS, unknown) | {
            "kind": "FAILING" if call.language == "en" else "系统异常",
            "home": lines[0],
            "place": lines[0],
            "time": f"{when:%H:%M}",
            "day": f"{when:%m-%d}",
            "call": str(shout.number),
            "number": "0",
        }
        return Message(
            key=f"auditor:{self._life}:{shout.episode}:{shout.number}:{call.channel}:{call.address}",
            alarm=0,
            purpose="alarm" if shout.findings else "closed",
            urgent=True,
            language=call.language,
            title=title,
            text=text,
            open_text=f"{title}\n{text}",
            words=gaps,
        )
