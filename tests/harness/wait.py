"""Waiting for a real effect of another process or task: a bounded poll, never a fixed sleep."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_STEP_S = 0.02


async def eventually(
    predicate: Callable[[], T | Awaitable[T]],
    timeout_s: float = 10.0,
    what: str | Callable[[], str] | None = None,
) -> T:
    """Call `predicate` (plain or async) until its answer is truthy, and return that answer.

    Fails the test after `timeout_s` with the last answer and `what` (called then, if it can be; else the
    predicate's name).
    """
    deadline = time.monotonic() + timeout_s
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() >= deadline:
            said = what() if callable(what) else what
            name = said or getattr(predicate, "__name__", repr(predicate))
            raise AssertionError(f"not within {timeout_s} s: {name}; the last answer was {answer!r}")
        await asyncio.sleep(_STEP_S)


def eventually_now(predicate: Callable[[], T], timeout_s: float = 10.0, what: str | None = None) -> T:
    """The same for a test without an event loop."""
    deadline = time.monotonic() + timeout_s
    while not (answer := predicate()):
        if time.monotonic() >= deadline:
            name = what or getattr(predicate, "__name__", repr(predicate))
            raise AssertionError(f"not within {timeout_s} s: {name}; the last answer was {answer!r}")
        time.sleep(_STEP_S)
    return answer
