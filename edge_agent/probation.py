"""Whether a pushed configuration may stay: each bus that answered before it must answer under it; pure.

Law of this file: a configuration is on probation until every such bus has answered, and is given up when one
has not for two minutes. What is needed to go back, and what was given up and why, outlives a restart: it is
bytes for the disk (`Standing`). Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from wire.messages import GatewayConfig

PROBATION_S = 120.0
"""A bus that answered before and does not for so long under a new configuration: the new one is wrong."""


class Verdict(Enum):
    """What is to be done with the configuration on probation."""

    WAIT = "wait"
    KEEP = "keep"
    REVERT = "revert"


class Refused(Struct, frozen=True):
    """A configuration that was given up; the centre goes on publishing it until it makes another."""

    epoch: str
    version: int
    hash: str
    why: Annotated[str, Meta(max_length=500)]

    def is_(self, config: GatewayConfig) -> bool:
        """Whether this very configuration was given up; a newer version of the same content was not."""
        return (self.epoch, self.version, self.hash) == (config.epoch, config.version, config.hash)


class Trial(Struct, frozen=True):
    """What a configuration on probation has to prove."""

    buses: tuple[str, ...]
    """Those that answered before and not yet under it."""
    last_good: GatewayConfig | None
    """What holds again when it fails; None: the local file."""


class Standing(Struct, frozen=True):
    """What must be known at the next start beside the configuration that holds."""

    trial: Trial | None = None
    refused: Refused | None = None


class Probation:
    """The trial of one configuration, begun at `since`. After a restart it begins anew."""

    def __init__(self, trial: Trial, since: float) -> None:
        self.trial = trial
        self._since = since

    def look(self, answered_at: Mapping[str, float | None], now: float) -> Verdict:
        """Judge by when each bus was last answered by any detector (None: never)."""
        unproved = tuple(
            bus for bus in self.trial.buses if (at := answered_at.get(bus)) is None or at <= self._since
        )
        self.trial = Trial(unproved, self.trial.last_good)
        if not unproved:
            return Verdict.KEEP
        return Verdict.REVERT if now - self._since >= PROBATION_S else Verdict.WAIT


def trial_of(
    before: Trial | None, holding: GatewayConfig | None, answering: Iterable[str], watched: Iterable[str]
) -> Trial | None:
    """What the next configuration has to prove, or None when there is nothing to prove.

    `before` is the trial that is not over yet, `holding` the configuration that holds now (None: the local
    file), `answering` the buses that answer now, `watched` those on which the next one has detectors: what it
    takes from the watch on purpose proves nothing.
    """
    had = {*answering, *(() if before is None else before.buses)}
    buses = tuple(sorted(had & set(watched)))
    if not buses:
        return None
    return Trial(buses, holding if before is None else before.last_good)


def encode_standing(standing: Standing) -> bytes:
    """Bytes to keep."""
    return msgspec.json.encode(standing)


def decode_standing(kept: bytes | None) -> Standing:
    """What `encode_standing` made; nothing standing when the bytes are not that."""
    if kept is None:
        return Standing()
    try:
        return _decoder.decode(kept)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Standing()


_decoder = msgspec.json.Decoder(Standing)
