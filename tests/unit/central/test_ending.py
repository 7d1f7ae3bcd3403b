"""Tasks that are to end do end."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from central.ending import cancellation_kept, end, together


async def _swallow(times: int) -> None:
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def test_a_task_that_swallows_two_cancellations_ends_all_the_same() -> None:
    """It is cancelled until it is done."""
    task = asyncio.create_task(_swallow(2))
    await asyncio.sleep(0)
    assert await end([task], patience_s=0.01) == set()
    assert task.cancelled()


async def test_what_does_not_end_in_time_is_named() -> None:
    """The caller learns which task would not end, and goes on."""
    stubborn = asyncio.create_task(_swallow(1000))
    quick = asyncio.create_task(_swallow(0))
    await asyncio.sleep(0)
    assert await end([stubborn, quick], patience_s=0.01, within_s=0.02) == {stubborn}
    assert quick.cancelled()
    while not stubborn.done():
        stubborn.cancel()
        await asyncio.sleep(0)


async def test_whoever_is_cancelled_while_it_ends_others_still_leaves_none_behind() -> None:
    """The hurry is passed on at once, and the cancellation is raised when all have ended."""
    stubborn = asyncio.create_task(_swallow(1))
    await asyncio.sleep(0)
    ending = asyncio.create_task(end([stubborn], patience_s=3600))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not stubborn.done()
    ending.cancel()
    await asyncio.wait({ending})
    assert ending.cancelled()
    assert stubborn.cancelled()


class _Loop:
    """One loop of several, and whether it still runs."""

    def __init__(self, swallows: int = 0) -> None:
        self._swallows = swallows
        self.runs = False

    async def run(self) -> None:
        self.runs = True
        try:
            await _swallow(self._swallows)
        finally:
            self.runs = False


async def test_of_several_loops_none_goes_on_when_one_fails() -> None:
    """What the failed one raised is raised, when even those that swallow a cancellation have ended."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("a mistake")

    others = _Loop(), _Loop(swallows=2)
    with pytest.raises(ValueError, match="a mistake"):
        await together(fail(), *(one.run() for one in others), patience_s=0.01)
    assert [one.runs for one in others] == [False, False]


async def test_several_loops_end_when_whoever_waits_for_them_is_cancelled() -> None:
    """Once is enough, though one of them swallows it."""
    loops = _Loop(), _Loop(swallows=2)
    waiting = asyncio.create_task(together(*(one.run() for one in loops), patience_s=0.01))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [one.runs for one in loops] == [True, True]
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    assert [one.runs for one in loops] == [False, False]


async def test_a_loop_that_something_within_it_cancelled_has_ended_and_no_more() -> None:
    """The others end too; the caller is not told to stop."""

    async def cancelled_within() -> None:
        raise asyncio.CancelledError

    other = _Loop()
    await together(cancelled_within(), other.run(), patience_s=0.01)
    assert not other.runs


async def test_a_cancellation_that_a_library_swallowed_is_raised_after_all() -> None:
    """At the end of the block; one that came before it is not this block's."""
    passed = []

    async def work() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        with cancellation_kept():
            passed.append("an old one")
        with cancellation_kept(), contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        passed.append("a new one")

    task = asyncio.create_task(work())
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert passed == ["an old one"]


async def test_a_library_that_fails_because_it_was_interrupted_does_not_hide_the_cancellation() -> None:
    """Whoever tries again after an error must not try again after this one."""

    async def work() -> None:
        with cancellation_kept():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ConnectionError("interrupted") from None

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
