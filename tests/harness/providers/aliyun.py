"""Aliyun's SendSms, SingleCallByTts and IvrCall behind their V3 signature."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.harness.providers import says
from tests.harness.sinks import Received, Say

_SHAPE = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})")


@dataclass
class Aliyun:
    """Both services; `templates` holds each code's gaps."""

    key_id: str
    key_secret: str
    now: datetime
    templates: dict[str, set[str]]
    sign_name: str = "街道消防"
    error: tuple[str, str] | None = None
    taken: list[dict[str, str]] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)

    def __call__(self, got: Received) -> Say:
        refused = self._refuse(got)
        if refused is not None:
            return refused
        if self.error is not None:
            return says({"Code": self.error[0], "Message": self.error[1], "RequestId": "R-1"})
        query = got.query
        match got.headers["x-acs-action"]:
            case "SendSms":
                return self._sms(query)
            case "SingleCallByTts":
                return self._call(query, "TtsCode", "TtsParam")
            case "IvrCall":
                if not query.get("CalledShowNumber") or query.get("MenuKeyMap.1.Key") != "1":
                    return says({"Code": "MissingParameter", "Message": "CalledShowNumber, MenuKeyMap"}, 400)
                return self._call(query, "StartCode", "StartTtsParams")
        return says({"Code": "InvalidAction.NotFound", "Message": "no such action"}, 404)

    def _refuse(self, got: Received) -> Say | None:
        """The gate in front of every service."""
        shape = _SHAPE.fullmatch(got.headers.get("authorization", ""))
        if shape is None or shape[1] != self.key_id:
            return says({"Code": "InvalidAccessKeyId.NotFound", "Message": "no such key"}, 404)
        names = shape[2].split(";")
        must = {name for name in got.headers if name.startswith("x-acs-")} | {"host"}
        path, _, query = got.target.partition("?")
        canonical = "\n".join(
            (
                got.method, path, "&".join(sorted(query.split("&"))),
                "".join(f"{name}:{got.headers[name].strip()}\n" for name in names),
                shape[2], hashlib.sha256(got.raw).hexdigest(),
            )
        )  # fmt: skip
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        good = hmac.new(self.key_secret.encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), hashlib.sha256)
        body_hash = got.headers.get("x-acs-content-sha256")
        if (
            names != sorted(must)
            or body_hash != hashlib.sha256(got.raw).hexdigest()
            or not hmac.compare_digest(shape[3], good.hexdigest())
        ):
            quoted = (
                f"Specified signature does not match our calculation. server string to sign is:{canonical}"
            )
            return says({"Code": "SignatureDoesNotMatch", "Message": quoted, "RequestId": "R-0"}, 400)
        at = datetime.strptime(got.headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if abs(at - self.now) > timedelta(minutes=15):
            return says({"Code": "InvalidTimeStamp.Expired", "Message": "expired"}, 400)
        if got.headers["x-acs-signature-nonce"] in self.nonces:
            return says({"Code": "SignatureNonceUsed", "Message": "used before"}, 400)
        self.nonces.add(got.headers["x-acs-signature-nonce"])
        return None

    def _sms(self, query: dict[str, str]) -> Say:
        if not re.fullmatch(r"1[0-9]{10}", query["PhoneNumbers"]):
            number = query["PhoneNumbers"]
            return says({"Code": "isv.MOBILE_NUMBER_ILLEGAL", "Message": f"{number}invalid mobile number"})
        if query["SignName"] != self.sign_name:
            return says({"Code": "isv.SMS_SIGNATURE_ILLEGAL", "Message": "no such signature"})
        wrong = self._gaps(
            query["TemplateCode"], json.loads(query["TemplateParam"]), "isv.SMS_TEMPLATE_ILLEGAL"
        )
        if wrong is not None:
            return wrong
        self.taken.append(query)
        return says(
            {
                "Code": "OK",
                "Message": "OK",
                "RequestId": "R-2",
                "BizId": f"900619746936498440^{len(self.taken) - 1}",
            }
        )

    def _call(self, query: dict[str, str], code: str, words: str) -> Say:
        if not re.fullmatch(r"[0-9]{10,12}", query["CalledNumber"]):
            return says({"Code": "isv.MOBILE_NUMBER_ILLEGAL", "Message": "号码格式非法"})
        wrong = self._gaps(query[code], json.loads(query[words]), "isv.TTS_TEMPLATE_ILLEGAL")
        if wrong is not None:
            return wrong
        self.taken.append(query)
        return says(
            {
                "Code": "OK",
                "Message": "OK",
                "RequestId": "R-3",
                "CallId": f"116012354148^{10281377 + len(self.taken)}****",
            }
        )

    def _gaps(self, code: str, given: dict[str, Any], unknown: str) -> Say | None:
        if code not in self.templates:
            return says({"Code": unknown, "Message": "no such template"})
        if self.templates[code] - set(given):
            return says({"Code": "isv.TEMPLATE_MISSING_PARAMETERS", "Message": "模板缺少变量"})
        if any(not word or len(word) > 35 for word in given.values()):
            return says({"Code": "isv.PARAM_LENGTH_LIMIT", "Message": "参数长度受限"})
        if any("http" in word or "【" in word for word in given.values()):
            return says({"Code": "isv.PARAM_NOT_SUPPORT_URL", "Message": "变量不支持URL参数"})
        return None
