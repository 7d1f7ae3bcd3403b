"""What the centre may order, carried out.

Law of this file: the outcome is always on record. That a command is done at most once and never late has
been seen to before it comes here (`orders`). A scan takes minutes: it goes on beside the next orders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from device_profiles.schema import Action as Writing
from edge_agent.observation import Observation
from edge_agent.probe import Prober, in_short
from edge_agent.recorder import Recorder
from edge_agent.scan import ScanError
from edge_agent.site import Site
from edge_agent.walk_test import WalkTests
from wire.messages import Action, Command, EventKind

_WRITES = {
    Action.MUTE: Writing.MUTE,
    Action.RESET: Writing.RESET,
    Action.TEST: Writing.TEST,
    Action.IDENTIFY: Writing.IDENTIFY,
}


class Commands:
    """Carries out one command after the other."""

    def __init__(
        self,
        site: Site,
        recorder: Recorder,
        prober: Prober,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        mono_ms: Callable[[], int],
    ) -> None:
        self._site = site
        self._recorder = recorder
        self._prober = prober
        self._spawn = spawn
        self._mono_ms = mono_ms
        self._walks = WalkTests()
        recorder.mark = self._walks.mark
        self._log = structlog.get_logger()

    async def carry_out(self, command: Command) -> None:
        """Do it, or say why not, and put that on record."""
        if command.action is Action.SCAN:
            self._spawn(self._scan(command))
            await self._tell(command, "已开始 started")
        else:
            await self._tell(command, await self._outcome(command))

    async def _tell(self, command: Command, outcome: str) -> None:
        name = command.action.value
        self._log.info("command", action=name, detector=command.detector, outcome=outcome)
        note = Observation(
            EventKind.NOTE,
            detector=command.detector,
            bus=command.bus,
            text=f"指令 command {name} {command.id}: {outcome}"[:500],
        )
        await self._recorder.record([note], {})

    async def sound(self, detector: str) -> str | None:
        """Turn a sounder on; None when it confirmed, else why not."""
        poller = self._site.poller_of(detector, None)
        if poller is None:
            return "未配置此设备 no such device here"
        return await poller.write(detector, Writing.SOUND)

    async def _outcome(self, command: Command) -> str:
        if command.action in _WRITES:
            poller = self._site.poller_of(command.detector, None) if command.detector else None
            if poller is None or command.detector is None:
                return "已拒绝：未配置此探测器 refused: no such detector here"
            why = await poller.write(command.detector, _WRITES[command.action])
            return "已执行 done" if why is None else f"未执行 not done: {why}"
        if command.action is Action.POLL_NOW:
            pollers = self._site.pollers
            if command.detector is not None or command.bus is not None:
                one = self._site.poller_of(command.detector, command.bus)
                pollers = () if one is None else (one,)
            asked = [poller.poll_now(command.detector) for poller in pollers]
            return "已执行 done" if any(asked) else "已拒绝：未配置 refused: not configured here"
        if command.action is Action.WALK_TEST:
            return self._walk(command)
        return "此版本不支持 not supported by this version"

    def _walk(self, command: Command) -> str:
        """Named detectors of this gateway, all or none; what they say goes on as ever, with the number."""
        if command.window is None or command.lasts_s is None or not command.detectors:
            return "已拒绝：须指明探测器、编号和时长 refused: name the detectors, a number and how long"
        absent = [one for one in command.detectors if self._site.poller_of(one, None) is None]
        if absent:
            return f"已拒绝：未配置 refused: not here: {' '.join(absent)[:200]}"
        self._walks.begin(command.window, command.detectors, self._mono_ms(), command.lasts_s)
        return f"已执行 done: {len(command.detectors)} 只探测器 detectors"

    async def _scan(self, command: Command) -> None:
        """One bus, or all of them one after the other; what is found is on record in a few notes."""
        buses = [command.bus] if command.bus is not None else [one.bus.bus for one in self._site.pollers]
        if not buses:
            await self._tell(command, "未执行 not done: 无总线 no bus is watched")
        for bus in buses:
            try:
                for text in in_short(await self._prober.scan(bus)):
                    await self._tell(command, text)
            except ScanError as error:
                await self._tell(command, f"未执行 not done: {error}")
            except Exception as error:  # noqa: BLE001 -- a scan must not end the watch
                self._log.exception("a scan failed")
                await self._tell(command, f"未执行 not done: {type(error).__name__}")
