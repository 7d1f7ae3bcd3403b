"""The table `[fallback]` of the agent's file: by which ways it calls while the centre is silent.

Law of this file: what comes out is whole and right, or FallbackError names the key and the mend. Secrets
come from files or the environment and appear in no repr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from wire.messages import Id

SECRET_VARIABLE = "SMOKEWATCH_FALLBACK_SECRET"  # noqa: S105 -- the variable's name, not a secret
PIN_VARIABLE = "SMOKEWATCH_SIM_PIN"

Phone = Annotated[str, Meta(pattern=r"^\+?[0-9]{3,20}$")]


class FallbackError(Exception):
    """The table cannot be used; the text names key and mend."""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where to post, signed with what."""

    url: str = field(repr=False)
    secret: bytes = field(repr=False)
    ca_file: Path | None = None
    timeout_s: float = 5.0

    @property
    def host(self) -> str:
        """The receiver without what may be secret in its address."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True)
class ModemSettings:
    """The serial port of a modem with a SIM."""

    port: str
    baud: int = 115200
    pin: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FallbackSettings:
    """When the centre counts as silent (seconds), and by which ways is called then; at least one."""

    ack_within_s: float = 20.0
    alive_within_s: float = 45.0
    watch_s: float = 60.0
    phones: tuple[str, ...] = ()
    """Called where the centre has named nobody."""
    sounders: tuple[str, ...] = ()
    """Devices whose profile has the action `sound`."""
    webhook: WebhookSettings | None = None
    modem: ModemSettings | None = None


class WebhookTable(Struct, frozen=True):
    """`[fallback.webhook]`."""

    url: str
    secret_file: str | None = None
    ca_file: str | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5.0


class ModemTable(Struct, frozen=True):
    """`[fallback.modem]`."""

    port: Annotated[str, Meta(min_length=1, max_length=200)]
    baud: Annotated[int, Meta(ge=300, le=921600)] = 115200
    pin_file: str | None = None


class FallbackTable(Struct, frozen=True):
    """`[fallback]`."""

    ack_within_s: Annotated[float, Meta(ge=1, le=300)] = 20.0
    alive_within_s: Annotated[float, Meta(ge=1, le=600)] = 45.0
    watch_s: Annotated[float, Meta(ge=0, le=3600)] = 60.0
    phones: Annotated[list[Phone], Meta(max_length=20)] = []
    sounders: Annotated[list[Id], Meta(max_length=20)] = []
    webhook: WebhookTable | None = None
    modem: ModemTable | None = None


def read_fallback(
    table: FallbackTable | None, beside: Path, environment: Mapping[str, str]
) -> FallbackSettings | None:
    """The settings; None: there is no such table. Files lie beside `beside`. Raises FallbackError."""
    if table is None:
        return None
    if table.webhook is None and table.modem is None and not table.sounders:
        raise FallbackError(
            "fallback: names no way to call: add [fallback.webhook], [fallback.modem] or sounders"
        )
    return FallbackSettings(
        ack_within_s=table.ack_within_s,
        alive_within_s=table.alive_within_s,
        watch_s=table.watch_s,
        phones=tuple(table.phones),
        sounders=tuple(table.sounders),
        webhook=None if table.webhook is None else _webhook(table.webhook, beside, environment),
        modem=None if table.modem is None else _modem(table.modem, beside, environment),
    )


def explained(settings: FallbackSettings | None) -> Iterator[str]:
    """What `check-config` says of it, a line each."""
    if settings is None:
        yield "no [fallback]: while the centre is silent nobody is called"
        return
    yield (
        f"when the centre does not acknowledge smoke or heat within {settings.ack_within_s:g} s, or says "
        f"nothing for {settings.alive_within_s:g} s up to {settings.watch_s:g} s later, it calls by itself:"
    )
    if settings.sounders:
        yield f"  sounders {', '.join(settings.sounders)} (allow_writes must be set for each)"
    if settings.webhook is not None:
        plain = "" if settings.webhook.url.startswith("https:") else ", NOT ENCRYPTED: use https://"
        yield f"  webhook at {settings.webhook.host}{plain}"
    if settings.modem is not None:
        pin = "with a PIN" if settings.modem.pin else "no PIN"
        yield f"  SMS by the modem at {settings.modem.port}, {settings.modem.baud} baud, {pin}"
    if settings.webhook is not None or settings.modem is not None:
        yield f"  to the contacts that the centre pushed; if none, to {len(settings.phones)} of `phones`"


def _webhook(table: WebhookTable, beside: Path, environment: Mapping[str, str]) -> WebhookSettings:
    parts = urlsplit(table.url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise FallbackError(
            "fallback.webhook.url: is no web address: give one that starts with https:// or http://"
        )
    secret = _secret(
        "fallback.webhook.secret_file", table.secret_file, beside, environment.get(SECRET_VARIABLE)
    )
    if not secret:
        raise FallbackError(f"fallback.webhook.secret_file: is missing: add it, or set {SECRET_VARIABLE}")
    ca_file = None if table.ca_file is None else beside / table.ca_file
    if ca_file is not None and not ca_file.is_file():
        raise FallbackError(f"fallback.webhook.ca_file: no file {ca_file}: give the path of a PEM file")
    return WebhookSettings(table.url, secret.encode(), ca_file, table.timeout_s)


def _modem(table: ModemTable, beside: Path, environment: Mapping[str, str]) -> ModemSettings:
    pin = _secret("fallback.modem.pin_file", table.pin_file, beside, environment.get(PIN_VARIABLE))
    if pin is not None and not (pin.isascii() and pin.isdecimal() and 4 <= len(pin) <= 8):
        raise FallbackError("fallback.modem.pin_file: holds no PIN: a PIN has 4 to 8 digits")
    return ModemSettings(table.port, table.baud, pin)


def _secret(key: str, name: str | None, beside: Path, given: str | None) -> str | None:
    if name is None:
        return given
    try:
        return (beside / name).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise FallbackError(f"{key}: cannot read {beside / name} as text") from None
