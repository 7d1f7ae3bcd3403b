"""Whether the agent turns, and whether it is ready; pure.

Law of this file: what counts is that a loop *turns*, not that it succeeds: a lost port, a full disk and days
without uplink are states that every loop passes through at its own pace, and only a loop that has not come
round within its limit is stuck. Ages and limits are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class LoopAge(NamedTuple):
    """One loop of the agent as it is seen now."""

    name: str
    age_s: float
    """Since it last came round, with or without success."""
    limit_s: float
    """Longer than anything it waits for when all works as it should."""


def stuck(loops: Iterable[LoopAge]) -> tuple[str, ...]:
    """The names of the loops that do not turn, in order; empty: systemd may be fed."""
    return tuple(sorted(loop.name for loop in loops if loop.age_s >= loop.limit_s))


def unready(
    *, started: bool, stuck_loops: Iterable[str], storage_error: str | None, unwatched: Iterable[str]
) -> tuple[str, ...]:
    """Why the agent does not do its work now, in words; empty: it watches, and what it sees is recorded.

    `unwatched` are the buses without a finished lap lately. The uplink is not asked for: an agent without one
    still watches and records.
    """
    found = [] if started else ["not started yet"]
    found += [f"loop {name} does not turn" for name in stuck_loops]
    found += [] if storage_error is None else [f"the disk refuses: {storage_error}"]
    found += [f"bus {bus} is not read" for bus in sorted(unwatched)]
    return tuple(found)
