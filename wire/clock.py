"""When an event happened, in the centre's time.

Law of this file: pure, and never trusting: an agent's clock may stand in 1970 or 2099. The better the
evidence, the better the quality; without any, the moment of receipt stands. Times are milliseconds since
1970-01-01T00:00:00Z unless they are `mono_ms`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from wire.messages import Event, EventBatch

MAX_FUTURE_MS = 300_000
"""Beyond this after receipt a time is wrong, not early."""
EARLIEST_MS = 1_735_689_600_000
"""2025-01-01: no agent of this system recorded anything before."""


class TimeQuality(StrEnum):
    """How an event's time was found."""

    EXACT = "exact"
    """By the agent's monotonic clock and a measured offset to the centre: good to half a round trip."""
    AGED = "aged"
    """Receipt less its age at sending: late by the time on the way."""
    RAW = "raw"
    """The agent's wall clock, recorded in an earlier boot while known to be right."""
    RECEIVED = "received"
    """Nothing better than the moment of receipt."""


class CorrectedTime(NamedTuple):
    """An event's time and how far to trust it."""

    at_ms: int
    quality: TimeQuality


def corrected_event_ms(batch: EventBatch, event: Event, received_ms: int) -> CorrectedTime:
    """The event's time on the centre's clock; never more than five minutes after `received_ms`."""
    found = _same_boot(batch, event, received_ms) if batch.boot == batch.sent_boot else _other_boot(event)
    if found is not None and EARLIEST_MS <= found.at_ms <= received_ms + MAX_FUTURE_MS:
        return found
    return CorrectedTime(received_ms, TimeQuality.RECEIVED)


def _same_boot(batch: EventBatch, event: Event, received_ms: int) -> CorrectedTime | None:
    age_ms = batch.clock.mono_ms - event.mono_ms
    if age_ms < 0:  # a monotonic clock that ran backward proves nothing
        return None
    if batch.clock.offset_ms is not None:
        return CorrectedTime(batch.clock.wall_ms + batch.clock.offset_ms - age_ms, TimeQuality.EXACT)
    return CorrectedTime(received_ms - age_ms, TimeQuality.AGED)


def _other_boot(event: Event) -> CorrectedTime | None:
    return CorrectedTime(event.at_ms, TimeQuality.RAW) if event.synchronised else None
