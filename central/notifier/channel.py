"""What a channel is: something that hands one message to one provider. Law of this file: words only.

A channel never raises and never waits longer than its timeout: whatever happens becomes an outcome. It
knows neither alarms' rules nor retries. It writes no secret and no address of a provider into `why` (that
text is stored and shown).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """What a person is told."""

    key: str
    """Makes the message once in effect; a receiver that has it already must not show it again."""
    alarm: int
    purpose: str
    urgent: bool
    language: str
    title: str
    text: str
    """Plain text in lines, complete without the link."""
    link: str = ""
    """The page on which the person answers; empty where there is nothing to answer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider has taken it, and calls it `provider_id` where it has a name for it."""

    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class TryLater:
    """Not now: the provider is slow, down or confused, or (with `after`) asks for patience."""

    after: timedelta | None
    why: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Not ever: the same message to the same address will not be taken."""

    why: str


Outcome = Sent | TryLater | Rejected


class Channel(Protocol):
    """One way out, shared by all messages of its name."""

    @property
    def timeout_s(self) -> float:
        """No `send` takes longer than this."""

    async def send(self, message: Message, address: str) -> Outcome:
        """Hand the message over; `address` is the person's within this channel. Never raises."""

    async def close(self) -> None:
        """Give back what is held open. Safe to repeat."""
