"""What a provider tells us afterwards of a message that it has taken. Law of this file: words only.

`id` is the provider's own name for the message, as its answer gave it; `code` is its word for what happened.
A telephone number and a person's text stand in a Reply alone, which is acted upon and not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class How(StrEnum):
    """What became of it."""

    RECEIVED = "received"
    """The telephone has it."""
    ANSWERED = "answered"
    """Somebody, or a machine, picked up: that is neither a receipt nor an acknowledgement."""
    FAILED = "failed"
    """It did not arrive, or nobody picked up."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a message or a call ended."""

    id: str
    how: How
    code: str = ""

    @property
    def once(self) -> str:
        """The same word about the same message counts once, however often it is told."""
        return f"{self.how}:{self.id}:{self.code}"


@dataclass(frozen=True, slots=True)
class Pressed:
    """Keys that were pressed during a call."""

    id: str
    keys: str

    @property
    def once(self) -> str:
        """A provider may tell of one press in two reports."""
        return f"pressed:{self.id}:{self.keys}"

    @property
    def takes(self) -> bool:
        """Nothing but ones, perhaps ended by the hash key: the person takes what the call named."""
        return set(self.keys.removesuffix("#")) == {"1"}


@dataclass(frozen=True, slots=True)
class Reply:
    """A text message that somebody sent us."""

    number: str = field(repr=False)
    text: str = field(repr=False)
    once: str
    """Made of what tells this message from every other; the number cannot be read from it."""


Told = Status | Pressed | Reply

SOON = timedelta(seconds=15)
"""Bots and apps: without a receipt by then the next channel is tried."""
LATER = timedelta(seconds=40)
"""Text messages and calls."""


class Unreadable(Exception):  # noqa: N818 - it is the sender's mistake, not ours
    """What came is not in the provider's form; the text holds nothing of what came."""
