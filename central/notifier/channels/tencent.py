"""Tencent Cloud's text messages (腾讯云短信, SendSms) and voice calls (语音消息, SendTtsVoice).

Law of this file: an answer without `Error` is a success only when the message's own status is Ok, or the
call has its number; a text goes out as the number of a template and the words for its gaps, in order.

Source: cloud.tencent.com, "Signature v3" (TC3-HMAC-SHA256), document/product/382/55981 (SendSms, version
2021-01-11) and 382/13301 (a gap of a text that is no verification code takes 6 characters unless agreed
otherwise, and no link), 1128 (SendTtsVoice, version 2020-09-02) and the error lists of its SDK.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from central.notifier.channel import CALL, Limits, Message, Outcome, Rejected, Sent, TryLater
from central.notifier.fitting import Template, many, ready
from central.notifier.posting import Answer, Codes, Poster, as_json
from central.notifier.reading import Name, Seconds, base_url, needed_secret, table_of, templates

SECRET_VARIABLE = "SMOKEWATCH_TENCENT_SECRET_KEY"  # noqa: S105 -- the variable's name, not a secret
_ALGORITHM = "TC3-HMAC-SHA256"
_CONTENT_TYPE = "application/json; charset=utf-8"
_MOST = 6
_LONGEST = 500
"""Characters of a whole text; no figure was found in the pages that were read."""
_CODES = Codes(
    wait={
        "LimitExceeded.PhoneNumberThirtySecondLimit": timedelta(seconds=30),
        "LimitExceeded.PhoneNumberOneHourLimit": timedelta(minutes=15),
        "LimitExceeded.PhoneNumber*": timedelta(hours=1),
        "LimitExceeded.DailyLimit": timedelta(hours=1),
        "LimitExceeded*": timedelta(seconds=60),
        "RequestLimitExceeded*": timedelta(seconds=5),
    },
    final=frozenset(
        {
            "InvalidParameterValue.IncorrectPhoneNumber",
            "InvalidParameterValue.CalledNumberVerifyFail",
            "InvalidParameterValue.ContentLengthLimit",
            "InvalidParameterValue.TemplateParameterFormatError",
            "InvalidParameterValue.TemplateParameterLengthLimit",
            "FailedOperation.ContainSensitiveWord",
            "FailedOperation.PhoneNumberInBlacklist",
            "FailedOperation.TemplateParamSetNotMatchApprovedTemplate",
        }
    ),
)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose key signs, and where to."""

    secret_id: str
    secret_key: str = field(repr=False)
    url: str
    region: str = "ap-guangzhou"
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class TencentConfig:
    """The account, the application's number, the approved templates, and for SMS the signature (签名)."""

    account: Account
    app_id: str
    templates: Mapping[str, Template]
    sign_name: str = ""
    play_times: int = 3
    not_urgent: bool = False


class _Sms(Struct, frozen=True):
    secret_id: Name
    app_id: Annotated[str, Meta(pattern=r"^[0-9]{1,20}$")]
    sign_name: Name
    secret_key: str | None = None
    secret_key_file: str | None = None
    templates: dict[str, Any] = {}
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$")] = "ap-guangzhou"
    url: str = "https://sms.tencentcloudapi.com"
    timeout_s: Seconds = 5.0


class _Voice(Struct, frozen=True):
    secret_id: Name
    app_id: Annotated[str, Meta(pattern=r"^[0-9]{1,20}$")]
    secret_key: str | None = None
    secret_key_file: str | None = None
    templates: dict[str, Any] = {}
    play_times: Annotated[int, Meta(ge=1, le=3)] = 3
    not_urgent: bool = False
    """Also for what is no smoke and no heat: it rings at night."""
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$")] = "ap-guangzhou"
    url: str = "https://vms.tencentcloudapi.com"
    timeout_s: Seconds = 5.0


