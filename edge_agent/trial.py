"""Which installed version of the agent runs: what was asked for, and what it has proved; pure.

Law of this file: no I/O, no clock, nothing beyond the standard library: the launcher uses it, which is
installed apart from all versions and outlives each of them. A version is on trial until the centre has
acknowledged an event that it recorded itself; one that starts too often, or runs too long, without that is
left for the one before.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

MOST_STARTS = 3
"""Starts within one trial. A version that crashes is left after so many, seconds after the update."""
TRIAL_S = 600.0
"""Seconds of running within one trial. Time in which the box is off proves nothing against a version."""
VERSION = re.compile(r"[0-9]+(\.[0-9]+){1,3}[a-z0-9.+]{0,20}")


@dataclass(frozen=True)
class Wanted:
    """What the last installation or update asked for."""

    version: str
    fallback: str | None = None
    """The version that ran before and is still installed; None: there is no way back, so no trial."""
    attempt: str = ""
    """Names this one update: the same version may be tried again."""


@dataclass(frozen=True)
class Memory:
    """What is known of one attempt."""

    attempt: str = ""
    starts: int = 0
    spent_s: float = 0.0
    """Seconds the version on trial has run, over all its starts."""
    gave_up: str | None = None
    """Why the attempt ended without proof; None while it may still prove itself."""

    def after(self, ran_s: float) -> Memory:
        """The same after it has run for `ran_s` more."""
        return replace(self, spent_s=self.spent_s + ran_s)

    @property
    def left_s(self) -> float:
        """Seconds it may still run without proof."""
        return max(0.0, TRIAL_S - self.spent_s)


@dataclass(frozen=True)
class Choice:
    """What to start, and what to remember before it is started."""

    version: str
    memory: Memory
    on_trial: bool = False
    note: str | None = None
    """For the record: an attempt has just been given up."""


def choose(
    wanted: Wanted | None, memory: Memory, proven: str | None, installed: Collection[str]
) -> Choice | None:
    """Which version to start now; None when none is installed.

    `proven` names the attempt that the agent has last seen acknowledged.
    """
    if wanted is None or wanted.version not in installed:
        rest = wanted.fallback if wanted is not None and wanted.fallback in installed else newest(installed)
        return None if rest is None else Choice(rest, memory)
    fallback = wanted.fallback
    if fallback is None or fallback not in installed or proven == wanted.attempt:
        return Choice(wanted.version, memory)
    if memory.attempt != wanted.attempt:
        memory = Memory(wanted.attempt)
    if memory.gave_up is not None:
        return Choice(fallback, memory)
    if (why := _why_not(memory)) is not None:
        zh, en = why
        note = (
            f"版本 {wanted.version} 未通过试运行（{zh}），已退回 {fallback} / "
            f"update to {wanted.version} went back to {fallback}: {en}"
        )
        return Choice(fallback, replace(memory, gave_up=en), note=note)
    return Choice(wanted.version, replace(memory, starts=memory.starts + 1), on_trial=True)


def newest(versions: Collection[str]) -> str | None:
    """The highest version by its numbers; None when there is none."""
    return max(versions, key=order, default=None)


def order(version: str) -> tuple[tuple[int, ...], str]:
    """Sorts versions: by numbers, then by what follows them."""
    numbers = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    head = numbers[0] if numbers else "0"
    return tuple(int(number) for number in head.split(".")), version[len(head) :]


def _why_not(memory: Memory) -> tuple[str, str] | None:
    minutes = f"{TRIAL_S / 60:.0f}"
    if memory.left_s == 0:
        return f"{minutes} 分钟内中心未确认", f"not acknowledged by the centre within {minutes} min"
    if memory.starts >= MOST_STARTS:
        return f"启动 {memory.starts} 次均未得到确认", f"started {memory.starts} times, never acknowledged"
    return None
