"""Work that takes long lets others have their turn, but not at each of its steps."""

from __future__ import annotations

import asyncio

import pytest

from central.time_slice import TimeSlice


async def test_a_fire_has_its_turn_after_a_quarter_of_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    now = 100.0
    monkeypatch.setattr(loop, "time", lambda: now)
    ran: list[str] = []
    time_slice = TimeSlice()
    loop.call_soon(ran.append, "first")
    now += 0.0002
    await time_slice.give_way()
    assert ran == []
    now += 0.0001
    await time_slice.give_way()
    assert ran == ["first"]
    loop.call_soon(ran.append, "second")
    await time_slice.give_way()
    assert ran == ["first"], "its time began anew"
    now += 0.0003
    await time_slice.give_way()
    assert ran == ["first", "second"]
