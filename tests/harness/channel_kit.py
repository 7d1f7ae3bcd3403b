"""What every channel must bear. A channel's own file says how its provider is put into each situation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, get_args

from central.notifier.channel import Channel, Message, Rejected, Sent, TryLater
from central.notifier.fitting import WORDS

Situation = Literal[
    "good", "refusing", "failing", "busy", "slow", "down", "garbage", "cut", "html", "huge", "unproven",
    "hostile text",
]  # fmt: skip
"""`unproven`: our key or signature is not the provider's. `html`: a 200 of somebody else's. `huge`: a yes,
too long to be one. `busy`: too many messages."""
SITUATIONS: tuple[Situation, ...] = get_args(Situation)
WANTED: dict[Situation, tuple[type, ...]] = {
    "good": (Sent,),
    "refusing": (Rejected,),
    "failing": (TryLater,),
    "slow": (TryLater,),
    "down": (TryLater,),
    "garbage": (TryLater,),
    "cut": (TryLater,),
    "busy": (TryLater,),
    "html": (TryLater,),
    "huge": (TryLater,),
    "unproven": (TryLater,),
    "hostile text": (Sent, Rejected),
}
HOSTILE = "第一行\r\nBcc: someone@example.org\r\n\r\n.\r\nQUIT\r\n\x00\ud83d <b>&amp;</b> " + "长" * 3000


@dataclass(frozen=True)
class Case:
    """One channel under test."""

    provider: Callable[[Situation], AbstractAsyncContextManager[Channel]]
    """A channel whose provider is in this situation; its timeout is short."""
    address: str
    secrets: tuple[str, ...] = ()
    """What must not appear in anything that is said about a failure."""
    cannot: frozenset[Situation] = frozenset()
    """Situations that this channel's provider cannot be in."""


def message(text: str = "地点：建设路3号 3栋 501室", title: str = "【烟雾报警】3栋 501室") -> Message:
    """What is sent."""
    return Message(
        key="7:alarm:1:0:w-1:test",
        alarm=7,
        purpose="alarm",
        urgent=True,
        language="zh",
        title=title,
        text=text,
        link="https://fire.example/a/AAAAAAAAAAAAAAAA",
        open_text=f"【烟雾报警】3栋 501室\n{text}",
        words=dict.fromkeys(WORDS, text) | {"code": "AAAAAAAAAAAAAAAA", "call": "1", "time": "03:12"},
    )


async def check(case: Case, situation: Situation) -> None:
    """The outcome fits, nothing is raised, the time is kept, and nothing secret is said."""
    async with case.provider(situation) as channel:
        sent = (
            message(HOSTILE.replace("\ud83d", ""), HOSTILE[:20]) if situation == "hostile text" else message()
        )
        began = time.monotonic()
        outcome = await channel.send(sent, case.address)
        took = time.monotonic() - began
        assert isinstance(outcome, WANTED[situation]), outcome
        assert took <= channel.timeout_s + 1.0
        if situation == "busy":
            assert isinstance(outcome, TryLater)
            assert outcome.after is not None
        if not isinstance(outcome, Sent):
            assert outcome.why
            assert len(outcome.why) < 400
            for secret in case.secrets:
                assert secret not in outcome.why
        await channel.close()
        await channel.close()
        await asyncio.sleep(0)
