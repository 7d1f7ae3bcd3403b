"""Every channel there is, in an explicit list.

Adding one: a file beside these, a line in BUILDERS, the kit's tests. A table below `[channels]` has its
channel's name, or says it with `kind`: so there may be two of one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from central.config import ConfigError, Settings, nearest
from central.notifier.channel import Channel
from central.notifier.channels import console, smtp, webhook

Clock = Callable[[], datetime]
Builder = Callable[[Path, Mapping[str, Any], Mapping[str, str], Clock], Channel]

BUILDERS: Mapping[str, Builder] = {
    "console": lambda path, table, env, _clock: console.Console(console.read(path, table, env)),
    "webhook": lambda path, table, env, clock: webhook.Webhook(webhook.read(path, table, env), clock),
    "smtp": lambda path, table, env, _clock: smtp.Smtp(smtp.read(path, table, env)),
}


def build_channels(settings: Settings, environment: Mapping[str, str], clock: Clock) -> dict[str, Channel]:
    """Every channel below `[channels]`.

    Raises ConfigError; also when there is none, for then nobody is told.
    """
    if not settings.channels:
        raise ConfigError(
            f"{settings.path}: channels: no channel is set up, so nobody would be told of an alarm:"
            f" add a table such as [channels.webhook] (known are {', '.join(BUILDERS)})"
        )
    built: dict[str, Channel] = {}
    for name, table in settings.channels.items():
        kind = table.get("kind", name)
        builder = BUILDERS.get(kind) if isinstance(kind, str) else None
        if builder is None:
            hint = nearest(str(kind), BUILDERS) or f": known are {', '.join(BUILDERS)}"
            raise ConfigError(f"{settings.path}: channels.{name}: unknown channel{hint}")
        own = {key: value for key, value in table.items() if key != "kind"}
        try:
            built[name] = builder(settings.path, own, environment, clock)
        except ConfigError as error:
            raise ConfigError(str(error).replace(f"channels.{kind}", f"channels.{name}")) from None
    return built
