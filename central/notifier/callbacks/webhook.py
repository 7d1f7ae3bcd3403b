"""What the receiver of the generic webhook tells us, in the form of docs/reference/webhook.md.

Law of this file: pure; the receiver signs as we sign to it; what is older than five minutes is not believed.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import wire.webhook
from central.notifier.callbacks.json_form import objects, text, word
from central.notifier.told import How, Pressed, Reply, Status, Told, Unreadable

TAKEN: dict[str, Any] = {"ok": True}
_OLDEST_S = 300
_LONGEST_KEY = 200


def genuine(secret: bytes, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether it was signed with the secret within the last five minutes; headers by names in lower case."""
    stamp, key = headers.get("x-smokewatch-timestamp", ""), headers.get("idempotency-key", "")
    proof = headers.get("x-smokewatch-signature", "")
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12 and len(key) <= _LONGEST_KEY):
        return False
    wanted = wire.webhook.signature(secret, stamp, key, body)
    fresh = abs(now.timestamp() - int(stamp)) <= _OLDEST_S
    return hmac.compare_digest(proof.encode("utf-8", "replace"), wanted.encode()) and fresh


def read(body: bytes) -> list[Told]:
    """What became of messages, by the `id` that the receiver gave them, and replies. Raises Unreadable."""
    told: list[Told] = []
    for one in objects(body):
        name, what = word(one, "id"), word(one, "what")
        if what == "pressed":
            told.append(Pressed(name, word(one, "keys")))
        elif what == "reply":
            told.append(Reply(word(one, "from"), text(one, "text"), f"reply:{name}"))
        elif what in set(How):
            told.append(Status(name, How(what), word(one, "code", needed=False)))
        else:
            raise Unreadable(f"`what` is one of pressed, reply, {', '.join(How)}")
    return told
