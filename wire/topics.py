"""Topic strings: built and parsed here, nowhere else.

`smokewatch/v1/{area}/{gateway}/up/{events|readings|status}`, `.../down/{ack|config|command}` and
`smokewatch/v1/central/alive`. `area` is the street's code, the partition for ingest workers.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from wire.errors import LocalError, RemoteError

PREFIX = "smokewatch/v1"
ALIVE = f"{PREFIX}/central/alive"
MAX_TOPIC_BYTES = 200

_ID = re.compile(r"[a-z0-9-]{1,32}")


class Channel(StrEnum):
    """The last two levels of a gateway's topic."""

    EVENTS = "up/events"
    READINGS = "up/readings"
    STATUS = "up/status"
    ACK = "down/ack"
    CONFIG = "down/config"
    COMMAND = "down/command"


class Address(NamedTuple):
    """Whose topic it is and what it carries."""

    area: str
    gateway: str
    channel: Channel


def gateway_topic(area: str, gateway: str, channel: Channel) -> str:
    """The topic of one gateway's channel. Raises LocalError for ids outside `[a-z0-9-]{1,32}`."""
    for what, value in (("area", area), ("gateway", gateway)):
        if not _ID.fullmatch(value):
            raise LocalError(f"{what} {value!r} must match [a-z0-9-]{{1,32}}")
    return f"{PREFIX}/{area}/{gateway}/{channel.value}"


def up_filter(area: str = "+", channel: Channel | None = None) -> str:
    """Subscription to what gateways say, in one area or in all, on one channel or on all."""
    return f"{PREFIX}/{area}/+/{channel.value if channel else 'up/+'}"


def down_filter(area: str, gateway: str) -> str:
    """Subscription to all that is said to one gateway."""
    return f"{PREFIX}/{area}/{gateway}/down/+"


def parse(topic: str) -> Address:
    """Take a gateway topic apart. Raises RemoteError for anything that is not one of version 1."""
    if len(topic.encode("utf-8", "replace")) > MAX_TOPIC_BYTES:
        raise RemoteError("topic is longer than 200 bytes")
    levels = topic.split("/")
    if len(levels) != 6 or "/".join(levels[:2]) != PREFIX:
        raise RemoteError(f"topic {topic!r} is not {PREFIX}/<area>/<gateway>/<up|down>/<what>")
    area, gateway = levels[2], levels[3]
    if not _ID.fullmatch(area) or not _ID.fullmatch(gateway):
        raise RemoteError(f"topic {topic!r}: area and gateway must match [a-z0-9-]{{1,32}}")
    try:
        channel = Channel("/".join(levels[4:]))
    except ValueError:
        raise RemoteError(f"topic {topic!r}: unknown channel {'/'.join(levels[4:])!r}") from None
    return Address(area, gateway, channel)
