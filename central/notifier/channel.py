"""What a channel is: something that hands one message to one provider. Law of this file: words only.

A channel never raises and never waits longer than its timeout: whatever happens becomes an outcome. It
knows neither alarms' rules nor retries. It writes no secret and no address of a provider into `why` (that
text is stored and shown).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Pace:
    """To one address: `burst` messages at once, then one every `every`."""

    burst: int
    every: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """What one address of a channel bears. Messages that would be too many are merged, not kept back.

    The default is what a person can read, and less than the 20 a minute that group robots take.
    """

    urgent: Pace = Pace(2, timedelta(seconds=3.4))
    other: Pace = Pace(1, timedelta(seconds=60))
    throttle: Pace | None = Pace(20, timedelta(minutes=3))
    """Of everything but smoke and heat besides, where messages can be merged: 20, then as many an hour."""
    homes: int = 20
    """Alarms that one message can name; 1: this channel cannot merge."""
    call: bool = False
    """It rings: whoever cannot be called now is told by their next channel at once."""

    def pace(self, *, urgent: bool) -> Pace:
        """Of smoke and heat, or of everything else."""
        return self.urgent if urgent else self.other

    def paces(self, *, urgent: bool) -> tuple[Pace, ...]:
        """All that hold. What cannot be merged is not throttled: it would come one by one, for days."""
        throttled = self.throttle is not None and not urgent and self.homes > 1
        return (self.pace(urgent=urgent), *([self.throttle] if self.throttle and throttled else ()))


CALL = Limits(urgent=Pace(1, timedelta(seconds=60)), other=Pace(1, timedelta(minutes=10)), homes=1, call=True)
"""A telephone that rings: at most once a minute."""


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
    alarms: tuple[int, ...] = ()
    """Every alarm that it names, `alarm` first."""
    open_text: str = ""
    """The same, title included, for a place where others read along: no resident, and no link, which acts as
    the person."""
    takes: bool = True
    """The person may take the alarm; others are told of it, and asked for nothing."""
    words: Mapping[str, str] = field(default_factory=dict)
    """The same in single words, for templates that a provider has approved: `central.notifier.fitting.WORDS`
    says which. None is empty."""


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
    def limits(self) -> Limits:
        """What one address bears."""

    @property
    def timeout_s(self) -> float:
        """No `send` takes longer than this."""

    async def send(self, message: Message, address: str) -> Outcome:
        """Hand the message over; `address` is the person's within this channel. Never raises."""

    async def close(self) -> None:
        """Give back what is held open. Safe to repeat."""