def read_sms(path: Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> TencentConfig:
    """The settings of `[channels.tencent_sms]`. Raises ConfigError."""
    place = "channels.tencent_sms."
    given = table_of(path, place, table, _Sms)
    approved = templates(path, place, given.templates, mark="{?}", most=_MOST, longest=_LONGEST)
    account = _account(path, place, given, environment)
    return TencentConfig(account, given.app_id, approved, given.sign_name)


def read_voice(path: Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> TencentConfig:
    """The settings of `[channels.tencent_voice]`. Raises ConfigError."""
    place = "channels.tencent_voice."
    given = table_of(path, place, table, _Voice)
    approved = templates(path, place, given.templates, mark="{?}", most=_MOST, longest=_LONGEST)
    account = _account(path, place, given, environment)
    return TencentConfig(account, given.app_id, approved, "", given.play_times, given.not_urgent)


def _account(path: Path, place: str, given: _Sms | _Voice, environment: Mapping[str, str]) -> Account:
    shared = needed_secret(
        path,
        f"{place}secret_key",
        given.secret_key,
        given.secret_key_file,
        (SECRET_VARIABLE, environment.get(SECRET_VARIABLE)),
    )
    url = base_url(path, place, given.url)
    return Account(given.secret_id, shared, url, given.region, given.timeout_s)


def authorization(account: Account, service: str, body: bytes, now: datetime) -> str:
    """The header `Authorization` for a POST of JSON, after TC3 with the headers content-type and host."""
    parts = urlsplit(account.url)
    stamp, day = str(int(now.timestamp())), now.astimezone(UTC).strftime("%Y-%m-%d")
    listed = f"content-type:{_CONTENT_TYPE}\nhost:{parts.netloc}\n"
    names = "content-type;host"
    canonical = "\n".join(("POST", parts.path or "/", "", listed, names, hashlib.sha256(body).hexdigest()))
    scope = f"{day}/{service}/tc3_request"
    text = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"TC3{account.secret_key}".encode()
    for part in (day, service, "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    proof = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return f"{_ALGORITHM} Credential={account.secret_id}/{scope}, SignedHeaders={names}, Signature={proof}"


class TencentSms:
    """One text message to a telephone number."""

    def __init__(self, config: TencentConfig, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._cloud = _Cloud(config.account, "sms", "SendSms", "2021-01-11", clock)

    @property
    def limits(self) -> Limits:
        """Homes are merged where the text has the link, behind which all of them stand."""
        return Limits(homes=many(self._config.templates))

    @property
    def timeout_s(self) -> float:
        """The whole exchange takes no longer than this, and a moment."""
        return self._config.account.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Hand it over; sent means that Tencent has taken it, not yet that the telephone has."""
        fit = ready(self._config.templates, message, address, "tencent_sms")
        if isinstance(fit, Rejected):
            return fit
        number, template = fit
        content = {
            "PhoneNumberSet": [number],
            "SmsSdkAppId": self._config.app_id,
            "TemplateId": template.code,
            "SignName": self._config.sign_name,
            "TemplateParamSet": [word for _, word in template.fill(message)],
        }
        answer = await self._cloud.ask(content)
        if not isinstance(answer, Answer):
            return answer
        statuses = answer.said.get("SendStatusSet")
        status = statuses[0] if isinstance(statuses, list) and len(statuses) == 1 else None
        if not isinstance(status, dict):
            return TryLater(None, f"the provider answered {answer.status} without the message's status")
        if status.get("Code") == "Ok":
            number_there = status.get("SerialNo")
            return Sent(str(number_there)[:200] if number_there else None)
        return _CODES.outcome(answer.status, status.get("Code"), status.get("Message"))

    async def close(self) -> None:
        """Close the connections."""
        await self._cloud.close()


class TencentVoice:
    """One call to a telephone number, in which the template is spoken."""

    limits = CALL

    def __init__(self, config: TencentConfig, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._cloud = _Cloud(config.account, "vms", "SendTtsVoice", "2020-09-02", clock)

    @property
    def timeout_s(self) -> float:
        """The whole exchange takes no longer than this, and a moment."""
        return self._config.account.timeout_s

    async def send(self, message: Message, address: str) -> Outcome:
        """Hand it over; sent means that Tencent will call, not that anybody has answered."""
        rings = not self._config.not_urgent
        fit = ready(self._config.templates, message, address, "tencent_voice", rings=rings)
        if isinstance(fit, Rejected):
            return fit
        number, template = fit
        content = {
            "CalledNumber": number,
            "VoiceSdkAppid": self._config.app_id,
            "TemplateId": template.code,
            "TemplateParamSet": [word for _, word in template.fill(message)],
            "PlayTimes": self._config.play_times,
        }
        answer = await self._cloud.ask(content)
        if not isinstance(answer, Answer):
            return answer
        status = answer.said.get("SendStatus")
        call = status.get("CallId") if isinstance(status, dict) else None
        if not call:
            return TryLater(None, f"the provider answered {answer.status} without the call's number")
        return Sent(str(call)[:200])

    async def close(self) -> None:
        """Close the connections."""
        await self._cloud.close()


class _Cloud:
    """Asks one question of Tencent Cloud's; what is inside `Response` comes back, unless it is an error."""

    def __init__(
        self, account: Account, service: str, action: str, version: str, clock: Callable[[], datetime]
    ) -> None:
        self._account = account
        self._service = service
        self._action = action
        self._version = version
        self._clock = clock
        self._poster = Poster(account.timeout_s)

    async def ask(self, content: Mapping[str, Any]) -> Answer | TryLater | Rejected:
        now = self._clock()
        body = as_json(content)
        headers = {
            "Content-Type": _CONTENT_TYPE,
            "Host": urlsplit(self._account.url).netloc,
            "Authorization": authorization(self._account, self._service, body, now),
            "X-TC-Action": self._action,
            "X-TC-Version": self._version,
            "X-TC-Timestamp": str(int(now.timestamp())),
            "X-TC-Region": self._account.region,
        }
        url = self._account.url if urlsplit(self._account.url).path else f"{self._account.url}/"
        answer = await self._poster.ask_object(now, url, body, headers)
        if isinstance(answer, TryLater):
            return answer
        inside = answer.said.get("Response")
        if not isinstance(inside, dict):
            return TryLater(None, f"the provider answered {answer.status} without `Response`")
        error = inside.get("Error")
        if error is not None or not answer.ok:
            told = error if isinstance(error, dict) else {}
            return _CODES.outcome(answer.status, told.get("Code"), told.get("Message"))
        return Answer(answer.status, inside)

    async def close(self) -> None:
        await self._poster.close()
