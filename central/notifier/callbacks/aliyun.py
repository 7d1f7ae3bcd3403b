"""What Aliyun pushes over HTTP (HTTP批量推送): SmsReport and SmsUp, VoiceReport and VoiceCallReport.

Law of this file: pure; a code that nobody here knows is a failure, for then the next channel is tried.

Source: help.aliyun.com, "SmsReport" (document_detail/101867), "SmsUp" (101847), "VoiceReport" and
"VoiceCallReport" (vms/developer-reference), the codes in document_detail/55085 and 112804. A push is a JSON
array; the answer must be status 200 with a numeric `code`; it is pushed again after 1, 5 and 10 minutes. The
pages know no signature: the secret stands in the address.
"""

from __future__ import annotations

from typing import Any

from central.notifier.callbacks.json_form import objects, text, word
from central.notifier.told import How, Pressed, Reply, Status, Told, Unreadable

TAKEN: dict[str, Any] = {"code": 0, "msg": "OK"}
_UNDER_WAY = frozenset({"200100", "200101", "200102", "200103", "200201"})
"""Starting, ringing, picked up, over: none of these says how it ended."""
_PICKED_UP = frozenset({"200000", "200001", "200008"})
"""Heard to the end; hung up before; no key in time."""
_PRESSED = "300000"


def sms(body: bytes) -> list[Told]:
    """Status reports of text messages, and what people wrote back. Raises Unreadable."""
    told: list[Told] = []
    for one in objects(body):
        if "content" in one:
            number, said = word(one, "phone_number"), text(one, "content")
            told.append(Reply(number, said, f"reply:{word(one, 'sequence_id')}"))
            continue
        success = one.get("success")
        if not isinstance(success, bool):
            raise Unreadable("a report of Aliyun's has `success`, true or false")
        told.append(
            Status(word(one, "biz_id"), How.RECEIVED if success else How.FAILED, word(one, "err_code"))
        )
    return told


def voice(body: bytes) -> list[Told]:
    """Records and states of calls, each perhaps with the keys that were pressed. Raises Unreadable."""
    told: list[Told] = []
    for one in objects(body):
        call, code, keys = word(one, "call_id"), word(one, "status_code"), word(one, "dtmf", needed=False)
        if keys:
            told.append(Pressed(call, keys))
        if code in _PICKED_UP:
            told.append(Status(call, How.ANSWERED, code))
        elif code != _PRESSED and code not in _UNDER_WAY and not keys:
            told.append(Status(call, How.FAILED, code))
    return told
