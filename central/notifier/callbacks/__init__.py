"""Who may tell us what became of a message, in an explicit list. Law of this file: no secret is shown.

A channel of these kinds is believed when its table has `[channels.NAME.callback]`. The providers sign
nothing: they are given an address that holds a long token. Our own webhook signs.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct

from central.config import Settings, convert, fail, foreign_keys
from central.notifier.callbacks import aliyun, tencent, webhook
from central.notifier.reading import needed_secret
from central.notifier.told import LATER, SOON, Told

_TOKEN = re.compile(r"[A-Za-z0-9_-]{24,128}")


class _Kind(NamedTuple):
    read: Callable[[bytes], list[Told]]
    taken: Mapping[str, Any]
    """What the provider wants to hear."""
    within: timedelta
    signs: bool = False
    only_with: str = ""
    """Without this key in the channel's table no receipt can come, so none is waited for."""


KINDS: Mapping[str, _Kind] = {
    "aliyun_sms": _Kind(aliyun.sms, aliyun.TAKEN, LATER),
    "aliyun_voice": _Kind(aliyun.voice, aliyun.TAKEN, LATER, only_with="thanks"),
    "tencent_sms": _Kind(tencent.sms, tencent.TAKEN, LATER),
    "tencent_voice": _Kind(tencent.voice, tencent.TAKEN, LATER),
    "webhook": _Kind(webhook.read, webhook.TAKEN, SOON, signs=True),
}


@dataclass(frozen=True, slots=True)
class Callback:
    """One channel's way back to us."""

    kind: str
    receipts: bool
    """Its receipts come; without one in time the next channel is tried."""
    within: timedelta
    _proof: bytes = field(repr=False)
    """The secret that signs, or the hash of the token."""

    def genuine(self, token: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        """Whether it comes from whom we gave the secret to; headers by names in lower case."""
        if self.signed:
            return not token and webhook.genuine(self._proof, headers, body, now)
        return hmac.compare_digest(_hash(token), self._proof)

    def read(self, body: bytes) -> list[Told]:
        """What it says. Raises `told.Unreadable`."""
        return KINDS[self.kind].read(body)

    @property
    def signed(self) -> bool:
        """It signs; else its address ends in the token."""
        return KINDS[self.kind].signs

    @property
    def taken(self) -> Mapping[str, Any]:
        """The answer that the provider takes for a yes."""
        return KINDS[self.kind].taken


class _Table(Struct, frozen=True):
    token: str | None = None
    token_file: str | None = None
    secret: str | None = None
    secret_file: str | None = None
    receipts: bool = True


def read_callbacks(settings: Settings) -> dict[str, Callback]:
    """Every `[channels.NAME.callback]` by the channel's name. Raises ConfigError."""
    read: dict[str, Callback] = {}
    for name, table in settings.channels.items():
        given = table.get("callback")
        if given is None:
            continue
        kind, place = str(table.get("kind", name)), f"channels.{name}.callback"
        if kind not in KINDS:
            fail(
                settings.path,
                f"{place}: {kind} tells nobody what became of a message: take the table out"
                f" (those that do: {', '.join(KINDS)})",
            )
        if not isinstance(given, dict):
            fail(settings.path, f"{place} is no table: write [{place}]")
        signs = KINDS[kind].signs
        word = "secret" if signs else "token"
        unknown = foreign_keys(f"{place}.", given, (word, f"{word}_file", "receipts"))
        if unknown:
            fail(settings.path, unknown[0])
        told = convert(settings.path, f"{place}.", given, _Table)
        proof = needed_secret(
            settings.path,
            f"{place}.{word}",
            told.secret if signs else told.token,
            told.secret_file if signs else told.token_file,
        )
        if not signs and not _TOKEN.fullmatch(proof):
            fail(
                settings.path,
                f"{place}.token: it stands in an address: 24 to 128 letters, digits, - and _, such as"
                " `openssl rand -hex 24` prints",
            )
        kept = proof.encode() if signs else _hash(proof)
        can = not KINDS[kind].only_with or bool(table.get(KINDS[kind].only_with))
        read[name] = Callback(kind, told.receipts and can, KINDS[kind].within, kept)
    return read


def waits(callbacks: Mapping[str, Callback]) -> dict[str, timedelta]:
    """How long a message of each channel waits for its receipt; channels that give none are not in it."""
    return {name: one.within for name, one in callbacks.items() if one.receipts}


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
