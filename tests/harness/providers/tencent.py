"""Tencent Cloud's SendSms and SendTtsVoice behind their signature v3."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.harness.providers import says
from tests.harness.sinks import Received, Say

_SHAPE = re.compile(
    r"TC3-HMAC-SHA256 Credential=([^/]+)/([0-9-]{10})/(\w+)/tc3_request, "
    r"SignedHeaders=([a-z;-]+), Signature=([0-9a-f]{64})"
)


@dataclass
class Tencent:
    """Both services; `templates` holds how many gaps each has."""

    secret_id: str
    secret_key: str
    now: datetime
    templates: dict[str, int]
    app_id: str = "1400006666"
    sign_name: str = "街道消防"
    most: int = 6
    error: tuple[str, str] | None = None
    """Of the whole request."""
    status: tuple[str, str] | None = None
    """Of the one message, inside an answer without error."""
    taken: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, got: Received) -> Say:
        refused = self._refuse(got)
        if refused is not None:
            return refused
        if self.error is not None:
            return _error(*self.error)
        match got.headers["x-tc-action"], got.headers["x-tc-version"]:
            case "SendSms", "2021-01-11":
                return self._sms(got.body)
            case "SendTtsVoice", "2020-09-02":
                return self._call(got.body)
        return _error("InvalidAction", "The request action is invalid")

    def _refuse(self, got: Received) -> Say | None:
        shape = _SHAPE.fullmatch(got.headers.get("authorization", ""))
        if shape is None or shape[1] != self.secret_id:
            return _error("AuthFailure.SecretIdNotFound", "no such SecretId")
        stamp = got.headers["x-tc-timestamp"]
        day = datetime.fromtimestamp(int(stamp), UTC).strftime("%Y-%m-%d")
        if abs(int(stamp) - self.now.timestamp()) > 300:
            return _error("AuthFailure.SignatureExpire", "the request has expired")
        listed = "".join(f"{name}:{got.headers[name].strip().lower()}\n" for name in shape[4].split(";"))
        canonical = f"{got.method}\n{got.path}\n\n{listed}\n{shape[4]}\n{hashlib.sha256(got.raw).hexdigest()}"
        scope = f"{day}/{shape[3]}/tc3_request"
        text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = hmac.digest(b"TC3" + self.secret_key.encode(), day.encode(), "sha256")
        key = hmac.digest(hmac.digest(key, shape[3].encode(), "sha256"), b"tc3_request", "sha256")
        if hmac.new(key, text.encode(), "sha256").hexdigest() != shape[5] or shape[2] != day:
            return _error("AuthFailure.SignatureFailure", "The provided credentials could not be validated.")
        return None

    def _sms(self, body: dict[str, Any]) -> Say:
        (number,) = body["PhoneNumberSet"]
        status = self.status or self._fault(body, body["SmsSdkAppId"])
        if status is None and not re.fullmatch(r"\+861[0-9]{10}", number):
            status = ("InvalidParameterValue.IncorrectPhoneNumber", f"{number} is incorrect")
        if status is None and body["SignName"] != self.sign_name:
            status = (
                "FailedOperation.SignatureIncorrectOrUnapproved",
                "signature is incorrect or unapproved",
            )
        if status is None:
            self.taken.append(body)
        code, message = status or ("Ok", "send success")
        sent = {
            "SerialNo": "5000:1045710669157053657849499619" if status is None else "",
            "PhoneNumber": number, "Fee": 1 if status is None else 0, "SessionContext": "",
            "Code": code, "Message": message, "IsoCode": "CN",
        }  # fmt: skip
        return says({"Response": {"SendStatusSet": [sent], "RequestId": "a0aabda6"}})

    def _call(self, body: dict[str, Any]) -> Say:
        fault = self.status or self._fault(body, body["VoiceSdkAppid"])
        if fault is None and not re.fullmatch(r"\+861[0-9]{10}", body["CalledNumber"]):
            fault = ("InvalidParameterValue.CalledNumberVerifyFail", "被叫手机号码格式校验失败")
        if fault is not None:
            return _error(*fault)
        self.taken.append(body)
        status = {"CallId": "252bf4cc-1f9c-11eb", "SessionContext": ""}
        return says({"Response": {"SendStatus": status, "RequestId": "a0aabda7"}})

    def _fault(self, body: dict[str, Any], app_id: str) -> tuple[str, str] | None:
        if app_id != self.app_id:
            return ("InvalidParameterValue.SdkAppidNotExist", "SDK AppID 不存在")
        if self.templates.get(body["TemplateId"]) != len(body["TemplateParamSet"]):
            return ("FailedOperation.TemplateIncorrectOrUnapproved", "template is incorrect or unapproved")
        if any(not word or len(word) > self.most for word in body["TemplateParamSet"]):
            return ("InvalidParameterValue.ContentLengthLimit", "单个变量长度超过限制")
        return None


def _error(code: str, message: str) -> Say:
    return says({"Response": {"Error": {"Code": code, "Message": message}, "RequestId": "ed93f3cb"}})
