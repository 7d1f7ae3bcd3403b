"""The mail channel: one mail for each message, handed to a mail server of the owner's.

Law of this file: 4xx answers and lost connections are temporary, 5xx answers are final (RFC 5321, 4.2.1);
the password is never sent over a connection that is not encrypted.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Any, Literal

import aiosmtplib
from msgspec import Meta, Struct

from central.config import convert, fail, foreign_keys, secret
from central.notifier.channel import Limits, Message, Outcome, Rejected, Sent, TryLater

PASSWORD_VARIABLE = "SMOKEWATCH_SMTP_PASSWORD"  # noqa: S105 -- the variable's name, not a secret
_PERMANENT = 500


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """Which server, as whom."""

    host: str
    port: int
    sender: str
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0


class _Table(Struct, frozen=True):
    host: Annotated[str, Meta(min_length=1)]
    sender: Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$")]
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    starttls: bool = True
    tls: bool = False
    """From the first byte (port 465)."""
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0


def read(path: Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> SmtpConfig:
    """The settings of `[channels.smtp]`. Raises ConfigError."""
    place = "channels.smtp."
    found = foreign_keys(place, table, _Table.__struct_fields__)
    if found:
        fail(path, found[0])
    given = convert(path, place, table, _Table)
    password = secret(
        path, f"{place}password", given.password, given.password_file, environment.get(PASSWORD_VARIABLE)
    )
    if (given.username is None) != (password is None):
        fail(path, f"{place}username and {place}password_file belong together: give both or neither")
    security: Literal["starttls", "tls", "none"]
    security = "tls" if given.tls else "starttls" if given.starttls else "none"
    if password is not None and security == "none":
        fail(path, f"{place}starttls is false, but a password is given: encrypt, or leave the password out")
    port = given.port or {"tls": 465, "starttls": 587, "none": 25}[security]
    return SmtpConfig(given.host, port, given.sender, security, given.username, password, given.timeout_s)


class Smtp:
    """Hands each mail over on a connection of its own."""

    limits = Limits(homes=100)

    def __init__(self, config: SmtpConfig) -> None:
        self._config = config

    @property
    def timeout_s(self) -> float:
        """The whole exchange takes no longer than this."""
        return self._config.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Hand the mail over; sent means that the server has taken it for the address."""
        config = self._config
        try:
            mail = _mail(config.sender, message, address)
        except ValueError as error:
            return Rejected(f"the mail cannot be written: {error}"[:200])
        try:
            async with asyncio.timeout(config.timeout_s):
                _, said = await aiosmtplib.send(
                    mail,
                    hostname=config.host,
                    port=config.port,
                    username=config.username,
                    password=config.password,
                    timeout=config.timeout_s,
                    use_tls=config.security == "tls",
                    start_tls=config.security == "starttls",
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            why = f"the mail server refuses the address ({', '.join(map(str, codes))})"
            return Rejected(why) if all(code >= _PERMANENT for code in codes) else TryLater(None, why)
        except aiosmtplib.SMTPAuthenticationError as error:
            # Ours to mend (a changed password), so it is tried again when somebody has.
            return TryLater(None, f"the mail server refuses our name or password ({error.code})")
        except aiosmtplib.SMTPResponseException as error:
            why = f"the mail server answered {error.code}"
            return Rejected(why) if error.code >= _PERMANENT else TryLater(None, why)
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            return TryLater(None, f"the mail server cannot be reached ({type(error).__name__})")
        except Exception as error:  # noqa: BLE001 -- the contract: whatever happens becomes an outcome
            return TryLater(None, f"sending failed ({type(error).__name__})")
        return Sent(said[:200] or None)

    async def close(self) -> None:
        """Nothing is held open."""


def _mail(sender: str, message: Message, address: str) -> EmailMessage:
    """The mail. Raises ValueError for an address that is none, line breaks included."""
    if "@" not in address or any(sign.isspace() or sign in ",;" for sign in address):
        raise ValueError("the address is no mail address")
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = address
    mail["Subject"] = " ".join(message.title.split())
    # The same message keeps its id, so that mailboxes which look can drop a repetition.
    digest = hashlib.sha256(message.key.encode()).hexdigest()[:32]
    mail["Message-ID"] = f"<{digest}@{sender.rsplit('@', 1)[1]}>"
    mail["Auto-Submitted"] = "auto-generated"
    if message.urgent:
        mail["X-Priority"] = "1"
    mail.set_content(message.text)
    return mail
