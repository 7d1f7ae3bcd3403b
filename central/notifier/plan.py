"""Who is told what, by which channel. Law of this file: pure; whoever reads the registry hands people in.

`key` makes a message once in effect: (alarm, purpose, round, step, person, channel). A retry keeps it,
another channel of the same person has its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

PurposeWord = Literal["alarm", "disposition", "cleared", "closed", "offer", "owner", "raised"]
"""Why: act on it; say what it was; it cleared; it is done; take it over; who has it now; it is graver."""


class Contact(Struct, frozen=True):
    """One way to reach a person; the lowest `rank` is tried first."""

    rank: int
    channel: str
    address: str


class Recipient(Struct, frozen=True):
    """A person (the registry's id) and how to reach them."""

    worker: str
    contacts: tuple[Contact, ...]
    takes: bool = True
    """May take an alarm; others are told, and do not count as reached."""


class Notice(Struct, frozen=True):
    """What is to be told: one step of one round of one alarm."""

    alarm: int
    purpose: PurposeWord
    round: int
    step: int
    urgent: bool
    """Smoke and heat: sent first, and tried until somebody takes the alarm."""


class Planned(Struct, frozen=True):
    """One message to one person by one channel."""

    key: str
    alarm: int
    purpose: PurposeWord
    round: int
    step: int
    worker: str
    rank: int
    channel: str
    address: str
    urgent: bool


def plan(notice: Notice, recipients: Sequence[Recipient], *, parallel: bool = False) -> tuple[Planned, ...]:
    """One message for each person, by their first contact; a person named twice is told once.

    With `parallel` one by each of their contacts, all at once. A person without any contact gets none: the
    caller sees it by the missing worker.
    """
    planned: dict[str, tuple[Planned, ...]] = {}
    for recipient in recipients:
        if recipient.contacts and recipient.worker not in planned:
            contacts = sorted(recipient.contacts, key=lambda contact: contact.rank)
            first = _planned(notice, recipient.worker, contacts[0], repeated=False)
            planned[recipient.worker] = (first, *(_others(first, contacts) if parallel else ()))
    return tuple(message for messages in planned.values() for message in messages)


def _others(planned: Planned, contacts: Sequence[Contact]) -> Iterator[Planned]:
    doors = {(planned.channel, planned.address)}
    following = fall_back(planned, contacts)
    while following is not None:
        if (following.channel, following.address) not in doors:
            yield following
        doors.add((following.channel, following.address))
        following = fall_back(following, contacts)


def fall_back(planned: Planned, contacts: Sequence[Contact]) -> Planned | None:
    """The same message by the person's next contact; None when this was the last."""
    later = sorted((c for c in contacts if c.rank > planned.rank), key=lambda contact: contact.rank)
    for contact in later:
        if (contact.channel, contact.address) == (planned.channel, planned.address):
            continue  # the same door twice is no second chance
        repeated = any(c.channel == contact.channel and c.rank < contact.rank for c in contacts)
        notice = Notice(planned.alarm, planned.purpose, planned.round, planned.step, planned.urgent)
        return _planned(notice, planned.worker, contact, repeated=repeated)
    return None


def _planned(notice: Notice, worker: str, contact: Contact, *, repeated: bool) -> Planned:
    # A second address on the same channel is another way to the person and needs a key of its own.
    way = f"{contact.channel}:{contact.rank}" if repeated else contact.channel
    return Planned(
        key=f"{notice.alarm}:{notice.purpose}:{notice.round}:{notice.step}:{worker}:{way}",
        alarm=notice.alarm,
        purpose=notice.purpose,
        round=notice.round,
        step=notice.step,
        worker=worker,
        rank=contact.rank,
        channel=contact.channel,
        address=contact.address,
        urgent=notice.urgent,
    )
