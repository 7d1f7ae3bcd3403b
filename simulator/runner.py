"""A site that runs: its lines open, its air moving, its story told, orders taken.

Law of this file: the one place where lines and detectors are brought together and taken apart again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import structlog

from device_profiles.schema import Profile
from simulator.bus import Bus, make
from simulator.orders import Do, Order, check
from simulator.scenario import SiteFile, Step
from simulator.site import Site

TICK_S = 0.05
"""How exactly the moment is known at which smoke crosses the threshold between two polls."""

_log = structlog.get_logger()


class Runner:
    """Use it with `async with`: lines are open inside and gone afterwards.

    `clock` gives seconds since 1970.
    """

    def __init__(self, plan: SiteFile, profiles: Mapping[str, Profile], clock: Callable[[], float]) -> None:
        self.site = Site(plan.bus, profiles, clock)
        self.buses: dict[str, Bus] = {spec.id: make(self.site, spec) for spec in plan.bus}
        self._story = plan.story
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            for bus in self.buses.values():
                await bus.plug()
        except BaseException:
            await self._close()
            raise
        self._tasks.append(asyncio.create_task(self._move_air()))
        if self._story:
            self._tasks.append(asyncio.create_task(self._tell(self._story)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def do(self, order: Order) -> dict[str, Any]:
        """Carry out any order; what is to be told. Raises OrderError and BusError."""
        if order.do not in (Do.PLUG, Do.UNPLUG):
            told = self.site.do(order)
            if order.do is Do.LIST:
                told["addresses"] = {key: bus.address for key, bus in self.buses.items()}
            return told
        check(order, self.site.detectors, self.buses)
        assert order.bus is not None
        bus = self.buses[order.bus]
        await (bus.plug() if order.do is Do.PLUG else bus.unplug())
        _log.info(order.do, bus=order.bus)
        return {"at": round(self.site.clock(), 3), "address": bus.address}

    async def _move_air(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.site.tick()

    async def _tell(self, story: Sequence[Step]) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for step in sorted(story, key=lambda one: one.at):
            await asyncio.sleep(max(0.0, start + step.at - loop.time()))
            try:
                await self.do(step)
            except Exception as error:  # noqa: BLE001 -- one step that fails does not end the story
                _log.error("story_step_failed", at=step.at, do=step.do, error=str(error))
            else:
                _log.info("story", at=step.at, do=step.do, detector=step.detector, bus=step.bus)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for bus in self.buses.values():
            await bus.unplug()
