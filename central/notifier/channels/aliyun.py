"""Aliyun's text messages (阿里云短信, SendSms) and voice calls (语音服务, SingleCallByTts, IvrCall).

Law of this file: only `Code` OK is a success; a text goes out as the code of a template and the words for its
gaps, never as text. What must be mended at the account (balance, signature, template) is tried again.

Source: help.aliyun.com, "V3 request body and signature" (ACS3-HMAC-SHA256), api-dysmsapi-2017-05-25-sendsms,
api-dyvmsapi-2017-05-25-singlecallbytts and -ivrcall, which hears keys, and the error lists of both (101346,
178344). A called number is limited to 1 call a minute, 5 an hour and 20 in 24 hours unless the account has
agreed on more.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlsplit

from msgspec import Meta, Struct

from central.config import fail
from central.notifier.channel import CALL, Limits, Message, Outcome, Rejected, Sent, TryLater
from central.notifier.fitting import Template, many, national, ready
from central.notifier.posting import Codes, Poster
from central.notifier.reading import Name, Seconds, base_url, needed_secret, table_of, templates

SECRET_VARIABLE = "SMOKEWATCH_ALIYUN_ACCESS_KEY_SECRET"  # noqa: S105 -- the variable's name, not a secret
_ALGORITHM = "ACS3-HMAC-SHA256"
_MOST = 35
"""Characters in one gap. What Aliyun allows depends on the gap's attribute; 35 was not found in its pages."""
_SMS_LONGEST, _VOICE_LONGEST = 500, 500
"""Characters of a whole text: SMS as documented; of voice no figure was found, the same is taken."""
_KEY_MS = "8000"
"""How long a call waits for a key after it has spoken."""
_CODES = Codes(
    wait={
        "isv.BUSINESS_LIMIT_CONTROL": timedelta(seconds=60),
        "isv.DAY_LIMIT_CONTROL": timedelta(hours=1),
        "isv.MONTH_LIMIT_CONTROL": timedelta(hours=1),
        "Throttling*": timedelta(seconds=5),
    },
    final=frozenset(
        {
            "isv.MOBILE_NUMBER_ILLEGAL",
            "isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
            "isv.SMS_CONTENT_ILLEGAL",
            "isv.BLACK_KEY_CONTROL_LIMIT",
            "isv.PARAM_LENGTH_LIMIT",
            "isv.PARAM_NOT_SUPPORT_URL",
            "isv.TEMPLATE_PARAMS_ILLEGAL",
            "isv.COMPLAINT_REJECT",
        }
    ),
)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose key signs, and where to."""

    key_id: str
    key_secret: str = field(repr=False)
    url: str
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class SmsConfig:
    """The account, the signature in front of the text (签名) and the approved templates."""

    account: Account
    sign_name: str
    templates: Mapping[str, Template]


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """The account, the number that is shown ('' for Aliyun's pool) and the approved templates."""

    account: Account
    templates: Mapping[str, Template]
    show_number: str = ""
    play_times: int = 3
    not_urgent: bool = False
    thanks: str = ""
    """The code of what is spoken after the key 1: then calls wait for it. Without it no key is heard."""


class _Sms(Struct, frozen=True):
    access_key_id: Name
    sign_name: Name
    access_key_secret: str | None = None
    access_key_secret_file: str | None = None
    templates: dict[str, Any] = {}
    url: str = "https://dysmsapi.aliyuncs.com"
    timeout_s: Seconds = 5.0


class _Voice(Struct, frozen=True):
    access_key_id: Name
    access_key_secret: str | None = None
    access_key_secret_file: str | None = None
    templates: dict[str, Any] = {}
    show_number: Annotated[str, Meta(pattern=r"^[0-9]{0,20}$")] = ""
    play_times: Annotated[int, Meta(ge=1, le=3)] = 3
    not_urgent: bool = False
    """Also for what is no smoke and no heat: it rings at night."""
    thanks: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{0,64}$")] = ""
    url: str = "https://dyvmsapi.aliyuncs.com"
    timeout_s: Seconds = 5.0


def read_sms(path: Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> SmsConfig:
    """The settings of `[channels.aliyun_sms]`. Raises ConfigError."""
    place = "channels.aliyun_sms."
    given = table_of(path, place, table, _Sms)
    approved = templates(path, place, given.templates, mark="${?}", most=_MOST, longest=_SMS_LONGEST)
    return SmsConfig(_account(path, place, given, environment), given.sign_name, approved)


def read_voice(path: Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> VoiceConfig:
    """The settings of `[channels.aliyun_voice]`. Raises ConfigError."""
    place = "channels.aliyun_voice."
    given = table_of(path, place, table, _Voice)
    approved = templates(path, place, given.templates, mark="${?}", most=_MOST, longest=_VOICE_LONGEST)
    if given.thanks and not given.show_number:
        fail(path, f"{place}show_number is missing: calls that wait for a key need a number of your own")
    return VoiceConfig(
        _account(path, place, given, environment),
        approved,
        given.show_number,
        given.play_times,
        given.not_urgent,
        given.thanks,
    )


def _account(path: Path, place: str, given: _Sms | _Voice, environment: Mapping[str, str]) -> Account:
    shared = needed_secret(
        path,
        f"{place}access_key_secret",
        given.access_key_secret,
        given.access_key_secret_file,
        (SECRET_VARIABLE, environment.get(SECRET_VARIABLE)),
    )
    return Account(given.access_key_id, shared, base_url(path, place, given.url), given.timeout_s)


class Signed(NamedTuple):
    """A request that Aliyun will believe."""

    query: str
    headers: dict[str, str]


def sign(
    account: Account, action: str, version: str, query: Mapping[str, str], now: datetime, nonce: str
) -> Signed:
    """A POST without a body, signed after V3: each name and value as RFC 3986 escapes it, in order."""
    parts = urlsplit(account.url)
    line = "&".join(f"{_escaped(name)}={_escaped(query[name])}" for name in sorted(query))
    nothing = hashlib.sha256(b"").hexdigest()
    headers = {
        "host": parts.netloc,
        "x-acs-action": action,
        "x-acs-content-sha256": nothing,
        "x-acs-date": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    names = ";".join(headers)
    listed = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = "\n".join(("POST", parts.path or "/", line, listed, names, nothing))
    text = f"{_ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    proof = hmac.new(account.key_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = (
        f"{_ALGORITHM} Credential={account.key_id},SignedHeaders={names},Signature={proof}"
    )
    return Signed(line, headers)


class AliyunSms:
    """One text message to a telephone number."""

    def __init__(self, config: SmsConfig, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._cloud = _Cloud(config.account, "SendSms", "2017-05-25", "BizId", clock)

    @property
    def limits(self) -> Limits:
        """Homes are merged where the text has the link, behind which all of them stand."""
        return Limits(homes=many(self._config.templates))

    @property
    def timeout_s(self) -> float:
        """The whole exchange takes no longer than this, and a moment."""
        return self._config.account.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Hand it over; sent means that Aliyun has taken it, not yet that the telephone has."""
        fit = ready(self._config.templates, message, address, "aliyun_sms")
        if isinstance(fit, Rejected):
            return fit
        number, template = fit
        return await self._cloud.ask(
            {
                "PhoneNumbers": national(number),
                "SignName": self._config.sign_name,
                "TemplateCode": template.code,
                "TemplateParam": _params(template, message),
            }
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._cloud.close()


class AliyunVoice:
    """One call to a telephone number, in which the template is spoken."""

    limits = CALL

    def __init__(self, config: VoiceConfig, clock: Callable[[], datetime]) -> None:
        self._config = config
        action = "IvrCall" if config.thanks else "SingleCallByTts"
        self._cloud = _Cloud(config.account, action, "2017-05-25", "CallId", clock)

    @property
    def timeout_s(self) -> float:
        """The whole exchange takes no longer than this, and a moment."""
        return self._config.account.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Hand it over; sent means that Aliyun will call, not that anybody has answered."""
        rings = not self._config.not_urgent
        fit = ready(self._config.templates, message, address, "aliyun_voice", rings=rings)
        if isinstance(fit, Rejected):
            return fit
        number, template = fit
        code, words = ("StartCode", "StartTtsParams") if self._config.thanks else ("TtsCode", "TtsParam")
        query = {
            "CalledNumber": national(number),
            code: template.code,
            words: _params(template, message),
            "PlayTimes": str(self._config.play_times),
        }
        if self._config.thanks:
            query |= {
                "MenuKeyMap.1.Key": "1",
                "MenuKeyMap.1.Code": self._config.thanks,
                "Timeout": _KEY_MS,
            }
        if self._config.show_number:
            query["CalledShowNumber"] = self._config.show_number
        return await self._cloud.ask(query)

    async def close(self) -> None:
        """Close the connections."""
        await self._cloud.close()


class _Cloud:
    """Asks one question of Aliyun's and reads the answer."""

    def __init__(
        self, account: Account, action: str, version: str, number: str, clock: Callable[[], datetime]
    ) -> None:
        """`number` is the field with Aliyun's own number of what it has taken."""
        self._account = account
        self._action = action
        self._version = version
        self._number = number
        self._clock = clock
        self._poster = Poster(account.timeout_s)

    async def ask(self, query: Mapping[str, str]) -> Outcome:
        now = self._clock()
        signed = sign(self._account, self._action, self._version, query, now, secrets.token_hex(16))
        url = f"{self._account.url}{'' if urlsplit(self._account.url).path else '/'}?{signed.query}"
        answer = await self._poster.ask_object(now, url, headers=signed.headers)
        if isinstance(answer, TryLater):
            return answer
        code = answer.said.get("Code")
        if answer.ok and code == "OK":
            number = answer.said.get(self._number)
            return Sent(str(number)[:200] if number else None)
        return _CODES.outcome(answer.status, code, answer.said.get("Message"))

    async def close(self) -> None:
        await self._poster.close()


def _escaped(text: str) -> str:
    return quote(text, safe="-_.~", errors="replace")


def _params(template: Template, message: Message) -> str:
    return json.dumps(dict(template.fill(message)), ensure_ascii=False, separators=(",", ":"))
