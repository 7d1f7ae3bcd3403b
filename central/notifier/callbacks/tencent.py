"""What Tencent Cloud pushes: status of text messages and replies; status, keys and failures of calls.

Law of this file: pure; a result that nobody here knows is a failure, for then the next channel is tried.

Source: cloud.tencent.com, document/product/382/43547 (SMS status: an array with `sid`, the `SerialNo` of the
answer), 382/43548 (SMS reply), 1128/51534 (`voiceprompt_callback`), 1128/51535 (`voicekey_callback`),
api/1128/37727 (`voice_failure_callback`); the answer is `{"result": 0, "errmsg": "OK"}`. The pages know no
signature: the secret stands in the address.
"""

from __future__ import annotations

from typing import Any

from central.notifier.callbacks.json_form import inside, name_of, objects, text, word
from central.notifier.told import How, Pressed, Reply, Status, Told, Unreadable

TAKEN: dict[str, Any] = {"result": 0, "errmsg": "OK"}
_ENDED, _KEY, _FAILURE = "voiceprompt_callback", "voicekey_callback", "voice_failure_callback"


def sms(body: bytes) -> list[Told]:
    """Status reports of text messages, and what people wrote back. Raises Unreadable."""
    told: list[Told] = []
    for one in objects(body):
        if "text" in one:
            number, said = f"+{word(one, 'nationcode')}{word(one, 'mobile')}", text(one, "text")
            told.append(Reply(number, said, f"reply:{name_of(number, said, word(one, 'time'))}"))
            continue
        arrived = word(one, "report_status") == "SUCCESS"
        code = word(one, "errmsg", needed=False)
        told.append(Status(word(one, "sid"), How.RECEIVED if arrived else How.FAILED, code))
    return told


def voice(body: bytes) -> list[Told]:
    """How a call ended, which key was pressed, or why it failed. Raises Unreadable."""
    told: list[Told] = []
    for one in objects(body):
        if (said := inside(one, _KEY)) is not None:
            told.append(Pressed(word(said, "callid"), word(said, "keypress")))
        elif (said := inside(one, _ENDED)) is not None:
            result = word(said, "result")
            told.append(Status(word(said, "callid"), How.ANSWERED if result == "0" else How.FAILED, result))
        elif (said := inside(one, _FAILURE)) is not None:
            told.append(Status(word(said, "callid"), How.FAILED, word(said, "failure_code")))
        else:
            raise Unreadable(f"a report on a call has one of {_ENDED}, {_KEY}, {_FAILURE}")
    return told
