"""Apprise for the long tail: any service it knows, such as ntfy, Bark, Telegram or Slack, by its address.

Law of this file: Apprise's yes is taken for a yes, and it is a weak one: many of its services look at the
status alone. Those that have a channel of their own here, which hears a refusal, are refused. Its own log is
kept silent, because it quotes addresses, and those are secrets.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import Struct

from central.config import fail
from central.notifier.channel import Limits, Message, Outcome, Rejected, Sent, TryLater
from central.notifier.reading import Seconds, groups, needed_secret, table_of

_OWN = {
    "dingtalk": "dingtalk",
    "feishu": "feishu",
    "lark": "feishu",
    "wecombot": "wecom_bot",
    "wechat": "wecom_app",
    "mailto": "smtp",
    "mailtos": "smtp",
}
"""Schemes of Apprise's and the channel to take instead."""
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Target:
    """One service's address."""

    url: str = field(repr=False)
    personal: bool = False


@dataclass(frozen=True, slots=True)
class AppriseConfig:
    """The addresses by the name that stands in people's contacts."""

    targets: Mapping[str, Target]
    timeout_s: float = 10.0


class _Target(Struct, frozen=True):
    url: str | None = None
    url_file: str | None = None
    personal: bool = False


class _Table(Struct, frozen=True):
    groups: dict[str, Any] = {}
    timeout_s: Seconds = 10.0


def read(path: Path, table: Mapping[str, Any], _environment: Mapping[str, str]) -> AppriseConfig:
    """The settings of `[channels.apprise]`. Raises ConfigError."""
    place = "channels.apprise."
    given = table_of(path, place, table, _Table)
    if importlib.util.find_spec("apprise") is None:
        fail(path, "channels.apprise: the library is not installed: pip install 'smokewatch[apprise]'")
    named = {}
    for name, one in groups(path, place, given.groups, _Target).items():
        where = f"{place}groups.{name}.url"
        url = needed_secret(path, where, one.url, one.url_file)
        scheme = url.partition("://")[0].lower()
        if scheme in _OWN:
            fail(
                path,
                f"{where}: {scheme}:// has a channel here that hears a refusal: [channels.{_OWN[scheme]}]",
            )
        if _service(url) is None:
            fail(path, f"{where}: Apprise does not know such an address: see its list of services")
        named[name] = Target(url, one.personal)
    return AppriseConfig(named, given.timeout_s)


class Apprise:
    """Hands each message to the service that an address names."""

    limits = Limits()

    def __init__(self, config: AppriseConfig) -> None:
        self._config = config
        self._services = {name: _service(one.url) for name, one in config.targets.items()}
        # Threads of its own: a service that hangs must not take those that others need.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="apprise")

    @property
    def timeout_s(self) -> float:
        """The whole exchange takes no longer than this, and a moment."""
        return self._config.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Hand it over; sent means that Apprise says so."""
        target = self._config.targets.get(address)
        if target is None:
            return Rejected("there is no such name in [channels.apprise.groups]")
        title, text = message.title, message.text
        if not target.personal:
            title, _, text = message.open_text.partition("\n")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._config.timeout_s):
                taken = await loop.run_in_executor(self._threads, self._notify, address, title, text or title)
        except TimeoutError:
            return TryLater(None, f"no answer within {self._config.timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 -- the contract: whatever happens becomes an outcome
            return TryLater(None, f"sending failed ({type(error).__name__})")
        return Sent() if taken else TryLater(None, "Apprise says that the service did not take it")

    async def close(self) -> None:
        """Wait for nobody: a thread that hangs ends with its own timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _notify(self, name: str, title: str, text: str) -> bool:
        service = self._services[name]
        return bool(
            service.notify(body=text, title=title, body_format="text", timeout=self._config.timeout_s)
        )


def _service(url: str) -> Any:
    """Apprise with this address alone; None when it knows no such address."""
    import apprise  # an extra: whoever does not use it need not have it

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    made = apprise.Apprise()
    return made if made.add(url) else None
