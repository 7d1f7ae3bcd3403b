"""What providers push afterwards, each as its pages show it, with more fields than anybody reads."""

from __future__ import annotations

import json
from typing import Any

PHONE = "13800000000"


def aliyun_sms(biz_id: str, *, success: bool = True, code: str = "DELIVERED") -> bytes:
    """SmsReport."""
    return _bytes(
        [
            {
                "phone_number": PHONE,
                "send_time": "2026-03-01 03:00:00",
                "report_time": "2026-03-01 03:00:04",
                "success": success,
                "err_code": code,
                "err_msg": "用户接收成功" if success else "失败",
                "sms_size": "1",
                "biz_id": biz_id,
                "out_id": "",
            }
        ]
    )


def aliyun_reply(text: str, sequence: str = "1234567890", number: str = PHONE) -> bytes:
    """SmsUp."""
    told = {"phone_number": number, "content": text, "send_time": "2026-03-01 03:00:30", "dest_code": "1234"}
    return _bytes([told | {"sequence_id": sequence}])


def aliyun_key(call_id: str, key: str) -> bytes:
    """VoiceCallReport of a press."""
    return _bytes(
        [
            {
                "status_code": "300000",
                "smart_status_code": "ANSWERED",
                "dtmf": key,
                "status_time": "2026-03-01 03:00:20",
                "out_id": "",
                "call_id": call_id,
            }
        ]
    )


def aliyun_call(call_id: str, code: str, key: str | None = None) -> bytes:
    """VoiceReport at the end of a call."""
    told = {
        "status_code": code,
        "callee": PHONE,
        "ring_time": "2026-03-01 03:00:05",
        "duration": "10",
        "voice_type": "voice",
        "originate_time": "2026-03-01 03:00:02",
        "end_time": "2026-03-01 03:00:40",
        "call_id": call_id,
        "caller": "20200900000",
        "status_msg": "执行完成",
        "toll_type": "LOCAL",
    }
    return _bytes([told if key is None else told | {"dtmf": key}])


def tencent_sms(sid: str, status: str = "SUCCESS", code: str = "DELIVRD") -> bytes:
    """The status of text messages."""
    return _bytes(
        [
            {
                "user_receive_time": "2026-03-01 03:00:04",
                "nationcode": "86",
                "mobile": PHONE,
                "report_status": status,
                "errmsg": code,
                "description": "用户短信送达成功",
                "sid": sid,
            }
        ]
    )


def tencent_reply(text: str, at: int = 1457336869) -> bytes:
    """What somebody wrote back."""
    told = {"extend": "", "mobile": PHONE, "nationcode": "86", "sign": "街道消防", "text": text, "time": at}
    return _bytes(told)


def tencent_key(call_id: str, key: str) -> bytes:
    """voicekey_callback."""
    said = {"call_from": "", "callid": call_id, "keypress": key, "mobile": PHONE, "nationcode": "86"}
    return _bytes({"voicekey_callback": said})


def tencent_call(call_id: str, result: str) -> bytes:
    """voiceprompt_callback."""
    said = {
        "result": result,
        "accept_time": "1470197211",
        "call_from": "",
        "callid": call_id,
        "end_calltime": "1470197221",
        "fee": "1",
        "mobile": PHONE,
        "nationcode": "86",
        "start_calltime": "1470197196",
    }
    return _bytes({"voiceprompt_callback": said})


def tencent_failure(call_id: str, code: int) -> bytes:
    """voice_failure_callback."""
    said = {
        "call_from": "",
        "callid": call_id,
        "failure_code": code,
        "failure_reason": "空号",
        "mobile": PHONE,
        "nationcode": "86",
    }
    return _bytes({"voice_failure_callback": said})


def _bytes(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()
